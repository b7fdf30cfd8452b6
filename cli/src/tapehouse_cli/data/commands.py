"""The commands at hand. What they work with is imported when they run: the others start fast."""

import sys
from pathlib import Path

import click
from tapehouse_laptop.errors import LaptopError

from tapehouse_cli.target import Target, targeted, targeted_by

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
@click.option(
    "--catalog",
    metavar="URI",
    envvar="CATALOG_URI",
    help="Iceberg REST  [default: the cluster's]",
)
@click.option("--prefix", default="", envvar="CATALOG_PREFIX", help="Of namespaces in --catalog.")
@targeted
def sql(
    query: str | None,
    file: Path | None,
    form: str,
    catalog: str | None,
    prefix: str,
    cluster: Target,
) -> None:
    """Query the tables with SQL.

    QUERY, a file, or standard input; statements end with ;.

    DuckDB reads every table of the catalog as namespace.table, as readers see it (main), and
    changes nothing. Only the tables that a query names are looked at. SHOW TABLES lists them.

    \b
    tapehouse sql "SELECT symbol, count(*) FROM bronze.trades GROUP BY ALL"
    tapehouse sql --format csv -f report.sql > report.csv
    """
    from tapehouse_cli.data.sql import ask

    if query and file:
        raise click.UsageError("give QUERY or --file, not both")
    try:
        ask(file.read_text() if file else query, form, catalog, prefix, cluster)
    except BrokenPipeError:
        raise  # the reader of the output has enough; `main` ends quietly
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
@targeted_by("--namespace")
def sample(
    feed: str | None,
    file: Path | None,
    frames: int,
    raw: bool,
    timeout: float,
    cluster: Target,
) -> None:
    """Show frames of FEED and what each one becomes.

    Nothing is written to Kafka and the feed itself is not disturbed: the source is read again.
    Of a simulator the events are those of its seed, from the first.

    \b
    tapehouse sample market
    tapehouse sample -f feed.yaml -n 3
    """
    from tapehouse_cli.data.sample import show

    if (feed is None) == (file is None):
        raise click.UsageError("give FEED, one that runs here, or --file, one that may not yet")
    try:
        show(feed, file, frames, raw, timeout, cluster)
    except BrokenPipeError:
        raise  # the reader of the output has enough; `main` ends quietly
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
    """Run JOB on rows from files and compare its output.

    JOB is a StreamJob: a YAML file, or a name in the directory. Its SQL runs in one Flink process
    from the first row to the last. An input row has the fields of its event, and may have
    event_type, kafka_topic, kafka_partition, kafka_offset, ingested_at and trace_id. Outputs are
    compared by the columns that expected rows have, in any order. Status 1 when they differ.

    \b
    tapehouse test land --input trades=trades.jsonl --expect bronze.trades=expected.csv
    tapehouse test refine --input trades=trades.jsonl --dimension dim.dim_symbol=symbols.csv
    tapehouse test job.yaml -d environments/local --input trades=trades.jsonl
    """
    from tapehouse_cli.data.replay import check

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
    except BrokenPipeError:
        raise  # the reader of the output has enough; `main` ends quietly
    except (LaptopError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if not same:
        sys.exit(1)


commands = [sql, sample, test]
