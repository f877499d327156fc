"""Residual networks of basic blocks."""
