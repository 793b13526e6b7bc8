"""Scaling laws: reads what trained models reached, fits the published forms, predicts larger runs, and plots all of it."""
