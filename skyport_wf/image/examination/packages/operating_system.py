"""The distribution that an image is of: os-release, as systemd defines it."""

import re
import shlex

import msgspec

from skyport_wf.image.examination.packages.package import clean

PLACES = (b"etc/os-release", b"usr/lib/os-release")
"""The first that is there counts."""
PATHS = re.compile(b"|".join(PLACES))


class OperatingSystem(msgspec.Struct, frozen=True):
    """A distribution."""

    id: str
    """Such as `debian`."""
    version: str
    """Such as `12`; empty for a rolling one."""
    name: str
    """To show, such as `Debian GNU/Linux 12 (bookworm)`."""


def read_operating_system(content: bytes) -> OperatingSystem | None:
    """Return the distribution that the file names, None if it names none. Raises ValueError if it cannot be read."""
    words = shlex.split(content.decode(errors="replace"), comments=True)
    fields = dict(word.split("=", 1) for word in words if "=" in word)
    if not fields.get("ID"):
        return None
    version, name = fields.get("VERSION_ID", ""), fields.get("PRETTY_NAME") or fields["ID"]
    return OperatingSystem(clean(fields["ID"]), clean(version), clean(name))
