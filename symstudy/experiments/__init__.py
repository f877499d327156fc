"""Experiments on several networks at once, as programs that a study runs."""
