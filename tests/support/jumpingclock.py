"""A wall clock that a test can set wrong, for the processes that are started with it."""

import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


class JumpingClock:
    """Needs a C compiler. Monotonic clocks and static binaries keep the right time."""

    def __init__(self, directory: Path) -> None:
        self._library, self._offset = directory / "jumpingclock.so", directory / "offset"
        self.jump(0)
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", self._library, SOURCE],
            check=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        """For the processes whose clock it is."""
        return {"LD_PRELOAD": str(self._library), "JUMPING_CLOCK": str(self._offset)}

    def jump(self, seconds: int) -> None:
        """From now on the clock is so far ahead of the right time; behind it, if negative."""
        with self._offset.open("r+b" if self._offset.exists() else "wb") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))
