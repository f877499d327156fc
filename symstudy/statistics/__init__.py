"""Statistics: intervals, tests, fits, power, families of claims, sequential looks."""
