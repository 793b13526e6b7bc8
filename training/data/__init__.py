"""The data of a training: shards of a run as one stream of tokens, and the loader that cuts it into batches."""
