"""The REST catalog: cheap reads of branches, and moves of `main` across tables.

PyIceberg's client has no multi-table transaction and validates whole metadata on every load, so
both go over its authenticated session directly.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import requests
from pyiceberg.catalog.rest import RestCatalog

from tapehouse_lakehouse.ancestry import MAIN, Commit, Move, TableView

_TRANSACTION = "transactions/commit"
_TIMEOUT = (3.0, 20.0)
"""Seconds to connect and to answer."""


class UnavailableError(Exception):
    """The catalog did not answer, or answered that it is unavailable."""


class ConflictError(Exception):
    """The precondition of a move no longer holds: read again."""


class _Wire(msgspec.Struct, frozen=True, rename="kebab"):
    pass


class _Snapshot(_Wire, frozen=True):
    snapshot_id: int
    timestamp_ms: int
    parent_snapshot_id: int | None = None
    summary: dict[str, str] = {}

    def commit(self) -> Commit:
        checkpoint = self.summary.get("flink.max-committed-checkpoint-id", "")
        rows = self.summary.get("total-records", "")
        return Commit(
            snapshot=self.snapshot_id,
            parent=self.parent_snapshot_id,
            at_ms=self.timestamp_ms,
            job=self.summary.get("flink.job-id", ""),
            checkpoint=int(checkpoint) if checkpoint.isdigit() else None,
            rows=int(rows) if rows.isdigit() else None,
        )


class _Ref(_Wire, frozen=True):
    snapshot_id: int


class _Metadata(_Wire, frozen=True):
    table_uuid: str
    refs: dict[str, _Ref] = {}
    snapshots: tuple[_Snapshot, ...] = ()


class _Loaded(_Wire, frozen=True):
    metadata: _Metadata


_decode = msgspec.json.Decoder(_Loaded).decode


def _read(body: bytes) -> _Loaded:
    try:
        return _decode(body)
    except msgspec.MsgspecError as error:
        raise UnavailableError(f"the catalog's answer is not a table: {error}") from error


def connect(uri: str, properties: Mapping[str, str] | None = None) -> RestCatalog:
    """Open the catalog; a load gets complete metadata unless requested otherwise.

    Raises:
        UnavailableError: no answer from `uri`.
    """
    try:
        return RestCatalog("tapehouse", uri=uri, **(properties or {}))
    except requests.RequestException as error:
        raise UnavailableError(f"Iceberg catalog {uri}: {error}") from error


class Lake:
    """The tables of one environment, named without its prefix."""

    def __init__(self, catalog: RestCatalog, prefix: str = "") -> None:
        self.catalog = catalog
        self._prefix = prefix
        self._session = catalog._session
        self._seen: dict[str, tuple[str, TableView]] = {}
        supported = getattr(catalog, "_supported_endpoints", ())
        self.atomic = any(str(e).endswith(_TRANSACTION) for e in supported)
        """Whether several tables can be moved in one request."""

    def qualified(self, identifier: str) -> str:
        """The identifier in the catalog, with the prefix."""
        return self._prefix + identifier

    def look(self, identifier: str, *, whole: bool = False) -> TableView | None:
        """Read a table's refs and, unless `whole`, only the commits they point at.

        An unchanged table is not decoded: the same object is returned.

        Raises:
            UnavailableError: no usable answer.
        """
        etag, known = self._seen.get(identifier, ("", None))
        # The server does not recognise the ETag of a compressed answer.
        headers = {"Accept-Encoding": "identity"}
        if etag and not whole:
            headers["If-None-Match"] = etag
        params = {} if whole else {"snapshots": "refs"}
        answer = self._send("GET", self._path(identifier), params=params, headers=headers)
        if answer.status_code == requests.codes.not_modified:
            return known
        if answer.status_code == requests.codes.not_found:
            self._seen.pop(identifier, None)
            return None
        _check(answer)
        view = _view(_read(answer.content).metadata, known, whole)
        self._seen[identifier] = (answer.headers.get("ETag", ""), view)
        return view

    def forget(self, identifier: str) -> None:
        """Drop the cached state of a table that is no longer published."""
        self._seen.pop(identifier, None)

    def move(self, moves: Sequence[Move]) -> None:
        """Point `main` of every named table at its new snapshot, all or (see `atomic`) in order.

        Verify afterwards: some servers report a move that they did not make.

        Raises:
            ConflictError: a table is gone or its `main` is not where the move expects it.
            UnavailableError: no usable answer; some or all may have moved.
        """
        if self.atomic:
            changes = {"table-changes": [self._change(move) for move in moves]}
            _check(self._send("POST", _TRANSACTION, json=changes))
            return
        for move in moves:
            _check(self._send("POST", self._path(move.table), json=self._change(move)))

    def _path(self, identifier: str) -> str:
        parts = self.catalog._split_identifier_for_path(self.qualified(identifier))
        return f"namespaces/{parts['namespace']}/tables/{parts['table']}"

    def _change(self, move: Move) -> dict[str, Any]:
        *namespace, name = self.qualified(move.table).split(".")
        return {
            "identifier": {"namespace": namespace, "name": name},
            "requirements": [
                {"type": "assert-table-uuid", "uuid": move.uuid},
                {"type": "assert-ref-snapshot-id", "ref": MAIN, "snapshot-id": move.old},
            ],
            "updates": [
                {
                    "action": "set-snapshot-ref",
                    "ref-name": MAIN,
                    "type": "branch",
                    "snapshot-id": move.new.snapshot,
                }
            ],
        }

    def _send(self, method: str, path: str, **request: Any) -> requests.Response:
        try:
            return self._session.request(
                method, self.catalog.url(path), timeout=_TIMEOUT, **request
            )
        except requests.RequestException as error:
            raise UnavailableError(f"{method} {path}: {error}") from error


def _view(metadata: _Metadata, known: TableView | None, whole: bool) -> TableView:
    commits = {s.snapshot_id: s.commit() for s in metadata.snapshots}
    refs = {name: ref.snapshot_id for name, ref in metadata.refs.items()}
    if not whole and known is not None and known.uuid == metadata.table_uuid:
        commits = _trimmed(refs, {**known.commits, **commits})
    return TableView(metadata.table_uuid, refs, commits, complete=whole)


def _trimmed(refs: Mapping[str, int], commits: dict[int, Commit]) -> dict[int, Commit]:
    """Keep the commits from each ref down to `main`, which later plans need, and no others."""
    kept: dict[int, Commit] = {}
    stop = refs.get(MAIN)
    for head in refs.values():
        at: int | None = head
        while at is not None and at not in kept and (commit := commits.get(at)) is not None:
            kept[at] = commit
            at = None if at == stop else commit.parent
    return kept


def _check(answer: requests.Response) -> None:
    if answer.ok:
        return
    text = f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:300]}"
    if answer.status_code in (requests.codes.conflict, requests.codes.not_found):
        raise ConflictError(text)
    raise UnavailableError(text)
