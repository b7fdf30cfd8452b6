"""Maintenance of tables: expiry of snapshots, compaction, removal of orphan files."""
