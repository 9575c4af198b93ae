"""Which process on which machine did something: enough to tell, on that machine, whether it still runs.

On Linux; elsewhere a mark says nothing, and nobody is taken for dead.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

_ENDED = frozenset("ZX")
"""States of a process that has ended, but whose parent has not asked for its exit code yet."""


def mark_process() -> dict[str, str]:
    """Return the mark of this process: where it runs (a digest that names no host), its number, and since when."""
    number = str(os.getpid())
    return {"machine": _machine(), "process": number, "since": _running_since(number) or ""}


def is_dead(mark: Mapping[str, object]) -> bool:
    """Return whether the process of a mark is known to have ended: it was on this machine, and is no more."""
    here, number = _machine(), str(mark.get("process"))
    if not here or mark.get("machine") != here or not number.isdigit():
        return False
    try:
        # Signal 0 only asks whether it is there; /proc may hide the processes of other users.
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass
    # Numbers are given out again, but not with the same time of starting.
    since = _running_since(number)
    return since is not None and since != mark.get("since")


def _machine() -> str:
    """Return what this boot of this machine, or container, has for itself; empty if that cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return hashlib.sha256(f"{boot} {Path('/proc/self/ns/pid').readlink()}".encode()).hexdigest()[:32]
    except OSError:
        return ""


def _running_since(number: str) -> str | None:
    """Return when a process started, in ticks since the machine did; empty if it has ended, None if hidden."""
    try:
        stat = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return None
    # proc(5): the second field is the program's name in brackets, and may hold anything.
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in _ENDED else fields[18]
