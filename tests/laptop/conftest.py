"""A node per test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.laptop.pods import Laptop, context, make_namespace, remove_pods, running_node
from tests.support.controlplane import ApiServer


@pytest.fixture
async def laptop(
    apiserver: ApiServer, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Laptop]:
    name = request.node.name.replace("_", "-").split("[")[0][:50].strip("-")
    async with apiserver.client() as kube:
        namespace = await make_namespace(kube, name)
        ctx = context(kube, apiserver, tmp_path / "state")
        async with running_node(ctx):
            yield Laptop(kube, namespace, ctx)
            await remove_pods(kube, namespace)
