"""`skyport-wf gc`."""

import argparse
from pathlib import Path

from skyport_wf.cli.outcome import Outcome, table
from skyport_wf.errors import EXIT_DIFFERENCE, EXIT_DONE
from skyport_wf.formatting import count, human_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("--remove", action="store_true", help="remove the files, not only list them")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the store's folder (default: SKYPORT_DATA, or yours)")


def run(args: argparse.Namespace) -> Outcome:
    """Find the files that crashes left in the embedded Shock; nodes are never touched."""
    from skyport_wf.store.garbage import collect_garbage
    from skyport_wf.store.opening import default_data, open_store

    with open_store(args.data or default_data(), maintain=False) as store:
        orphans = collect_garbage(store, remove=args.remove)
    found = [{"path": str(orphan.path), "size": orphan.size} for orphan in orphans]
    total = human_size(sum(orphan.size for orphan in orphans))
    rows = [(human_size(orphan.size), orphan.path) for orphan in orphans]
    what = "removed" if args.remove else "found; `skyport-wf gc --remove` removes them"
    text = f"{table(('SIZE', 'FILE'), rows)}\n\n{count(len(orphans), 'file')}, {total}, {what}"
    code = EXIT_DIFFERENCE if orphans and not args.remove else EXIT_DONE
    return Outcome({"removed": args.remove, "files": found}, text if orphans else "nothing was left behind", code)
