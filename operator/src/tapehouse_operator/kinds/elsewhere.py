"""What one resource reads of another's spec."""

from collections.abc import Mapping
from typing import Any

from tapehouse_operator.api.base import Reason
from tapehouse_operator.emit.consumers import Consumers
from tapehouse_operator.errors import NotReady
from tapehouse_operator.kinds.contract import World


def text_at(spec: Mapping[str, Any], *path: str) -> str:
    """The text at `path` in another resource's spec, empty if there is none.

    Its own kind judges that spec; one that is malformed there must not trip us here.
    """
    value: Any = spec
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def consumers_of(world: World, what: str) -> Consumers:
    """The specs of all that look at the resource; ask only where it matters who reads `what`.

    Raises:
        NotReady: not all of them have been looked at since the operator started.
    """
    if world.consumers is None:
        message = f"whether anybody reads {what} is not known yet"
        raise NotReady(Reason.CONSUMERS_UNKNOWN, message)
    return {at: seen.data for at, seen in world.consumers.items()}
