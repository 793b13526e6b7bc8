"""The room of the trainer that streams token shards. Nothing is here yet; it may import ``tokenizer`` and nothing else of ours."""
