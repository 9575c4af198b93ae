"""`skyport-wf delete NAME...`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from skyport_wf.cli.absent_names import tell_absent
from skyport_wf.cli.arguments import add_image_list, input_file, node_id, opened_shock, whole_number
from skyport_wf.cli.outcome import Outcome, table
from skyport_wf.errors import EXIT_DONE, EXIT_FAILED, UsageError
from skyport_wf.formatting import count, human_size, printable
from skyport_wf.image_list.place import lock_beside
from skyport_wf.input_file import is_absent

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.publication.deletion import Deletion

_MOST: Final = 99_999
"""Days or nodes; no Shock is older."""
EXAMPLES = (
    "skyport-wf delete 'my-lab/*'",
    "skyport-wf delete my-lab/tool:1.0 --remove",
    "skyport-wf delete '*' --older 90d --keep 1",
    "skyport-wf delete 'my-lab/*' --published --keep 3 --older 180d",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="REPO:TAG, REPO, or either with * ? [...] in quotes; '*' for all"
    )
    parser.add_argument("--node", type=node_id, metavar="ID", help="this node and no other")
    parser.add_argument("--unfinished", action="store_true", help="also uploads that nobody has registered")
    parser.add_argument(
        "--published", action="store_true",
        help="also published images: by age with --older, all but the newest tags of each repository with --keep",
    )  # fmt: skip
    parser.add_argument(
        "--older", type=whole_number("a number of days, such as 90", most=_MOST, unit="d"), default=0, metavar="DAYS",
        help="only those that nobody changed for so long",
    )  # fmt: skip
    parser.add_argument(
        "--keep", type=whole_number("a number of nodes, such as 3", most=_MOST), default=0, metavar="N",
        help="leave the newest N of each name alone; of published images, the newest N tags of each repository",
    )  # fmt: skip
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--remove", action="store_true", help="delete the nodes, not only list them")
    what.add_argument("--dry-run", "-n", action="store_true", help="only list them, as without --remove")
    parser.add_argument(
        "--lock", type=input_file, metavar="FILE", help="the lock file (default: beside the image list)"
    )
    parser.add_argument(
        "--force", action="store_true", help="also what the lock file names, base images of thin ones, and new uploads"
    )
    add_image_list(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Delete nodes that were retired or replaced, and old images; without --remove, say which and what comes free."""
    from skyport_wf.publication.deletion import delete, freed_space, plan_deletion

    if not (args.names or args.node):
        raise UsageError("name the images whose retired nodes are to be deleted ('*' for all), or give --node ID")
    if args.published and not (args.keep or args.older):
        raise UsageError(
            "--published deletes what workers use: say with --older DAYS or --keep N which images stay; 0 would delete "
            "all of them"
        )
    locked = _locked(args.lock or lock_beside(args.images), must_exist=args.lock is not None)
    with opened_shock(args) as shock:
        plan = plan_deletion(
            shock,
            args.names,
            node_id=args.node,
            unfinished=args.unfinished,
            published=args.published,
            older=timedelta(days=args.older),
            keep=args.keep,
            locked=locked,
            force=args.force,
        )
        done = delete(shock, plan) if args.remove else plan
        freed = freed_space(shock, done)
        left = [] if args.node else _tell_left(shock, args, done)
    value = {"removed": args.remove, "freed": freed, "nodes": [_describe(one) for one in done]}
    staying = sum(bool(one.refusal) for one in done)
    failed = staying and (args.remove or args.node)
    if failed:
        value |= {"error": f"{staying} of {count(len(done), 'node')} cannot be deleted", "exit_code": EXIT_FAILED}
    text = [_tell(done, freed, removed=args.remove)] if done else [] if left else ["there is nothing to delete"]
    text.append("\n".join(left))
    return Outcome(value, text, EXIT_FAILED if failed else EXIT_DONE)


def _tell_left(shock: Shock, args: argparse.Namespace, done: Sequence[Deletion]) -> list[str]:
    """Return what to say of the names of which nothing is deleted: they have no image, or one that is not meant."""
    from skyport_wf.image_list.reference import fits
    from skyport_wf.publication.inventory import list_images

    names = [name for name in args.names if name != "*" and not any(fits(one.image.name, [name]) for one in done)]
    images = list_images(shock.user, names, hidden=True) if names else []
    absent = tell_absent(shock, names, images, hidden=True)
    states = {name: sorted({image.state for image in images if fits(image.name, [name])}) for name in names}
    return [absent[name] if name in absent else _why_left(name, states[name], args) for name in names]


def _why_left(name: str, states: Sequence[str], args: argparse.Namespace) -> str:
    """Return why nothing is deleted of what is here under a name."""
    from skyport_wf.publication.deletion import deletable_states

    deletable = deletable_states(unfinished=args.unfinished, published=args.published)
    if held_back := [state for state in states if state in deletable]:
        what = "it" if held_back == list(states) else f"what is {' and '.join(held_back)}"
        why = f"--keep or --older leaves {what} alone"
    elif list(states) == ["unfinished"]:
        why = "uploads are deleted with --unfinished"
    else:
        why = "`skyport-wf retire` takes the name off first"
    return f"nothing to delete of {printable(name)}, which is {' and '.join(states)}: {why}"


def _describe(one: Deletion) -> dict[str, object]:
    image, node = one.image, one.image.node
    return {
        "node": node.id,
        "name": image.name,
        "state": image.state,
        "size": node.file.size,
        "refusal": one.refusal or None,
    }


def _tell(done: Sequence[Deletion], freed: int | None, *, removed: bool) -> str:
    word = "deleted" if removed else "would be deleted"
    rows = [
        (one.image.name, one.image.state, human_size(one.image.node.file.size), one.image.node.id,
         f"stays: {one.refusal}" if one.refusal else word)
        for one in done
    ]  # fmt: skip
    what = "came free" if removed else "would come free; `--remove` deletes them for good"
    going = count(sum(not one.refusal for one in done), "node")
    size = "an unknown size" if freed is None else human_size(freed)
    return f"{table(('IMAGE', 'STATE', 'SIZE', 'NODE', ''), rows)}\n\n{going}, {size} {what}"


def _locked(lock: Path, *, must_exist: bool) -> frozenset[str]:
    """Return the ids of the nodes that a lock file names, and the names of its images."""
    from skyport_wf.records.files import read_record
    from skyport_wf.records.receipt import LockFile

    if not must_exist and is_absent(lock):
        return frozenset()
    images = read_record(lock, LockFile).images
    return frozenset(images) | {image.node for image in images.values()}
