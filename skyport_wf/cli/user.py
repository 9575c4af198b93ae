"""`skyport-wf user`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from skyport_wf.cli.arguments import any_path, everywhere
from skyport_wf.cli.outcome import Outcome, table
from skyport_wf.errors import SkyportError

if TYPE_CHECKING:
    from skyport_wf.store.database import Database

_LONGEST_LINE = 4096
"""Bytes of stdin that are read: a token has 512 at most."""


EXAMPLES = (
    "skyport-wf user add alice",
    "skyport-wf user ls",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    behind = everywhere(argparse.SUPPRESS)
    add = actions.add_parser(
        "add",
        help="add a user of the embedded Shock",
        description="Add a user, or give one a token.",
        parents=[behind],
    )
    add.add_argument("--admin", action="store_true", help="may read, change and delete every node")
    token = actions.add_parser(
        "token",
        help="give a user a new token",
        description="Give a user a new token. The one before, lost or known to others, is good for nothing afterwards.",
        parents=[behind],
    )
    for action in (add, token):
        action.add_argument("name", metavar="USER")
        action.add_argument(
            "--token",
            metavar="TOKEN",
            help="what the user will send, `-` to read it from stdin; made up and printed once if not given",
        )
    ls = actions.add_parser("ls", help="list the users", description="List the users.", parents=[behind])
    for action in (add, token, ls):
        action.add_argument(
            "--data", type=any_path, metavar="DIR", help="the store's folder (default: SKYPORT_DATA, or yours)"
        )


def run(args: argparse.Namespace) -> Outcome:
    """Add a user, give one a new token, or list them. Of a token only a hash is kept."""
    from skyport_wf.store.opening import open_store
    from skyport_wf.user_folders import default_data

    # Only adding a user makes a store: a mistyped folder must not look like a store without users.
    with open_store(args.data or default_data(), must_exist=args.action != "add") as store:
        return {"add": _add, "token": _renew, "ls": _list}[args.action](store.database, args)


def _add(database: Database, args: argparse.Namespace) -> Outcome:
    from skyport_wf.store.users import add_user

    given = _given(args)
    where = "" if database.exists() else " to a new store"
    token = add_user(database, args.name, admin=args.admin, token=given)
    return _told({"name": args.name, "admin": args.admin}, f"added {args.name}{where}", None if given else token)


def _renew(database: Database, args: argparse.Namespace) -> Outcome:
    from skyport_wf.store.users import renew_token

    given = _given(args)
    token = renew_token(database, args.name, token=given)
    return _told({"name": args.name}, f"{args.name} has a new token", None if given else token)


def _given(args: argparse.Namespace) -> str | None:
    given: str | None = args.token
    if given != "-":
        return given
    try:
        line = sys.stdin.buffer.readline(_LONGEST_LINE)
    except OSError as error:
        raise SkyportError(f"cannot read the token from stdin: {error.strerror}") from error
    # What is not UTF-8 becomes characters that no token may have.
    return line.decode(errors="replace").strip()


def _told(value: dict[str, str | bool], text: str, token: str | None) -> Outcome:
    """Return the outcome, with the token only if it was made up: this is the one time it can be read."""
    if token is None:
        return Outcome(value, text)
    return Outcome({**value, "token": token}, f"{text}; the token, shown this once: {token}")


def _list(database: Database, args: argparse.Namespace) -> Outcome:
    from skyport_wf.store.users import list_users

    users = [{"name": user.name, "admin": user.admin} for user in list_users(database)]
    return Outcome({"users": users}, table(("USER", "ADMIN"), [(user["name"], user["admin"]) for user in users]))
