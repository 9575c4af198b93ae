"""Of the platforms that an index has images for, the one that is meant."""

from collections.abc import Iterable


def best_platform(told: Iterable[str], wanted: str) -> str | None:
    """Return the platform among those told that is the wanted one, None if there is none.

    told, wanted: such as `linux/arm64/v8`; a variant counts only where both say one. Without one, an image for all
        variants comes first, then the one for the lowest, which runs on all of these machines.
    """
    asked = wanted.split("/")
    fitting = [parts for parts in (one.split("/") for one in told) if parts[: len(asked)] == asked[: len(parts)]]
    best = min(fitting, key=lambda parts: (parts != asked, parts), default=None)
    return "/".join(best) if best else None
