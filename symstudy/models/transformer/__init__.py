"""Transformer encoders."""
