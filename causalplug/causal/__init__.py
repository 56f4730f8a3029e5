"""Graph theory without torch: causal graphs, data sources, plans, queries and identification."""
