"""The Kubernetes API over HTTP: one connection pool, back-off, paging, watching."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from yarl import URL

from tapehouse_kube.access import Access
from tapehouse_kube.errors import Rejected, Unavailable
from tapehouse_kube.objects import FIELD_MANAGER, Body, Page, Ref, Scope, WatchEvent

PAGE_SIZE = 500
REQUEST_TIMEOUT = 15.0
"""Seconds; the lease's fence counts on it."""
WATCH_MINUTES = (5.0, 10.0)
SILENCE = 150.0
"""Seconds without an event or bookmark (about one a minute) after which a watch is dead."""
MAX_LINE = 8 * 2**20
JSON = "application/json"
METADATA = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class HttpKube:
    """`Kube` on aiohttp. Use as an async context manager."""

    def __init__(self, access: Access, rng: random.Random | None = None) -> None:
        self._access = access
        self._random = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._plurals: dict[tuple[str, str], tuple[str, bool]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._not_before = 0.0
        self.calls: dict[str, int] = {}

    async def __aenter__(self) -> "HttpKube":
        connector = aiohttp.TCPConnector(limit=0, ssl=self._access.tls or False)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT),
            read_bufsize=2**18,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, ref: Ref) -> Body | None:
        """See `Kube.get`."""
        try:
            return await self._call("GET", await self._path(ref))
        except Rejected as e:
            if e.status == 404:
                return None
            raise

    async def list(self, scope: Scope) -> AsyncIterator[Page]:
        """See `Kube.list`; each page is a consistent part of one snapshot."""
        query = {**_selectors(scope), "limit": str(PAGE_SIZE)}
        accept = METADATA_LIST if scope.metadata_only else JSON
        while True:
            body = await self._call("GET", await self._collection(scope), query, accept=accept)
            meta = body["metadata"]
            yield Page(tuple(body.get("items") or ()), meta["resourceVersion"])
            if not meta.get("continue"):
                return
            query["continue"] = meta["continue"]

    async def watch(self, scope: Scope, since: str) -> AsyncIterator[WatchEvent]:
        """See `Kube.watch`."""
        seconds = self._random.uniform(*WATCH_MINUTES) * 60
        query = {
            **_selectors(scope),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": since,
            "timeoutSeconds": str(int(seconds)),
        }
        url = self._access.server + await self._collection(scope)
        headers = self._headers(METADATA if scope.metadata_only else JSON)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE)
        self._count("WATCH")
        try:
            async with self._http.get(
                url, params=query, headers=headers, timeout=timeout
            ) as response:
                if response.status >= 400:
                    raise _refusal(response, await response.read())
                async for line in _lines(response.content):
                    yield _event(line)
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as e:
            raise Unavailable(f"watch of {scope}: {type(e).__name__} {e}") from e

    async def apply(self, body: Body, *, dry_run: bool = False, force: bool = True) -> Body:
        """See `Kube.apply`; unknown fields are refused rather than dropped."""
        meta = body["metadata"]
        ref = Ref(body["apiVersion"], body["kind"], meta.get("namespace", ""), meta["name"])
        forced = {"force": "true"} if force else {}
        query = {"fieldManager": FIELD_MANAGER, **forced, **_write_query(dry_run)}
        # JSON is YAML; application/apply-patch+json has no support before 1.33.
        return await self._call(
            "PATCH", await self._path(ref), query, body, "application/apply-patch+yaml"
        )

    async def merge(self, ref: Ref, patch: Body, subresource: str = "") -> Body:
        """See `Kube.merge`."""
        path = await self._path(ref) + (f"/{subresource}" if subresource else "")
        query = {"fieldManager": FIELD_MANAGER}
        return await self._call("PATCH", path, query, patch, "application/merge-patch+json")

    async def delete(self, ref: Ref, *, uid: str, resource_version: str = "") -> None:
        """See `Kube.delete`."""
        conditions = {"uid": uid}
        if resource_version:
            conditions["resourceVersion"] = resource_version
        options = {"propagationPolicy": "Background", "preconditions": conditions}
        try:
            await self._call("DELETE", await self._path(ref), {}, options)
        except Rejected as e:
            if e.status != 404:
                raise

    async def create(self, body: Body, *, dry_run: bool = False) -> Body:
        """Create `body`, which must not exist."""
        meta = body["metadata"]
        scope = Scope(body["apiVersion"], body["kind"], meta.get("namespace", ""))
        path = await self._collection(scope)
        return await self._call("POST", path, _write_query(dry_run), body)

    async def replace(self, body: Body, *, dry_run: bool = False) -> Body:
        """Replace `body`, guarded by its `resourceVersion`."""
        meta = body["metadata"]
        ref = Ref(body["apiVersion"], body["kind"], meta.get("namespace", ""), meta["name"])
        return await self._call("PUT", await self._path(ref), _write_query(dry_run), body)

    @property
    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("HttpKube is used outside `async with`")
        return self._session

    async def _path(self, ref: Ref) -> str:
        scope = Scope(ref.api_version, ref.kind, ref.namespace)
        return f"{await self._collection(scope)}/{quote(ref.name, safe='')}"

    async def _collection(self, scope: Scope) -> str:
        plural, namespaced = await self._plural(scope.api_version, scope.kind)
        where = f"/namespaces/{scope.namespace}" if scope.namespace and namespaced else ""
        return f"{_root(scope.api_version)}{where}/{plural}"

    async def _plural(self, api_version: str, kind: str) -> tuple[str, bool]:
        """By discovery, once for each group: what is not installed is asked for again."""
        if (api_version, kind) not in self._plurals:
            listed = await self._call("GET", _root(api_version))
            for resource in listed["resources"]:
                if "/" not in resource["name"]:
                    found = (resource["name"], bool(resource["namespaced"]))
                    self._plurals[api_version, resource["kind"]] = found
        if (api_version, kind) not in self._plurals:
            raise Rejected(404, "NoKindMatch", f"the API server has no {kind} in {api_version}")
        return self._plurals[api_version, kind]

    async def _call(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        content: str = JSON,
        accept: str = JSON,
    ) -> dict[str, Any]:
        """One request, sent once: the queue repeats it, with its own back-off and fence."""
        await self._wait_for_permission()
        self._count(verb)
        headers = self._headers(accept)
        if body is not None:
            headers["Content-Type"] = content
        try:
            async with self._http.request(
                verb,
                _url(f"{self._access.server}{path}", query or {}),
                data=None if body is None else orjson.dumps(body),
                headers=headers,
            ) as response:
                raw = await response.read()
                if response.status >= 400:
                    raise self._noted(_refusal(response, raw))
                answer: dict[str, Any] = orjson.loads(raw)
                return answer
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as e:
            raise Unavailable(f"{verb} {path}: {type(e).__name__} {e}") from e

    async def _wait_for_permission(self) -> None:
        """`Retry-After` is meant for the whole client: the server is busy, not one object."""
        loop = asyncio.get_running_loop()
        while (wait := self._not_before - loop.time()) > 0:
            await asyncio.sleep(wait * self._random.uniform(1.0, 1.2))

    def _noted(self, error: Exception) -> Exception:
        if isinstance(error, Unavailable) and error.retry_after:
            until = asyncio.get_running_loop().time() + error.retry_after
            self._not_before = max(self._not_before, until)
        return error

    def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Accept": accept, "User-Agent": "tapehouse"}
        if token := self._access.authorization():
            headers["Authorization"] = token
        return headers

    def _count(self, verb: str) -> None:
        self.calls[verb] = self.calls.get(verb, 0) + 1


