"""Watching a training: progress, logs, speed and how much of the machine it uses, validation, samples, plots."""
