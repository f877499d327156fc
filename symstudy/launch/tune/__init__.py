"""Ray Tune: the searcher that hands out packs, the trial that trains one, and the connection."""
