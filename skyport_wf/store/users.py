"""Users and their tokens.

Only the SHA-256 of a token is stored. That suffices because a token made here has 256 random bits: there is
nothing to guess, so a slow password hash would only slow down every request. A token that someone chose
themselves is as safe as it is long.
"""

import hashlib
import hmac
import re
import secrets
import sqlite3
from uuid import uuid4

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.store.access import PUBLIC, User
from skyport_wf.store.database import Database, is_uuid, timestamp

_NAME = re.compile(r"[^\s,/?&#]{1,128}")
_TOKEN = re.compile(r"[\x21-\x7e]{8,512}")


def add_user(database: Database, name: str, *, admin: bool = False, token: str | None = None) -> str:
    """Make a user, or give a token to one who has none yet, and return the token: it cannot be read back.

    token: what the user will send, 8 to 512 printable characters without spaces; made up if not given.
    Raises UsageError for a name or a token that cannot be used, SkyportError if the user has a token already
    or someone else has that token.
    """
    _check_name(name)
    token = _usable(token)
    with database.write() as connection:
        user = _find_or_create(connection, name)
        if connection.execute("SELECT token_sha256 FROM user WHERE id = ?", (user.id,)).fetchone()[0]:
            raise SkyportError(
                f"user {name!r} exists and has a token already. "
                f"Choose another name, or make a new token with `skyport-wf user token {name}`."
            )
        _set_token(connection, user, token, admin=admin)
    return token


def renew_token(database: Database, name: str, *, token: str | None = None) -> str:
    """Give a user a new token, and return it; the one before is good for nothing from now on.

    token: as in add_user.
    Raises UsageError for a token that cannot be used, SkyportError if there is no such user or someone else has
    that token.
    """
    token = _usable(token)
    with database.write() as connection:
        user = _find(connection, name)
        if user is None:
            raise SkyportError(f"there is no user {name!r}. `skyport-wf user add {name}` adds one.")
        _set_token(connection, user, token, admin=user.admin)
    return token


def list_users(database: Database) -> tuple[User, ...]:
    """Return all users, by name."""
    with database.read() as connection:
        return tuple(_user(row) for row in connection.execute("SELECT * FROM user ORDER BY name"))


def find_by_token(database: Database, token: str) -> User | None:
    """Return whose token it is, or None."""
    wanted = _hash(token)
    with database.read() as connection:
        row = connection.execute("SELECT * FROM user WHERE token_sha256 = ?", (wanted,)).fetchone()
    # The search compares hashes, whose bytes nobody can choose, so its duration tells nothing about tokens;
    # the comparison that decides takes the same time for every input.
    return _user(row) if row and hmac.compare_digest(row["token_sha256"], wanted) else None


def find_or_create(database: Database, name: str) -> User:
    """Return the user of that name, made if there is none, as Shock does with names in ACLs.

    Raises UsageError for a name that cannot be used.
    """
    if user := find_by_name(database, name):
        return user
    _check_name(name)
    with database.write() as connection:
        return _find_or_create(connection, name)


def find_by_name(database: Database, name: str) -> User | None:
    """Return the user of that name, or None."""
    with database.read() as connection:
        return _find(connection, name)


def is_user_name(name: str) -> bool:
    """Return whether a user may have the name."""
    return name != PUBLIC and not is_uuid(name) and name.isprintable() and _NAME.fullmatch(name) is not None


def _check_name(name: str) -> None:
    if not is_user_name(name):
        raise UsageError(
            f"user name {name!r} cannot be used: 1 to 128 characters without spaces and , / ? & #, "
            "not a UUID, and not `public`, which stands for everyone."
        )


def _find_or_create(connection: sqlite3.Connection, name: str) -> User:
    connection.execute(
        "INSERT INTO user (id, name, created_on) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (str(uuid4()), name, timestamp()),
    )
    user = _find(connection, name)
    assert user is not None  # noqa: S101  (it was just made, if it was not there)
    return user


def _find(connection: sqlite3.Connection, name: str) -> User | None:
    row = connection.execute("SELECT * FROM user WHERE name = ?", (name,)).fetchone()
    return _user(row) if row else None


def _usable(token: str | None) -> str:
    """Return the token, made up if there is none."""
    token = secrets.token_urlsafe(32) if token is None else token
    if not _TOKEN.fullmatch(token):
        raise UsageError("the token cannot be used: it needs 8 to 512 printable ASCII characters without spaces.")
    return token


def _set_token(connection: sqlite3.Connection, user: User, token: str, *, admin: bool) -> None:
    asked = "UPDATE user SET token_sha256 = ?, admin = ? WHERE id = ?"
    try:
        connection.execute(asked, (_hash(token), admin, user.id))
    except sqlite3.IntegrityError:
        raise SkyportError("another user has this token. Choose another one, or let it be made up.") from None


def _user(row: sqlite3.Row) -> User:
    return User(row["id"], row["name"], bool(row["admin"]))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
