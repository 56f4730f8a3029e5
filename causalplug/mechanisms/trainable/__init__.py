"""Trainable mechanisms: one file for each kind of variable."""
