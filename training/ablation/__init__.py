"""What is the corpus worth: the same small model on the raw, the filtered and the filtered and deduplicated documents of a run."""
