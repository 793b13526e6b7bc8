"""Which blocks of a page are its main text, by a model trained on gold pages; and their text."""
