"""The commands of `corpusmill`, a module for each kind of work."""
