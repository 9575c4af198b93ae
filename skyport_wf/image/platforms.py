"""Platforms, such as `linux/amd64`: what an image is for, and which of an index is meant."""

from collections.abc import Iterable
from typing import Final

from skyport_wf.image_list.platforms import normalize_platform

AWE_PLATFORM: Final = "linux/amd64"
"""The platform of AWE's workers."""


def is_platform(platform: str, wanted: str) -> bool:
    """Return whether an image for `platform` is one for `wanted`, in any spelling, as far as it says what it is for.

    Variants, such as the `v8` of linux/arm64/v8, do not count where one of both has none.
    """
    told, asked = _parts(platform), _parts(wanted)
    return all(one == other for one, other in zip(told, asked, strict=False) if one and other)


def best_platform(told: Iterable[str], wanted: str) -> str | None:
    """Return the platform among those told that is the wanted one, in any spelling; None if there is none.

    told, wanted: such as `linux/arm64/v8`; a variant counts only where both say one. Without one, an image for all
        variants comes first, then the one for the lowest, which runs on all of these machines.
    """
    asked = _parts(wanted)
    known = {one: _parts(one) for one in told}
    fitting = [one for one, parts in known.items() if parts[: len(asked)] == asked[: len(parts)]]
    return min(fitting, key=lambda one: (known[one] != asked, known[one]), default=None)


def _parts(platform: str) -> list[str]:
    return normalize_platform(platform).split("/")
