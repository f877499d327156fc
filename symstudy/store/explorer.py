"""The explorer as a process beside a notebook, and the frame that shows it.

It is started as `symstudy explore`, since the explorer is built on the store and not the other way
round, and since a notebook's process is busy while it computes.
"""

import atexit
import json
import subprocess
import sys
from collections.abc import Sequence
from html import escape

from symstudy.errors import StoreError

__all__ = ["ExplorerFrame", "start_explorer"]


class ExplorerFrame:
    """An explorer that runs, shown as a frame where a notebook displays it.

    Attributes:
        address: Where the page is; it holds the token.
        height: Height of the frame, in pixels.
        process: The explorer.
    """

    def __init__(self, address: str, height: int, process: "subprocess.Popen[str]") -> None:
        """See the class."""
        self.address = address
        self.height = height
        self.process = process

    def _repr_html_(self) -> str:
        """Return the frame, for notebooks."""
        return (
            f'<iframe src="{escape(self.address)}" width="100%" height="{int(self.height)}" '
            'style="border: 0" title="symstudy explorer"></iframe>'
        )

    def close(self) -> None:
        """End the explorer."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        atexit.unregister(self.close)


def start_explorer(locations: Sequence[str], height: int) -> ExplorerFrame:
    """Start an explorer of some studies; it ends with this process.

    Args:
        locations: Folders of the studies.
        height: Height of the frame, in pixels.

    Raises:
        StoreError: If it does not start; its reason is on stderr.
    """
    first, *more = locations
    others = [word for location in more for word in ("--and", location)]
    command = [sys.executable, "-m", "symstudy", "explore", first, *others, "--no-open", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own
    assert process.stdout is not None, "a pipe"
    text = ""
    for line in process.stdout:
        text += line
        if line.rstrip() == "}":
            break
    try:
        address = json.loads(text)["frame"]
    except (ValueError, KeyError) as error:
        process.terminate()
        process.wait()
        process.stdout.close()
        raise StoreError(
            "the explorer must start, but did not; why is told above, on stderr. To see it again "
            f"type: symstudy explore {first} --no-open"
        ) from error
    frame = ExplorerFrame(address, height, process)
    atexit.register(frame.close)
    return frame
