"""What is asked of a feed: `gaps` and `deadletters`.

What a command needs is imported when it runs: `--help` must not wait for it.
"""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from tapehouse_cli.names import no_such
from tapehouse_cli.target import Target, connected, targeted

PROGRAM = "tapehouse-feed"
VERBS = ("list", "show", "replay", "purge")


@click.command()
@click.argument("feed")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@targeted
def gaps(feed: str, as_json: bool, cluster: Target) -> None:
    """Show missing and late sequence numbers of FEED.

    Status 0 when none is missing, 1 when some are.
    """
    from tapehouse_operator.emit.feed import REPORT_KEY, FeedNames

    data = asyncio.run(_data(cluster, "ConfigMap", FeedNames(feed).report, feed))
    text = data.get(REPORT_KEY)
    if not text:
        raise click.ClickException(
            f"feed {feed} has not reported yet; see `tapehouse why tf/{feed}`"
        )
    report = json.loads(text)
    click.echo(text if as_json else "\n".join(_lines(feed, report)))
    if report["openGaps"]:
        sys.exit(1)


def _lines(feed: str, report: Mapping[str, Any]) -> Iterator[str]:
    if report["openGaps"]:
        yield f"{feed}: {report['missing']} numbers are missing in {report['openGaps']} gaps"
    else:
        yield f"{feed}: no number is missing"
    for gap in report["gaps"]:
        yield f"open    {_numbers(gap):<32} since {gap['openedAt']}"
    if more := report["openGaps"] - len(report["gaps"]):
        yield f"        and {more} smaller ones"
    for gap in report["closed"]:
        yield f"closed  {_numbers(gap):<32} {gap['openedAt']} to {gap['closedAt']} by {gap['by']}"


def _numbers(gap: Mapping[str, Any]) -> str:
    last = f"-{gap['last']}" if gap["last"] > gap["first"] else ""
    return f"{gap['key']} {gap['first']}{last}".lstrip()


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("verb", type=click.Choice(VERBS))
@click.argument("feed")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@targeted
def deadletters(verb: str, feed: str, options: tuple[str, ...], cluster: Target) -> None:
    """List, show, replay or purge dead letters of FEED.

    \b
    tapehouse deadletters list market --reason rule
    tapehouse deadletters show market --at 0:17
    tapehouse deadletters replay market       each at most once, with the feed as it is now
    tapehouse deadletters purge market --older-than 7d

    Works where the feed can reach its broker: in its Pod, or here when the broker is on this
    machine.
    """
    from tapehouse_operator.emit.feed import CONFIG_KEY, FeedNames

    name = FeedNames(feed).workload
    config = asyncio.run(_data(cluster, "ConfigMap", name, feed))[CONFIG_KEY]
    if _is_here(json.loads(config)["kafka"]["bootstrap.servers"]):
        sys.exit(_run_here(verb, options, config, asyncio.run(_password(cluster, name, feed))))
    sys.exit(_run_there(verb, options, name, cluster))


async def _data(cluster: Target, kind: str, name: str, feed: str) -> Mapping[str, str]:
    from tapehouse_kube.objects import Ref, Scope
    from tapehouse_operator.names import API_VERSION

    async with connected(cluster) as (kube, namespace):
        body = await kube.get(Ref("v1", kind, namespace, name))
        if body is None:
            feeds = [
                str(item["metadata"]["name"])
                async for page in kube.list(Scope(API_VERSION, "TradeFeed", namespace))
                for item in page.items
            ]
    if body is None and feed not in feeds:
        raise click.ClickException(no_such("TradeFeed", feed, f"namespace {namespace}", feeds))
    if body is None:
        remedy = f"is it accepted? see `tapehouse why tradefeed/{feed}`"
        raise click.ClickException(f"feed {feed} has no {kind} {name} yet; {remedy}")
    data: Mapping[str, str] = body.get("data") or {}
    return data


async def _password(cluster: Target, name: str, feed: str) -> str:
    secret = await _data(cluster, "Secret", name, feed)
    return base64.b64decode(secret["password"]).decode()


def _is_here(bootstrap: str) -> bool:
    """Whether a broker listens on this machine's loopback, which Pods elsewhere cannot have."""
    host = bootstrap.split(",")[0].rpartition(":")[0]
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _run_here(verb: str, options: tuple[str, ...], config: str, password: str) -> int:
    beside = Path(sys.executable).parent / PROGRAM
    program = str(beside) if beside.exists() else shutil.which(PROGRAM)
    if program is None:
        raise click.ClickException(f"{PROGRAM} is not installed here; install tapehouse-feed")
    with TemporaryDirectory(prefix="tapehouse-") as home:
        file = Path(home) / "feed.json"
        file.write_text(config)
        command = [program, "deadletters", verb, str(file), *options]
        environment = {**os.environ, "KAFKA_PASSWORD": password}
        return subprocess.run(command, env=environment, check=False).returncode


def _run_there(verb: str, options: tuple[str, ...], name: str, cluster: Target) -> int:
    from tapehouse_operator.emit.feed import CONFIG_KEY
    from tapehouse_operator.emit.manifests import CONFIG_DIR

    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise click.ClickException("kubectl is not on the PATH; it is needed to enter the Pod")
    where = {
        "--namespace": cluster.namespace,
        "--context": cluster.context,
        "--kubeconfig": cluster.found_kubeconfig(),
    }
    asked = [part for option, value in where.items() if value for part in (option, value)]
    inside = [PROGRAM, "deadletters", verb, f"{CONFIG_DIR}/{CONFIG_KEY}", *options]
    command = [kubectl, *asked, "exec", f"deployment/{name}", "-c", "bridge", "--", *inside]
    return subprocess.run(command, check=False).returncode


COMMANDS = (gaps, deadletters)
