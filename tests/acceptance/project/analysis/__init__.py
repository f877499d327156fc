"""Analyses of this project."""
