"""The room of the trainer: streams token shards into batches. Imports ``tokenizer`` and nothing else of ours."""
