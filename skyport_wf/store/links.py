"""One-time links: whoever has one may fetch files without a token. Shock calls that preauthorized.

Only the SHA-256 of a link's name is stored, as of a token (users.py).
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.store.access import User
from skyport_wf.store.database import Database, timestamp
from skyport_wf.store.refusals import InvalidRequestError

_VALID = timedelta(days=1)
_MOST_LINKS = 10_000
"""Links of one user, or of all without a token together, that wait to be used: who may read can make them."""
_MOST_BYTES = 16 * 1024 * 1024
"""Size of those links: each names the nodes that it leads to."""


class Link(msgspec.Struct, frozen=True):
    """The files that a link leads to, and how they are sent."""

    nodes: tuple[str, ...]
    """UUIDs of the nodes."""
    file_name: str
    """Name of the download."""
    compression: str = ""
    """`gzip` or `zip`, for the file of one node."""
    archive: str = ""
    """`zip` or `tar`, for the files of any number of nodes."""


def make_link(database: Database, user: User, link: Link) -> tuple[str, datetime]:
    """Keep a link that a user asked for, and return its name and the moment until which it can be used.

    Raises InvalidRequestError for a user whose links are too many.
    """
    name = secrets.token_urlsafe(20)
    now = datetime.now(UTC)
    row = (_hash(name), user.id, msgspec.json.encode(link).decode(), timestamp(now + _VALID))
    with database.write() as connection:
        connection.execute("DELETE FROM link WHERE valid_until <= ?", (timestamp(now),))
        asked = "SELECT count(*), total(length(link)) FROM link WHERE user = ?"
        links, size = connection.execute(asked, (user.id,)).fetchone()
        if links >= _MOST_LINKS or size + len(row[2]) > _MOST_BYTES:
            raise InvalidRequestError(
                "you have too many links that nobody has used; each goes when it is used, or in a day"
            )
        connection.execute("INSERT INTO link (name_sha256, user, link, valid_until) VALUES (?, ?, ?, ?)", row)
    return name, now + _VALID


def find_link(database: Database, name: str) -> Link | None:
    """Return the link of that name, None if there is none or no longer."""
    if not database.exists():
        return None
    # An older database has no table of links, until something is written.
    database.prepare()
    asked = "SELECT link FROM link WHERE name_sha256 = ? AND valid_until > ?"
    with database.read() as connection:
        return _link(connection.execute(asked, (_hash(name), timestamp())).fetchone())


def take_link(database: Database, name: str) -> Link | None:
    """Return the link of that name and take it away: of those who ask at the same time, one gets it."""
    # Asked by a reader: nobody waits for us while strangers guess names.
    if not find_link(database, name):
        return None
    taken = "DELETE FROM link WHERE name_sha256 = ? AND valid_until > ? RETURNING link"
    with database.write() as connection:
        return _link(connection.execute(taken, (_hash(name), timestamp())).fetchone())


def _link(row: tuple[str] | None) -> Link | None:
    return decode_json(row[0], Link) if row else None


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode(errors="replace")).digest()
