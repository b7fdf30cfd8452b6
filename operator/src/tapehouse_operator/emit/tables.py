"""What a LakehouseTable, its job and the publisher agree on: names and keys of ConfigMaps."""

TABLE_KEY = "table.json"
PUBLISHED_KEY = "published.json"
STALLED = "CommitStalled"
"""The publisher's reason for a table whose job goes on without committing to it."""


def table_name(table: str) -> str:
    """The ConfigMap that tells workloads and jobs of an accepted table."""
    return f"{table}-table"


def published_name(table: str) -> str:
    """The ConfigMap in which the publisher tells where `main` stands."""
    return f"{table}-published"
