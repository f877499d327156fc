"""Engines: what trains the runs of a pack."""
