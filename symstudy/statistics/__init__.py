"""Statistics: intervals, tests, fits, power, families of claims, sequential looks.

One implementation of each. Seeds are the independent units, not rows. Numpy, scipy and pandas
alone; random numbers come from named streams, so that a number is the same every time.
"""
