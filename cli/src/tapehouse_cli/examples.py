"""The examples at the end of each command's help; a test parses every one of them."""

from collections.abc import Mapping

import click

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "prepare": ("prepare",),
    "up": ("up environments/local", "up --detach --timeout 300"),
    "demo": ("demo", "demo --detach"),
    "down": ("down", "down --data"),
    "status": ("status",),
    "health": ("health",),
    "info": ("info", "info --json"),
    "logs": ("logs market-feed -f", "logs operator -n 20"),
    "support-bundle": ("support-bundle -o tapehouse.tar.gz",),
    "plan": (
        "plan -f environments/local",
        "plan -f environments/prod -n tapehouse-prod --detailed-exitcode",
    ),
    "why": ("why streamjob/land", "why lt/silver-trades"),
    "graph": ("graph", "graph -o graph.svg"),
    "history": ("history streamjob/refine",),
    "rollback": ("rollback streamjob/refine 3",),
    "suspend": ("suspend streamjob/refine",),
    "resume": ("resume streamjob/refine",),
    "repair": ("repair streamjob/land",),
    "sql": (
        'sql "SELECT symbol, count(*) FROM bronze.trades GROUP BY ALL"',
        "sql --format csv -f report.sql > report.csv",
    ),
    "sample": ("sample market", "sample -f feed.yaml -n 3"),
    "test": (
        "test land --input trades=trades.jsonl --expect bronze.trades=expected.csv",
        "test job.yaml -d environments/local --input trades=trades.jsonl",
    ),
    "gaps": ("gaps market", "gaps market --json"),
    "deadletters": (
        "deadletters list market --reason rule",
        "deadletters show market --at 0:17",
        "deadletters replay market",
        "deadletters purge market --older-than 7d",
    ),
    "operator": ("operator rbac", "operator run"),
}


def add_examples(command: click.Command, name: str) -> None:
    """Show the examples of command `name` below its options."""
    lines = "\n".join(f"  tapehouse {line}" for line in EXAMPLES[name])
    command.epilog = f"\b\nExamples:\n{lines}"
