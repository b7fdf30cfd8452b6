"""Queries over what readers see: DuckDB, and of the catalog's tables those a query names."""

import re
from collections.abc import Iterator

import duckdb
from pyiceberg.catalog import Catalog
from tapehouse_lake.database import Database
from tapehouse_laptop.errors import LaptopError

MAIN = "main"
READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


class Lake:
    """The tables of one environment, named without its prefix."""

    def __init__(self, catalog: Catalog, prefix: str = "") -> None:
        self._catalog = catalog
        self._prefix = prefix

    def tables(self) -> list[str]:
        """The identifiers of every table, sorted."""
        found = (
            ".".join(identifier)
            for namespace in self._catalog.list_namespaces()
            for identifier in self._catalog.list_tables(namespace)
        )
        return sorted(each.removeprefix(self._prefix) for each in found if self._ours(each))

    def _ours(self, identifier: str) -> bool:
        return identifier.startswith(self._prefix)

    def attach(self, database: Database, query: str) -> None:
        """Make every table that `query` names readable as `namespace.table`, at `main`."""
        for identifier in named(query, self.tables()):
            table = self._catalog.load_table(self._prefix + identifier)
            head = table.snapshot_by_name(MAIN)
            database.attach(identifier, table, head.snapshot_id if head else None)


def named(query: str, tables: list[str]) -> Iterator[str]:
    """Those of `tables` that stand in `query`; one too many costs time and nothing else."""
    for identifier in tables:
        parts = (f'"?{re.escape(part)}"?' for part in identifier.split("."))
        pattern = r'(?<![\w."])' + r"\s*\.\s*".join(parts) + r"(?!\w)"
        if re.search(pattern, query, re.IGNORECASE):
            yield identifier


def statements(text: str) -> list[str]:
    """The statements of a script.

    Raises:
        LaptopError: it does not parse, or one of them would change something.
    """
    try:
        found = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise LaptopError(sentence(error)) from error
    for each in found:
        if each.type not in READING:
            word = each.type.name.lower().replace("_", " ")
            raise LaptopError(
                f"{word}: only queries are run here (SELECT, FROM, WITH, DESCRIBE, EXPLAIN); "
                "tables are written by stream jobs and transforms"
            )
    return [each.query.strip().rstrip(";") for each in found]


def sentence(error: duckdb.Error) -> str:
    """What DuckDB says, on one line: where, if it knows, and without its own name for it."""
    text = str(error)
    what, _, place = text.partition("\n\n")
    what = " ".join(what.split("\n", 1)[0].split())
    what = re.sub(r"^(\w+ )+Error: ", "", what)
    line = re.match(r"LINE (\d+): (.*)", place)
    return f"line {line[1]}: {what} ({line[2].strip()})" if line else what


def opened() -> Database:
    """An empty database of the size of a laptop."""
    return Database(memory="2GB", threads=2)
