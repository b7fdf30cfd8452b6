"""The commands at hand. What they work with is imported when they run: the others start fast."""

import sys
import time
from pathlib import Path

import click

from tapehouse_laptop.errors import LaptopError

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.argument("query", required=False)
@click.option("-f", "--file", type=FILE, help="Run the statements in FILE.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="json: one object per line.",
)
@click.option("--catalog", metavar="URI", envvar="CATALOG_URI", help="Not that of what runs here.")
@click.option("--prefix", default="", envvar="CATALOG_PREFIX", help="Of namespaces in --catalog.")
def sql(query: str | None, file: Path | None, form: str, catalog: str | None, prefix: str) -> None:
    """Ask the tables in SQL: QUERY, a file, or standard input (statements end with ;).

    DuckDB reads every table of the catalog as namespace.table, as readers see it (main), and
    changes nothing. Only the tables that a query names are looked at. SHOW TABLES lists them.

    \b
    tapehouse sql "SELECT symbol, count(*) FROM bronze.trades GROUP BY ALL"
    tapehouse sql --format csv -f report.sql > report.csv
    """
    from tapehouse_laptop.hand.sql import ask

    if query and file:
        raise click.UsageError("give QUERY or --file, not both")
    try:
        ask(file.read_text() if file else query, form, catalog, prefix)
    except (LaptopError, OSError) as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.argument("feed", required=False)
@click.option("-f", "--file", type=FILE, help="The TradeFeed in this YAML file, applied or not.")
@click.option("-n", "--frames", default=10, show_default=True, type=click.IntRange(1))
@click.option("--raw", is_flag=True, help="The frames as they come, and nothing else.")
@click.option(
    "--timeout", default=30.0, show_default=True, help="Seconds to wait for that many frames."
)
def sample(feed: str | None, file: Path | None, frames: int, raw: bool, timeout: float) -> None:
    """Show frames of FEED's source, and the event or dead letter each of them becomes.

    Nothing is written to Kafka and the feed itself is not disturbed: the source is asked anew.
    Of a simulator the events are those of its seed, from the first.

    \b
    tapehouse sample market
    tapehouse sample -f feed.yaml -n 3
    """
    from tapehouse_laptop.hand.sample import show

    if (feed is None) == (file is None):
        raise click.UsageError("give FEED, one that runs here, or --file, one that may not yet")
    try:
        show(feed, file, frames, raw, timeout)
    except (LaptopError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _pairs(
    context: click.Context, option: click.Parameter, given: tuple[str, ...]
) -> dict[str, list[Path]]:
    """`name=file`, any number of times."""
    pairs: dict[str, list[Path]] = {}
    for each in given:
        name, separator, file = each.partition("=")
        if not (name and separator and file):
            raise click.BadParameter(f"{each}: NAME=FILE is expected")
        if not Path(file).is_file():
            raise click.BadParameter(f"{file}: no such file")
        pairs.setdefault(name, []).append(Path(file))
    return pairs


@click.command()
@click.argument("job")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    callback=_pairs,
    metavar="ALIAS=FILE",
    help="Rows of one input (JSON Lines), in the order of their arrival. Others are empty.",
)
@click.option(
    "--expect",
    "expected",
    multiple=True,
    callback=_pairs,
    metavar="OUTPUT=FILE",
    help="Rows of one table or topic (JSON Lines or .csv). Without it all output is printed.",
)
@click.option(
    "-d",
    "--directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The resources of JOB and of what it names  [default: environments/local]",
)
@click.option(
    "--dimension",
    "dimensions",
    multiple=True,
    callback=_pairs,
    metavar="TABLE=FILE",
    help="Rows of a dimension (JSON Lines or .csv)  [default: its declared rows]",
)
@click.option("--catalog", metavar="URI", default="", help="Take dimensions from there instead.")
@click.option(
    "--settle",
    default=2.0,
    show_default=True,
    help="Seconds an input stays open: longer than windows of processing time.",
)
@click.option("--timeout", default=300.0, show_default=True, help="Seconds for the whole replay.")
def test(
    job: str,
    inputs: dict[str, list[Path]],
    expected: dict[str, list[Path]],
    directory: Path | None,
    dimensions: dict[str, list[Path]],
    catalog: str,
    settle: float,
    timeout: float,
) -> None:
    """Run JOB on rows from files and compare what comes out, without a platform.

    JOB is a StreamJob: a YAML file, or a name in the directory. Its SQL runs in one Flink process
    from the first row to the last. An input row has the fields of its event, and may have
    event_type, kafka_topic, kafka_partition, kafka_offset, ingested_at and trace_id. Outputs are
    compared by the columns that expected rows have, in any order. Status 1 when they differ.

    \b
    tapehouse test land --input trades=trades.jsonl --expect bronze.trades=expected.csv
    tapehouse test refine --input trades=trades.jsonl --dimension dim.dim_symbol=symbols.csv
    tapehouse test job.yaml -d environments/local --input trades=trades.jsonl
    """
    from tapehouse_laptop.hand.replay import check

    if dimensions and catalog:
        raise click.UsageError("give --dimension or --catalog, not both")
    usual = Path("environments/local")
    place = directory or (usual if usual.is_dir() else None)
    try:
        same = check(
            job,
            place,
            inputs,
            expected,
            dimensions=dimensions,
            catalog=catalog,
            settle=settle,
            timeout=timeout,
        )
    except (LaptopError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if not same:
        sys.exit(1)


@click.command()
def health() -> None:
    """Say whether everything here runs, what does not, and how far behind it is.

    Status 0 when all is well, 1 when something is not.
    """
    from tapehouse_laptop.hand.health import look

    try:
        found = look()
    except LaptopError as error:
        raise click.ClickException(str(error)) from error
    click.echo("\n".join(found.lines()))
    if not found.good:
        sys.exit(1)


@click.command("support-bundle")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The archive, .tar.gz  [default: tapehouse-support-<time>.tar.gz]",
)
def support_bundle(output: Path | None) -> None:
    """Write an archive of resources, events, logs, metrics and versions, without secrets."""
    from tapehouse_laptop.hand.bundle import write

    target = output or Path(f"tapehouse-support-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz")
    try:
        count = write(target)
    except (LaptopError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{target}: {count} files; passwords, keys and tokens are left out")


commands = [sql, sample, test, health, support_bundle]
