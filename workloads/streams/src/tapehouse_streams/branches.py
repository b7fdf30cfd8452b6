"""A revision's branch starts where the revision before has stopped."""

from typing import Any

from pyflink.java_gateway import get_gateway

from tapehouse_streams.revisions import origin


def fork(catalog: Any, identifier: str, branch: str, source: str) -> bool:
    """Make `branch` of a table at the head of `source`; whether anything was made.

    Where `source` never came to be (its revision was replaced before it started), the newest
    branch before `branch` takes its place, so that no row written earlier is lost. Nothing is done
    where `branch` exists (an earlier attempt made it), and where no earlier branch does: then the
    sink makes the branch with its first commit.
    """
    table = catalog.loadTable(_identifier(identifier))
    references = table.refs()
    if references.containsKey(branch):
        return False
    start = origin(set(references.keySet()), branch, source)
    if start is None:
        return False
    head = references.get(start).snapshotId()
    table.manageSnapshots().createBranch(branch, head).commit()
    return True


def _identifier(text: str) -> Any:
    return get_gateway().jvm.org.apache.iceberg.catalog.TableIdentifier.parse(text)
