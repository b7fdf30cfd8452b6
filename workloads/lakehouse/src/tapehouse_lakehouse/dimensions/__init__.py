"""Dimensions: declared rows become a table that remembers what it must, and nothing else."""
