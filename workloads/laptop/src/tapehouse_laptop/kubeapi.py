"""A small asynchronous Kubernetes client: what the laptop's controllers need and nothing more."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
from tapehouse_kube.access import Access, load_access

Manifest = dict[str, Any]

MANAGER = "tapehouse-laptop"
"""Field manager of everything the substrate writes."""
REQUEST_TIMEOUT = 30.0
WATCH_SECONDS = 570
PAGE = 500
PATCH_TYPES = {
    "apply": "application/apply-patch+yaml",
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


class Key(NamedTuple):
    """Names an object of a known kind; `namespace` is empty for cluster-wide ones."""

    namespace: str
    name: str

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "Key":
        """The key of an object."""
        meta = manifest["metadata"]
        return cls(meta.get("namespace", ""), meta["name"])

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind and where the API serves it."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", sub: str = "") -> str:
        """The URL path of the collection, or of one object and its subresource."""
        root = "/apis/" if "/" in self.api_version else "/api/"
        parts = [root + self.api_version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        return "/".join([*parts, self.plural, *filter(None, (name, sub))])


PODS = Resource("v1", "Pod", "pods")
NODES = Resource("v1", "Node", "nodes", namespaced=False)
NAMESPACES = Resource("v1", "Namespace", "namespaces", namespaced=False)
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")
SECRETS = Resource("v1", "Secret", "secrets")
SERVICE_ACCOUNTS = Resource("v1", "ServiceAccount", "serviceaccounts")
CRDS = Resource(
    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", False
)
KAFKAS = Resource("kafka.strimzi.io/v1", "Kafka", "kafkas")
KAFKA_NODE_POOLS = Resource("kafka.strimzi.io/v1", "KafkaNodePool", "kafkanodepools")
KAFKA_TOPICS = Resource("kafka.strimzi.io/v1", "KafkaTopic", "kafkatopics")
KAFKA_USERS = Resource("kafka.strimzi.io/v1", "KafkaUser", "kafkausers")
FLINK_DEPLOYMENTS = Resource("flink.apache.org/v1beta1", "FlinkDeployment", "flinkdeployments")


class ApiError(Exception):
    """The API server refused; `status` is the HTTP code, `reason` Kubernetes' word for it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Kube:
    """Requests to one API server. Use as an async context manager."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session = aiohttp.ClientSession(
            base_url=access.server,
            connector=aiohttp.TCPConnector(ssl=access.tls or False, limit=32),
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT),
        )

    @classmethod
    def connect(cls, kubeconfig: Path, context: str | None = None) -> "Kube":
        """A client for a kubeconfig; call it inside a running event loop."""
        return cls(load_access(str(kubeconfig), context or ""))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Any:
        """One call; returns decoded JSON, or text where the answer is not JSON.

        Raises:
            ApiError: the answer is 400 or above.
            aiohttp.ClientError, TimeoutError: the server cannot be reached.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers() | ({"Content-Type": content} if data is not None else {})
        async with self._session.request(
            method, path, data=data, params=query, headers=headers
        ) as response:
            text = await response.text()
            if response.status >= 400:
                raise _error(response.status, text)
            return json.loads(text) if "json" in response.content_type else text

    def _headers(self) -> dict[str, str]:
        authorization = self._access.authorization()
        return {"Authorization": authorization} if authorization else {}

    async def get(self, resource: Resource, key: Key) -> Manifest | None:
        """The object, or None when there is none."""
        try:
            found: Manifest = await self.request("GET", resource.path(*key))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    async def list(
        self, resource: Resource, namespace: str = "", selector: str = ""
    ) -> tuple[list[Manifest], str]:
        """All objects (of all namespaces when none is given) and the resourceVersion to watch."""
        items: list[Manifest] = []
        query = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = await self.request("GET", resource.path(namespace), query=query)
            items += [_typed(resource, item) for item in page["items"]]
            if not (token := page["metadata"].get("continue")):
                return items, page["metadata"]["resourceVersion"]
            query["continue"] = token

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Create; `ApiError` 409 when it exists."""
        path = resource.path(Key.of(manifest).namespace)
        created: Manifest = await self.request(
            "POST", path, body=manifest, query={"fieldManager": MANAGER}
        )
        return created

    async def apply(self, resource: Resource, manifest: Manifest, sub: str = "") -> Manifest:
        """Server-side apply, forced. `sub="status"` applies the status alone."""
        return await self._patch(
            resource, Key.of(manifest), manifest, "apply", sub, {"force": "true"}
        )

    async def patch(
        self, resource: Resource, key: Key, patch: Any, *, how: str = "merge", sub: str = ""
    ) -> Manifest:
        """Patch; `how` is `merge`, `json` or `strategic`."""
        return await self._patch(resource, key, patch, how, sub, {})

    async def patch_status(self, resource: Resource, key: Key, status: Manifest) -> Manifest:
        """Merge `status`: lists replace lists, None removes a field."""
        return await self.patch(resource, key, {"status": status}, sub="status")

    async def _patch(
        self,
        resource: Resource,
        key: Key,
        patch: Any,
        how: str,
        sub: str,
        query: Mapping[str, str],
    ) -> Manifest:
        patched: Manifest = await self.request(
            "PATCH",
            resource.path(*key, sub),
            body=patch,
            query={"fieldManager": MANAGER, **query},
            content=PATCH_TYPES[how],
        )
        return patched

    async def delete(
        self, resource: Resource, key: Key, *, grace: int | None = None, uid: str | None = None
    ) -> bool:
        """Delete; `grace` in seconds. False when there was none, or `uid` is another's by now."""
        body: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            await self.request("DELETE", resource.path(*key), body=body)
        except ApiError as error:
            if error.status in (404, 409):
                return False
            raise
        return True

    async def watch(
        self, resource: Resource, version: str, namespace: str = "", selector: str = ""
    ) -> AsyncIterator[tuple[str, Manifest]]:
        """Changes since `version` as (ADDED|MODIFIED|DELETED|BOOKMARK, object), until it ends.

        Raises:
            ApiError: 410 when `version` is too old: list again.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        } | ({"labelSelector": selector} if selector else {})
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=WATCH_SECONDS + 30)
        async with self._session.get(
            resource.path(namespace), params=query, headers=self._headers(), timeout=timeout
        ) as response:
            if response.status >= 400:
                raise _error(response.status, await response.text())
            async for line in _lines(response.content):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _error(event["object"].get("code", 500), json.dumps(event["object"]))
                yield event["type"], _typed(resource, event["object"])

    async def token(self, account: Key, seconds: int, pod: Manifest | None = None) -> str:
        """A token of a ServiceAccount, valid for `seconds` and only as long as `pod` exists."""
        spec: Manifest = {"expirationSeconds": seconds}
        if pod is not None:
            meta = pod["metadata"]
            spec["boundObjectRef"] = {
                "kind": "Pod",
                "apiVersion": "v1",
                "name": meta["name"],
                "uid": meta["uid"],
            }
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self.request("POST", SERVICE_ACCOUNTS.path(*account, "token"), body=body)
        return str(answer["status"]["token"])


def _typed(resource: Resource, item: Manifest) -> Manifest:
    # Items of built-in lists come without their type.
    item.setdefault("apiVersion", resource.api_version)
    item.setdefault("kind", resource.kind)
    return item


def _error(status: int, text: str) -> ApiError:
    try:
        body = json.loads(text)
    except ValueError:
        return ApiError(status, "Unknown", text.strip() or f"HTTP {status}")
    return ApiError(status, body.get("reason", "Unknown"), body.get("message", text))


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    # StreamReader.readline refuses lines over 64 KiB; watch events may be 1.5 MiB.
    rest = bytearray()
    async for chunk in stream.iter_any():
        rest += chunk
        while (end := rest.find(b"\n")) >= 0:
            line = bytes(rest[:end])
            del rest[: end + 1]
            if line:
                yield line
