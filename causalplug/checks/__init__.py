"""Checks on data and models: fit of a generator, overlap, projections, two-sample tests."""
