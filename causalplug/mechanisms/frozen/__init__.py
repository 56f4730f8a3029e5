"""Frozen mechanisms: pretrained generators, label maps, sample banks and renderers."""
