"""A rule for each ATen operation: from what is known of its inputs to what is of its results."""
