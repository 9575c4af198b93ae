"""Spellings of platforms: `linux/x86_64` is `linux/amd64`, as docker and podman take it."""

from typing import Final

_MACHINES: Final = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "armhf": "arm/v7",
    "armel": "arm/v6",
}
"""Machines that have other names, and what images say; those are of containerd's `platforms`."""


def normalize_platform(text: str) -> str:
    """Return a platform as images say theirs: in lower case, with the machine's first name.

    text: such as `linux/x86_64` or `Linux/AMD64`.
    A variant that means nothing, such as the `v8` of `linux/arm64/v8`, stays: what is published that way has it in its
    source digest.
    """
    system, *rest = text.lower().split("/")
    if rest and (machine := _MACHINES.get(rest[0])):
        rest = [machine] if "/" in machine else [machine, *rest[1:]]
    return "/".join((system, *rest))
