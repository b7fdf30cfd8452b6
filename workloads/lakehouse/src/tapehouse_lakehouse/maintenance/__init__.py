"""Upkeep of tables: old snapshots, small files, files nobody names."""
