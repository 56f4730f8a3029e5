"""Training: adversarial and by likelihood, checkpoints and reports."""
