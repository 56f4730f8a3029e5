"""Mechanisms: the interface of V = f(parents, noise), and what implements it."""
