"""Pod IPs: loopback addresses, given to one Pod at a time."""

import ipaddress
from collections.abc import Mapping

from tapehouse_laptop.kubeapi import Manifest
from tapehouse_laptop.net import SHARED, Net
from tapehouse_laptop.node.sources import SourceError

ANNOTATION = "tapehouse.dev/pod-ip"


class Addresses:
    """Who has which address, by the Pod's uid."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._holders: dict[str, tuple[str, str]] = {}

    def take(self, pod: Manifest) -> str:
        """The Pod's address: the annotated one, the one it had, or the next free one.

        Raises:
            SourceError: the annotated address is not of this network, or another Pod has it.
        """
        meta = pod["metadata"]
        for address, (uid, _) in self._holders.items():
            if uid == meta["uid"]:
                return address
        wanted = (meta.get("annotations") or {}).get(ANNOTATION)
        address = self._static(wanted) if wanted else self._free(pod.get("status") or {})
        if address != SHARED:
            self._holders[address] = (meta["uid"], meta["name"])
        return address

    def release(self, uid: str) -> None:
        """Give back what a Pod had."""
        held = [address for address, holder in self._holders.items() if holder[0] == uid]
        for address in held:
            del self._holders[address]

    def _static(self, wanted: str) -> str:
        third, fourth = self._parts(wanted)
        address = self._net.address(third, fourth)
        if address in self._holders:
            raise SourceError(
                f"address {wanted} is held by Pod {self._holders[address][1]} until that ends"
            )
        return address

    def _parts(self, wanted: str) -> tuple[int, int]:
        network = ipaddress.IPv4Network(f"{self._net.prefix}.0.0/16")
        try:
            parsed = ipaddress.IPv4Address(wanted)
        except ValueError:
            parsed = None
        if parsed is None or parsed not in network:
            raise SourceError(f"annotation {ANNOTATION}: {wanted!r}: write an address of {network}")
        third, fourth = parsed.packed[2:]
        return third, fourth

    def _free(self, status: Mapping[str, str]) -> str:
        before = status.get("podIP", "")
        if before.startswith(f"{self._net.prefix}.") and before not in self._holders:
            return before
        for third in range(1, 255):
            for fourth in range(1, 255):
                address = self._net.address(third, fourth)
                if address not in self._holders:
                    return address
        raise SourceError(f"no free address in {self._net.prefix}.0.0/16")
