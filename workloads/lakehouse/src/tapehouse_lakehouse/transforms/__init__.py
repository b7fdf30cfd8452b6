"""Tables computed from tables: finds the time ranges to recompute, computes them, and writes the
partitions that differ."""
