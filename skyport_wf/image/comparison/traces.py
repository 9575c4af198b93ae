"""Files that two builds of the same never have in common: a build leaves them behind, and no program needs them.

They are listed apart from the others, not left out: a difference in them is one.
"""

import re
from typing import Final

WHERE: Final = (
    "var/log/", "var/cache/", "var/lib/apt/lists/", "tmp/", "var/tmp/", "run/", "root/.cache/",
)  # fmt: skip
"""Folders of logs, caches and temporary files."""
_FILES: Final = re.compile(
    rb"home/[^/]+/\.cache/.+"
    rb"|var/lib/dpkg/[^/]+-old|var/cache/debconf/[^/]+-old"  # copies that dpkg and debconf keep of the state before
    rb"|etc/(?:passwd|group|shadow|gshadow|subuid|subgid)-"  # the same, of adduser
    rb"|etc/machine-id|var/lib/dbus/machine-id"  # drawn at random
    rb"|var/lib/systemd/catalog/database|var/lib/systemd/random-seed",
    re.DOTALL,
)
_BELOW: Final = re.compile(b"(?:" + b"|".join(re.escape(folder.encode()) for folder in WHERE) + b").+", re.DOTALL)


def is_trace(path: bytes) -> bool:
    """Return whether a build leaves its own log, cache or temporary file at the path, seen from the root."""
    return bool(_BELOW.fullmatch(path) or _FILES.fullmatch(path))
