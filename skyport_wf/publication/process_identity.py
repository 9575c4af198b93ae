"""The process and the machine that did something: enough to tell, on that machine, whether it still runs.

On Linux; elsewhere a mark says nothing, and nobody is taken for dead.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,12}\.[0-9]{2}", re.ASCII)
_CLOCK_SECONDS = 5.0


def mark_process() -> dict[str, str]:
    """Return the mark of this process: where it runs (a digest that names no host), its number, when it started."""
    number = os.getpid()
    return {"machine": _machine(), "process": str(number), "started": f"{_started(number) or 0:.2f}"}


def is_dead(mark: Mapping[str, object]) -> bool:
    """Return whether the process of a mark is known to have ended: it was on this machine, and is no more.

    mark: as a node has it, which anyone may have written.
    """
    here, number, started = _machine(), mark.get("process"), mark.get("started")
    if not here or mark.get("machine") != here or not isinstance(number, str) or not _NUMBER.fullmatch(number):
        return False
    if not isinstance(started, str) or not _SECONDS.fullmatch(started):
        return False
    now = _started(int(number))
    # Numbers are given out again, but not to a process that started at the same time. The kernel tells that time in
    # ticks since it booted, and when that was changes a little as clocks are set.
    return now == 0 or (now is not None and abs(now - float(started)) > _CLOCK_SECONDS)


def _machine() -> str:
    """Return what this boot of this machine, or container, has for itself; empty if that cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return hashlib.sha256(f"{boot} {Path('/proc/self/ns/pid').readlink()}".encode()).hexdigest()[:32]
    except OSError:
        return ""


def _started(number: int) -> float | None:
    """Return when a process started, in seconds since 1970; 0 if it has ended, None if that is hidden."""
    import psutil

    try:
        process = psutil.Process(number)
        # One that has ended stays in the list until its parent has asked for its exit code.
        ended = process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        return 0.0 if ended else float(process.create_time())
    except psutil.NoSuchProcess:
        return 0.0
    except psutil.Error:
        return None
