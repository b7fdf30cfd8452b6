"""What every controller of the substrate is given."""

from dataclasses import dataclass
from pathlib import Path

from tapehouse_laptop.components import Components
from tapehouse_laptop.kubeapi import Kube
from tapehouse_laptop.net import Net
from tapehouse_laptop.state import State


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of a controller: `async def run(ctx: Context) -> None`, until cancelled.

    Controllers watch all namespaces. They start processes through `processes.Process`, log through
    `logging` under their module's name, and stop what they started when cancelled.
    """

    kube: Kube
    """The administrator's access."""
    net: Net
    state: State
    components: Components
    """Where a controller shows its processes, endpoints and troubles."""

    @property
    def data(self) -> Path:
        """`TAPEHOUSE_DATA`: what must outlive restarts."""
        return self.state.data
