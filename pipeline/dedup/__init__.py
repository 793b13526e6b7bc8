"""Duplicates at every level: keys of a text, one mechanism that finds equal ones, the stages that decide."""
