"""DuckDB in a few threads: one database without tables, a cursor per thread, limits on all."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import duckdb

from tapehouse_query import metrics
from tapehouse_query.errors import TooSlowError, UnavailableError
from tapehouse_query.reads.lake import Lake
from tapehouse_query.reads.pages import PageCache

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Session:
    """What one read works with, in one thread."""

    lake: Lake
    cursor: duckdb.DuckDBPyConnection
    pages: PageCache

    def rows(self, sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        """Run a query and fetch everything."""
        found = self.cursor.execute(sql, parameters).fetchall()
        metrics.ROWS.inc(len(found))
        return found


class Engine:
    """Runs reads off the event loop, at most `workers` at a time.

    `threads` and `memory` (as in `1GB`) bound DuckDB as a whole; `timeout` is in seconds.
    """

    def __init__(
        self,
        lake: Lake,
        threads: int = 2,
        memory: str = "1GB",
        workers: int = 4,
        timeout: float = 30,
        pages: PageCache | None = None,
    ) -> None:
        self.lake = lake
        self._timeout = timeout
        self._pages = pages or PageCache()
        self._database = duckdb.connect(config={"threads": threads, "memory_limit": memory})
        self._database.execute("SET TimeZone = 'UTC'")
        self._database.execute("SET enable_progress_bar = false")
        self._database.execute("SET parquet_metadata_cache = true")
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="read")
        self._local = threading.local()

    async def run(self, name: str, read: Callable[[Session], T]) -> T:
        """Run a read in a thread. `name` labels its metrics.

        Raises:
            TooSlowError: it took longer than the timeout; it has been interrupted.
            UnavailableError: files vanished under it twice.
        """
        running: list[duckdb.DuckDBPyConnection] = []
        job = asyncio.get_running_loop().run_in_executor(
            self._pool, contextvars.copy_context().run, self._work, name, read, running
        )
        try:
            return await asyncio.wait_for(asyncio.shield(job), self._timeout)
        except (TimeoutError, asyncio.CancelledError) as error:
            self._give_up(job, running)
            if isinstance(error, TimeoutError):
                raise TooSlowError(self._timeout) from None
            raise

    def close(self) -> None:
        """Stop the threads and the database."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._database.close()

    @staticmethod
    def _give_up(job: "asyncio.Future[Any]", running: list[duckdb.DuckDBPyConnection]) -> None:
        job.add_done_callback(lambda done: done.cancelled() or done.exception())
        job.cancel()
        for cursor in running:
            cursor.interrupt()

    def _work(
        self,
        name: str,
        read: Callable[[Session], T],
        running: list[duckdb.DuckDBPyConnection],
    ) -> T:
        session = self._session()
        running.append(session.cursor)
        started = time.perf_counter()
        try:
            return self._with_retry(session, read)
        finally:
            running.clear()
            metrics.READS.labels(name).observe(time.perf_counter() - started)

    def _with_retry(self, session: Session, read: Callable[[Session], T]) -> T:
        """A cached plan may name files that maintenance has just removed: plan once more."""
        try:
            return read(session)
        except duckdb.IOException:
            self.lake.expire()
        try:
            return read(session)
        except duckdb.IOException as error:
            raise UnavailableError("a data file cannot be read") from error

    def _session(self) -> Session:
        if not hasattr(self._local, "session"):
            self._local.session = Session(self.lake, self._database.cursor(), self._pages)
        session: Session = self._local.session
        return session
