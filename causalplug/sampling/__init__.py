"""Sampling from a model: observational, interventional and counterfactual distributions."""
