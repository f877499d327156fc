"""Measurements, tests and figures that several claims use."""
