"""The server's side of one connection that is only sent to."""

import asyncio

import picows


class Sender(picows.WSListener):
    """Sends for as long as its client is there; `writable` is set while the client keeps up."""

    def __init__(self) -> None:
        self.writable = asyncio.Event()
        self.writable.set()
        self._sending: asyncio.Task[None] | None = None

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Begin to send."""
        self._sending = asyncio.get_running_loop().create_task(self.send(transport))

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """Stop, also in the middle of waiting."""
        self.writable.set()
        if self._sending:
            self._sending.cancel()

    def pause_writing(self) -> None:
        """More is on its way than the client reads."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.writable.set()

    async def send(self, transport: picows.WSTransport) -> None:
        """All there is to send; cancelled when the client goes."""
        raise NotImplementedError