def _url(address: str, query: Mapping[str, str]) -> URL:
    """Encoded already: finding out what still is to be encoded is a tenth of a request's cost."""
    return URL(f"{address}?{urlencode(query)}" if query else address, encoded=True)


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _write_query(dry_run: bool) -> dict[str, str]:
    return {"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}


def _selectors(scope: Scope) -> dict[str, str]:
    query = {"labelSelector": scope.labels, "fieldSelector": scope.fields}
    return {name: value for name, value in query.items() if value}


def _refusal(response: aiohttp.ClientResponse, raw: bytes) -> Exception:
    """429 and 5xx may pass; everything else is an answer."""
    try:
        status: Mapping[str, Any] = orjson.loads(raw)
    except orjson.JSONDecodeError:
        status = {"message": raw[:500].decode(errors="replace")}
    message = str(status.get("message", "")) or f"HTTP {response.status}"
    if response.status == 429 or response.status >= 500:
        wait = response.headers.get("Retry-After", "0")
        return Unavailable(message, float(wait) if wait.isdigit() else 1.0)
    return Rejected(response.status, str(status.get("reason") or response.reason), message)


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length up to `MAX_LINE`; aiohttp's own reader gives up at its buffer size."""
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line
        if len(rest) > MAX_LINE:
            raise Unavailable(f"a watch line exceeds {MAX_LINE} bytes")


def _event(line: bytes) -> WatchEvent:
    raw = orjson.loads(line)
    body = raw["object"]
    if raw["type"] == "ERROR":
        if body.get("code") == 410:
            raise Rejected(410, "Expired", str(body.get("message", "")))
        raise Unavailable(f"watch error {body.get('code')}: {body.get('message', '')}")
    return WatchEvent(raw["type"], body)
