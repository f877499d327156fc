"""Clusters: addresses, environments, checks, submission."""
