"""Trained vision transformers, read from files."""
