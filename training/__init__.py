"""The room of the trainer: from token shards to a trained model. Imports ``tokenizer`` and nothing else of ours."""
