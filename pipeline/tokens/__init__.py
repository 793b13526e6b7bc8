"""The last stages: count words, train the tokenizer, encode every document, pack the shards. Tokens move once, through files."""
