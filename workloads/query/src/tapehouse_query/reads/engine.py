"""Runs DuckDB reads in worker threads, with limits on time and memory."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import duckdb
from tapehouse_lake.database import connect
from tapehouse_lake.storage import mount

from tapehouse_query import metrics
from tapehouse_query.errors import TooLargeError, TooSlowError, UnavailableError
from tapehouse_query.reads.files import File
from tapehouse_query.reads.lake import Lake
from tapehouse_query.reads.slices import SliceCache

T = TypeVar("T")

_SMALL = 50_000
"""Rows up to which one thread is used: distributing them would cost more than reading them."""
_SMALL_MEMORY = "256MB"
_LOST = (duckdb.IOException, OSError)
"""Exceptions for a missing file."""


@dataclass(frozen=True, slots=True)
class Session:
    """The resources of one read in one thread."""

    lake: Lake
    one: duckdb.DuckDBPyConnection
    """A cursor of the database that has one thread."""
    many: duckdb.DuckDBPyConnection
    slices: SliceCache

    def rows(self, sql: str, parameters: list[Any], files: Sequence[File]) -> list[tuple[Any, ...]]:
        """Run a query over these files and fetch everything."""
        cursor = self.one if sum(file.rows for file in files) <= _SMALL else self.many
        mount(cursor, (file.path for file in files), self.lake.storage)
        found = cursor.execute(sql, parameters).fetchall()
        metrics.ROWS.inc(len(found))
        return found

    def interrupt(self) -> None:
        """Interrupt running queries."""
        self.one.interrupt()
        self.many.interrupt()


class Engine:
    """Runs reads off the event loop, at most `workers` at a time.

    `threads` and `memory` (as in `1GB`) bound DuckDB; reads of few rows have a database of their
    own, of one thread and 256 MB. `timeout` is in seconds.
    """

    def __init__(
        self,
        lake: Lake,
        threads: int = 2,
        memory: str = "1GB",
        workers: int = 4,
        timeout: float = 30,
        slices: SliceCache | None = None,
    ) -> None:
        self.lake = lake
        self._timeout = timeout
        self._slices = slices or SliceCache()
        self._one, self._many = _database(1, _SMALL_MEMORY), _database(threads, memory)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="read")
        self._local = threading.local()

    async def run(self, name: str, read: Callable[[Session], T]) -> T:
        """Run a read in a thread. `name` labels its metrics.

        Raises:
            TooSlowError: it took longer than the timeout; it has been interrupted.
            TooLargeError: it needed more memory than there is.
            UnavailableError: files vanished under it twice.
        """
        running: list[Session] = []
        job = asyncio.get_running_loop().run_in_executor(
            self._pool, contextvars.copy_context().run, self._work, name, read, running
        )
        try:
            return await asyncio.wait_for(asyncio.shield(job), self._timeout)
        except (TimeoutError, asyncio.CancelledError) as error:
            self._abandon(job, running)
            if isinstance(error, TimeoutError):
                raise TooSlowError(self._timeout) from None
            raise

    def close(self) -> None:
        """Stop the threads and the database."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._one.close()
        self._many.close()

    @staticmethod
    def _abandon(job: "asyncio.Future[Any]", running: list[Session]) -> None:
        job.add_done_callback(lambda done: done.cancelled() or done.exception())
        job.cancel()
        for session in running:
            session.interrupt()

    def _work(self, name: str, read: Callable[[Session], T], running: list[Session]) -> T:
        session = self.session()
        running.append(session)
        started = time.perf_counter()
        try:
            return self._with_retry(session, read)
        except duckdb.OutOfMemoryException:
            raise TooLargeError from None
        finally:
            running.clear()
            metrics.READS.labels(name).observe(time.perf_counter() - started)

    def _with_retry(self, session: Session, read: Callable[[Session], T]) -> T:
        """A cached plan may name files that maintenance has just removed: plan once more."""
        try:
            return read(session)
        except _LOST:
            self.lake.expire()
        try:
            return read(session)
        except _LOST as error:
            raise UnavailableError("a data file cannot be read") from error

    def session(self) -> Session:
        """This thread's session."""
        if not hasattr(self._local, "session"):
            one, many = self._one.cursor(), self._many.cursor()
            self._local.session = Session(self.lake, one, many, self._slices)
        session: Session = self._local.session
        return session


def _database(threads: int, memory: str) -> duckdb.DuckDBPyConnection:
    database = connect(memory, threads)
    database.execute("SET enable_progress_bar = false")
    database.execute("SET parquet_metadata_cache = true")
    return database
