"""Causal graphs: the graph itself, searches in it, its readers and writers, and data sources as
the planner sees them."""
