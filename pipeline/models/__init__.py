"""Models of good text that a run trains before it filters: perplexity models and quality classifiers."""
