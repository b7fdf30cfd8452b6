"""Watchlists: named lists of symbols, kept per user in SQLite or PostgreSQL."""

import importlib
import sqlite3
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from tapehouse_query.errors import BadInputError, UnavailableError

MAX_LISTS = 100
MAX_SYMBOLS = 500
_MAX_NAME = 100

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS watchlist (
      id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, created_at TEXT NOT NULL,
      UNIQUE (owner, name))""",
    """CREATE TABLE IF NOT EXISTS watchlist_symbol (
      watchlist TEXT NOT NULL REFERENCES watchlist (id) ON DELETE CASCADE,
      symbol TEXT NOT NULL, PRIMARY KEY (watchlist, symbol))""",
)


_ONE_MAKER = "SELECT pg_advisory_xact_lock(8017390561)"
"""Servers that start together must not make the tables at once: PostgreSQL refuses one of them."""


@dataclass(frozen=True, slots=True)
class Watchlist:
    """One list; symbols in alphabetical order."""

    id: str
    name: str
    created_at: datetime
    symbols: tuple[str, ...]


class Watchlists:
    """All users' lists. Thread-safe; every method is one transaction.

    `driver` is the DB-API module whose connections `connect` makes, `turn` is held by who uses one.
    """

    def __init__(
        self,
        driver: ModuleType,
        connect: Callable[[], Any],
        schema: Sequence[str],
        turn: AbstractContextManager[Any],
    ) -> None:
        self._driver = driver
        self._connect = connect
        self._schema = schema
        self._turn = turn
        self._mark = "?" if driver.paramstyle == "qmark" else "%s"
        self._ready = False

    def of(self, owner: str) -> list[Watchlist]:
        """The user's lists by name."""
        with self._transaction() as run:
            return _lists(run, "owner = ?", owner)

    def create(self, owner: str, name: str, symbols: Sequence[str] = ()) -> Watchlist:
        """A new list.

        Raises:
            BadInputError: the name is taken, empty or too long, or there are too many.
        """
        if not name.strip() or len(name) > _MAX_NAME:
            raise BadInputError("name", name, f"must have from 1 to {_MAX_NAME} characters")
        _check_size(symbols)
        made = Watchlist(str(uuid.uuid4()), name, datetime.now(UTC), tuple(sorted(set(symbols))))
        with self._transaction() as run:
            mine = _lists(run, "owner = ?", owner)
            if name in {one.name for one in mine}:
                raise BadInputError("name", name, "is taken: choose another")
            if len(mine) >= MAX_LISTS:
                raise BadInputError("name", name, f"there are {MAX_LISTS} lists: delete one first")
            row = (made.id, owner, name, made.created_at.isoformat())
            try:
                run("INSERT INTO watchlist (id, owner, name, created_at) VALUES (?, ?, ?, ?)", *row)
            except self._driver.IntegrityError:
                raise BadInputError("name", name, "has just been taken: choose another") from None
            _add(run, made.id, made.symbols)
        return made

    def add(self, owner: str, id: str, symbols: Sequence[str]) -> Watchlist:  # noqa: A002
        """Put symbols on a list; those that are on it stay.

        Raises:
            BadInputError: no such list of this user, or it would be too long.
        """
        with self._transaction() as run:
            mine = _mine(run, owner, id)
            new = sorted(set(symbols) - set(mine.symbols))
            _check_size([*mine.symbols, *new])
            _add(run, id, new)
            return _mine(run, owner, id)

    def remove(self, owner: str, id: str, symbols: Sequence[str]) -> Watchlist:  # noqa: A002
        """Take symbols off a list.

        Raises:
            BadInputError: no such list of this user.
        """
        with self._transaction() as run:
            _mine(run, owner, id)
            for symbol in symbols:
                run("DELETE FROM watchlist_symbol WHERE watchlist = ? AND symbol = ?", id, symbol)
            return _mine(run, owner, id)

    def delete(self, owner: str, id: str) -> None:  # noqa: A002
        """Delete a list.

        Raises:
            BadInputError: no such list of this user.
        """
        with self._transaction() as run:
            _mine(run, owner, id)
            run("DELETE FROM watchlist_symbol WHERE watchlist = ?", id)
            run("DELETE FROM watchlist WHERE id = ?", id)

    @contextmanager
    def _transaction(self) -> Iterator["Run"]:
        try:
            with self._turn, closing(self._connect()) as connection:
                cursor = connection.cursor()

                def run(sql: str, *values: Any) -> list[tuple[Any, ...]]:
                    cursor.execute(sql.replace("?", self._mark), values)
                    return list(cursor.fetchall()) if cursor.description else []

                if not self._ready:
                    for statement in self._schema:
                        run(statement)
                yield run
                connection.commit()
                self._ready = True
        except self._driver.OperationalError as error:
            raise UnavailableError("the database of the watchlists does not answer") from error


Run = Callable[..., list[tuple[Any, ...]]]


def open_watchlists(location: str) -> Watchlists:
    """The lists stored at a `postgresql://` URL or in a SQLite file.

    Nothing is opened before the first use; an empty location makes every use an `UnavailableError`.
    """
    if location.startswith(("postgresql://", "postgres://")):
        driver = importlib.import_module("psycopg")
        schema = (_ONE_MAKER, *_SCHEMA)
        return Watchlists(
            driver, lambda: driver.connect(location, connect_timeout=5), schema, nullcontext()
        )
    return Watchlists(sqlite3, lambda: _sqlite(location), _SCHEMA, threading.Lock())


def _sqlite(location: str) -> sqlite3.Connection:
    """A connection within a transaction that writes.

    Started as one, it waits for its turn. A lock that is asked for later, between reading and
    writing or to change the journal's mode, is refused at once when another process holds it.
    """
    if not location:
        raise UnavailableError("watchlists are not kept here: set TAPEHOUSE_DATA or WATCHLISTS_URL")
    try:
        Path(location).parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(location, timeout=5, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
    except (OSError, sqlite3.OperationalError) as error:
        raise UnavailableError("the file of the watchlists cannot be written") from error
    return connection


def _lists(run: Run, condition: str, *values: Any) -> list[Watchlist]:
    """The lists by name; sorted here, since databases sort by their locale."""
    chosen = f"FROM watchlist WHERE {condition}"
    found = sorted(run(f"SELECT name, id, created_at {chosen}", *values))
    symbols: dict[str, list[str]] = defaultdict(list)
    of_these = f"FROM watchlist_symbol WHERE watchlist IN (SELECT id {chosen})"
    for id, symbol in run(f"SELECT watchlist, symbol {of_these}", *values):  # noqa: A001
        symbols[id].append(symbol)
    return [
        Watchlist(id, name, datetime.fromisoformat(created), tuple(sorted(symbols[id])))
        for name, id, created in found  # noqa: A001
    ]


def _mine(run: Run, owner: str, id: str) -> Watchlist:  # noqa: A002
    found = _lists(run, "owner = ? AND id = ?", owner, id)
    if not found:
        raise BadInputError("watchlistId", id, "no list of yours has this id: see myWatchlists")
    return found[0]


def _add(run: Run, id: str, symbols: Sequence[str]) -> None:  # noqa: A002
    for symbol in symbols:
        run(
            "INSERT INTO watchlist_symbol (watchlist, symbol) VALUES (?, ?) ON CONFLICT DO NOTHING",
            id,
            symbol,
        )


def _check_size(symbols: Sequence[str]) -> None:
    if len(symbols) > MAX_SYMBOLS:
        raise BadInputError("symbols", len(symbols), f"a list holds at most {MAX_SYMBOLS} symbols")
