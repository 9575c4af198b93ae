"""`skyport-wf gc`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import any_path
from skyport_wf.cli.outcome import Outcome, table
from skyport_wf.errors import EXIT_DIFFERENCE, EXIT_DONE
from skyport_wf.formatting import count, human_size, printable

if TYPE_CHECKING:
    from skyport_wf.store.opening import Store


EXAMPLES = (
    "skyport-wf gc",
    "skyport-wf gc --remove",
    "skyport-wf gc --check",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--remove", action="store_true", help="remove the files, not only list them")
    what.add_argument("--dry-run", "-n", action="store_true", help="only list them, as without any option")
    what.add_argument(
        "--check",
        action="store_true",
        help="instead, read the file of every node, and list what is damaged or missing",
    )
    parser.add_argument(
        "--data", type=any_path, metavar="DIR", help="the store's folder (default: SKYPORT_DATA, or yours)"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Find the files that crashes left in the embedded Shock, or those that are damaged; nodes are never touched."""
    from skyport_wf.store.folder import DataFolder
    from skyport_wf.store.opening import open_store
    from skyport_wf.store.refusals import DamagedError
    from skyport_wf.user_folders import default_data

    data = args.data or default_data()
    try:
        with open_store(data, maintain=False, must_exist=True) as store:
            return _check(store) if args.check else _collect(store, remove=args.remove)
    except DamagedError as error:
        if not args.check:
            raise
        # Damage is what the check looks for. Which files there should be, nothing else tells.
        found = {"node": "", "name": "", "path": str(DataFolder(data).database), "damage": str(error)}
        return Outcome({"checked": 0, "damaged": [found]}, str(error), EXIT_DIFFERENCE)


def _collect(store: Store, *, remove: bool) -> Outcome:
    from skyport_wf.store.garbage import collect_garbage

    orphans = collect_garbage(store, remove=remove)
    found = [{"path": str(orphan.path), "size": orphan.size} for orphan in orphans]
    total = human_size(sum(orphan.size for orphan in orphans))
    rows = [(human_size(orphan.size), orphan.path) for orphan in orphans]
    what = "removed" if remove else "found; `skyport-wf gc --remove` removes them"
    text = f"{table(('SIZE', 'FILE'), rows)}\n\n{count(len(orphans), 'file')}, {total}, {what}"
    code = EXIT_DIFFERENCE if orphans and not remove else EXIT_DONE
    return Outcome({"removed": remove, "files": found}, text if orphans else "nothing was left behind", code)


def _check(store: Store) -> Outcome:
    from skyport_wf.store.checking import check_files

    read = size = 0
    damaged = []
    for file in check_files(store):
        read, size = read + 1, size + file.size
        if file.damage:
            damaged.append(file)
    value = {
        "checked": read,
        "damaged": [
            {"node": file.node, "name": file.name, "path": str(file.path), "damage": file.damage} for file in damaged
        ],
    }
    summary = f"{count(read, 'file')} of nodes, {human_size(size)}, read: "
    if not damaged:
        return Outcome(value, f"{summary}all as they were written")
    rows = [(file.node, printable(file.name), file.damage, file.path) for file in damaged]
    listed = table(("NODE", "NAME", "DAMAGE", "FILE"), rows)
    advice = "Restore them from a backup, or retire these images and publish them again."
    return Outcome(value, f"{listed}\n\n{summary}{len(damaged)} damaged or missing. {advice}", EXIT_DIFFERENCE)
