"""Checkpoints: all state of a training, written whole or not at all, checked when read, and kept by a policy."""
