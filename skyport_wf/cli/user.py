"""`skyport-wf user`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.cli.outcome import Outcome, table

if TYPE_CHECKING:
    from skyport_wf.store.database import Database


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser(
        "add", help="add a user of the embedded Shock", description="Add a user, or give one a token."
    )
    add.add_argument("name", metavar="NAME")
    add.add_argument("--admin", action="store_true", help="may read, change and delete every node")
    add.add_argument(
        "--token",
        metavar="TOKEN",
        help="what the user will send, `-` to read it from stdin; made up and printed once if not given",
    )
    ls = actions.add_parser("ls", help="list the users")
    for action in (add, ls):
        action.add_argument(
            "--data", type=Path, metavar="DIR", help="the store's folder (default: SKYPORT_DATA, or yours)"
        )


def run(args: argparse.Namespace) -> Outcome:
    """Add a user, or list them. Of a token only a hash is kept."""
    from skyport_wf.store.opening import default_data, open_store

    with open_store(args.data or default_data()) as store:
        return _add(store.database, args) if args.action == "add" else _list(store.database)


def _add(database: Database, args: argparse.Namespace) -> Outcome:
    from skyport_wf.store.users import add_user

    given = sys.stdin.readline().strip() if args.token == "-" else args.token  # noqa: S105 - a mark, not a token
    token = add_user(database, args.name, admin=args.admin, token=given)
    if given:
        return Outcome({"name": args.name, "admin": args.admin}, f"added {args.name}")
    value = {"name": args.name, "admin": args.admin, "token": token}
    return Outcome(value, f"added {args.name}; the token, shown this once: {token}")


def _list(database: Database) -> Outcome:
    from skyport_wf.store.users import list_users

    users = [{"name": user.name, "admin": user.admin} for user in list_users(database)]
    return Outcome({"users": users}, table(("USER", "ADMIN"), [(user["name"], user["admin"]) for user in users]))
