"""`skyport-wf diff A B`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from skyport_wf.cli.arguments import add_image_list, shock_if_needed
from skyport_wf.cli.comparison import add_leniency, check_pattern, comparison_sections, count_differences
from skyport_wf.cli.outcome import Outcome
from skyport_wf.cli.progress import progress_bar
from skyport_wf.errors import EXIT_DONE, SkyportError, UsageError

if TYPE_CHECKING:
    from skyport_wf.image.comparison.comparison import ImageComparison

_DIFFERS = 1
"""The exit code for images that differ: those of `diff`, where 2 is trouble."""
_NAMES = {"published": "a", "published_id": "a_id", "rebuilt": "b", "rebuilt_id": "b_id"}
"""Fields of a comparison that have other names here, where nothing was built again."""
EXAMPLES = (
    "skyport-wf diff my-lab/tool:1.0 my-lab/tool:2.0",
    "skyport-wf diff my-lab/tool:1.0 ./tool.tar.gz --ignore-traces",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    for which in "AB":
        parser.add_argument(
            which.lower(),
            metavar=which,
            help="REPO[:TAG] of a published image, or the path of an archive or OCI layout",
        )
    add_leniency(parser)
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Read both images, and say in which packages, files and metadata they differ."""
    try:
        found, names = _compare(args)
    except SkyportError as error:
        # Whoever asks by exit code must not take trouble of any kind for a difference.
        raise UsageError(str(error)) from error
    return Outcome(
        {"a": names[0], "b": names[1], **_renamed(_plain(found))},
        (_summary(found, names), *comparison_sections(found, ("A", "B"), paths=args.paths)),
        _DIFFERS if found.verdict == "drifted" else EXIT_DONE,
    )


def _compare(args: argparse.Namespace) -> tuple[ImageComparison, tuple[str, str]]:
    """Return what differs, and the names of the images."""
    from skyport_wf.inspection.diff import compare_sources
    from skyport_wf.inspection.image_source import find_image
    from skyport_wf.inspection.reproduce import Leniency

    leniency = Leniency(tuple(map(check_pattern, args.ignore)))
    with shock_if_needed(args) as shock, progress_bar(args, f"compare {args.a} and {args.b}") as progress:
        first, second = (find_image(word, shock, progress) for word in (args.a, args.b))
        found = compare_sources(first, second, ignored=leniency.ignores, ignore_traces=args.ignore_traces)
    return found, (first.name, second.name)


def _summary(found: ImageComparison, names: tuple[str, str]) -> str:
    told = {
        "identical": "identical: it is the same image",
        "same contents": "same contents: the same files and config; only ids and times differ",
        "drifted": f"different: {count_differences(found) or 'nothing but logs, caches and times'}",
    }[found.verdict]
    return f"{told}\nA  {found.published_id}  {names[0]}\nB  {found.rebuilt_id}  {names[1]}"


def _plain(found: ImageComparison) -> Any:
    import msgspec

    return {**msgspec.to_builtins(found), "verdict": "different" if found.verdict == "drifted" else found.verdict}


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {_NAMES.get(key, key): _renamed(one) for key, one in value.items()}
    return [_renamed(one) for one in value] if isinstance(value, list | tuple) else value
