"""A revision's branch starts where the revision before has stopped."""

from typing import Any

from pyflink.java_gateway import get_gateway


def fork(catalog: Any, identifier: str, branch: str, source: str) -> bool:
    """Make `branch` of a table at the head of `source`; whether anything was made.

    Nothing is done where `branch` exists (an earlier attempt made it), and where `source` does
    not: then the sink makes the branch with its first commit.
    """
    table = catalog.loadTable(_identifier(identifier))
    references = table.refs()
    if references.containsKey(branch) or not references.containsKey(source):
        return False
    head = references.get(source).snapshotId()
    table.manageSnapshots().createBranch(branch, head).commit()
    return True


def _identifier(text: str) -> Any:
    return get_gateway().jvm.org.apache.iceberg.catalog.TableIdentifier.parse(text)
