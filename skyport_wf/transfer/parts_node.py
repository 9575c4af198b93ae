"""A node whose file comes in parts: sending them one by one, and waiting until the server has joined them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from skyport_wf.errors import SkyportError
from skyport_wf.store.refusals import SERVER_FULL
from skyport_wf.transfer.parts import Part, ReadRange, read_part

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import Node

_JOINING_SECONDS, _JOINED_PER_SECOND = 300, 5_000_000
"""How long joining may take: this, and at least so many bytes a second."""
_FORGOTTEN_SECONDS = 10
"""For how long a node may have all its parts, no file, and no joining under way."""
_FULL_SECONDS = 5
"""For how long a server may have had no room, and not yet have seen that there is room now."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0


class UnusableNodeError(SkyportError):
    """The node cannot become what was sent: Shock never takes a part a second time."""


class NoRoomError(SkyportError):
    """The server's disk is full; the parts are there, and are joined once there is room."""


def put_part(
    shock: Shock,
    node_id: str,
    part: Part,
    read: ReadRange,
    *,
    digest: str,
    there: Mapping[int, str],
    stopping: threading.Event,
) -> None:
    """Let the node have the part, and see that it is the right one.

    digest: the part's MD5.
    there: the MD5s, by number, of parts that the node has already; these are not sent.
    Raises UnusableNodeError if it has another one, or is gone.
    """
    from skyport_wf.shock.connection import ShockRefusalError

    try:
        listed = there.get(part.number) or shock.user.send_part(
            node_id, part.number, lambda: read_part(read, part, stopping), size=part.size, stopping=stopping
        )
    except ShockRefusalError as error:
        if error.status == 404:
            raise _vanished(shock, node_id) from error
        raise
    if listed != digest:
        raise UnusableNodeError(
            f"part {part.number} arrived damaged: {shock.name} lists it with MD5 {listed}, it has {digest}"
        )


def await_joined(shock: Shock, node_id: str, size: int) -> Node:
    """Return the node when the server has joined its parts.

    size: bytes of all of them.
    Raises UnusableNodeError if that fails, takes unreasonably long, or was forgotten; NoRoomError if the server has no
    room for it now.
    """
    began = time.monotonic()
    until = began + _JOINING_SECONDS + size / _JOINED_PER_SECOND
    forgotten = until
    pause = _SHORTEST_PAUSE
    while True:
        node = shock.user.find(node_id)
        if node is None:
            raise _vanished(shock, node_id)
        if node.file.complete:
            return node
        what = f"{shock.name} could not join the parts of node {node_id}"
        now = time.monotonic()
        reason = node.file.locked.error.rstrip(".") if node.file.locked else ""
        if reason.startswith(SERVER_FULL) and now > began + _FULL_SECONDS:
            raise NoRoomError(
                f"{what}: {reason}. The parts are there: make room on that disk, or ask who runs the server to, and "
                "run the command again. It goes on."
            )
        if reason and not reason.startswith(SERVER_FULL):
            raise UnusableNodeError(f"{what}: {reason}")
        # A server that is started again while it joins never goes on. Its node then looks, for ever, as otherwise
        # only for the moment between the last part and the beginning of joining.
        forgotten = until if node.file.locked else min(forgotten, now + _FORGOTTEN_SECONDS)
        if now > forgotten:
            raise UnusableNodeError(f"{what}: it has forgotten them")
        if now > until:
            raise UnusableNodeError(f"{what} in reasonable time")
        time.sleep(pause)
        pause = min(1.5 * pause, _LONGEST_PAUSE)


def _vanished(shock: Shock, node_id: str) -> UnusableNodeError:
    return UnusableNodeError(f"the unfinished upload {node_id} vanished from {shock.name}")
