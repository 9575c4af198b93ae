"""Follow symbolic links as the kernel does, by looking up one step of a path after the other."""

from collections.abc import Callable

from skyport_wf.image.layers.stacking import PlacedEntry

_MAX_LINKS = 40
"""Links that Linux follows for one path: path_resolution(7)."""


def follow(path: bytes, look: Callable[[bytes], PlacedEntry | None]) -> bytes | None:
    """Return the path that a path leads to, without links, None if it leads through a file or in a circle.

    path: from the root; `.` and `..` are as the kernel takes them, and the root is above itself.
    look: returns the entry at a path without links; None for a folder that is only implied, and where nothing is.
    """
    steps = path.split(b"/")[::-1]
    resolved: list[bytes] = []
    links = 0
    while steps:
        step = steps.pop()
        if step in (b"", b"."):
            continue
        if step == b"..":
            del resolved[-1:]
            continue
        entry = look(b"/".join((*resolved, step)))
        if entry is not None and entry.kind == "symbolic link":
            links += 1
            if links > _MAX_LINKS:
                return None
            if entry.target.startswith(b"/"):
                resolved.clear()
            steps += entry.target.split(b"/")[::-1]
        elif entry is not None and entry.kind != "folder" and any(steps):
            return None
        else:
            resolved.append(step)
    return b"/".join(resolved)
