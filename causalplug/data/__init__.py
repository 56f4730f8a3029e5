"""Data sources: tables, image folders and streams, and what is inferred from them."""
