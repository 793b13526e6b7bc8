"""Makes the input of the demo."""
