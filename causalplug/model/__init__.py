"""The model as a torch module: its parts, its files and what is loaded later."""
