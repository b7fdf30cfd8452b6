"""The loopback range in which an installation keeps all its addresses."""

import ipaddress
import socket
from dataclasses import dataclass

SHARED = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Net:
    """`prefix` is the first two bytes, as in `127.77`.

    Where the machine has only 127.0.0.1 (macOS), every address is that one: ports are distinct.
    """

    prefix: str

    @classmethod
    def parse(cls, network: str) -> "Net":
        """From `podNetwork`, as in `127.77.0.0/16`.

        Raises:
            ValueError: not a loopback network of 16 bits.
        """
        try:
            parsed = ipaddress.IPv4Network(network)
        except ValueError as error:
            raise ValueError(f"podNetwork: {network!r}: {error}; write 127.x.0.0/16") from error
        if not parsed.is_loopback or parsed.prefixlen != 16:
            raise ValueError(f"podNetwork: {network!r}: write a loopback range, 127.x.0.0/16")
        return cls(".".join(network.split(".")[:2]))

    def address(self, third: int, fourth: int) -> str:
        """The address `<prefix>.third.fourth`, or 127.0.0.1 where that cannot be bound."""
        wanted = f"{self.prefix}.{third}.{fourth}"
        return wanted if _bindable(f"{self.prefix}.0.1") else SHARED

    @property
    def control_plane(self) -> str:
        """Where the API server and etcd listen."""
        return self.address(0, 1)

    @property
    def kafka(self) -> str:
        """Where the first broker listens."""
        return self.address(0, 20)


def _bindable(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
