"""Files of a store: folders, object stores, compaction, repair."""
