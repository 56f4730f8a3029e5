"""Encoders: networks that turn an image into a short vector."""
