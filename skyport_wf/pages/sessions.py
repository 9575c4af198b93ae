"""Who is logged in: tokens in this process's memory, each found by a secret that only one browser has in a cookie."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import TYPE_CHECKING, Final

import msgspec

from skyport_wf.registry.bounded_cache import BoundedCache

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

HOURS: Final = 8
"""How long a session lasts."""
_MOST: Final = 10_000
"""Sessions at a time; the one that was not used for the longest makes room."""


class Session(msgspec.Struct, frozen=True):
    """A token, for a time."""

    token: str
    until: float
    """When it ends, by the clock that never goes back."""

    def __repr__(self) -> str:
        return "Session(...)"


class Sessions:
    """All sessions. Threads share them; they end with the process."""

    def __init__(self, *, over_tls: bool) -> None:
        """Have none yet. over_tls: whether browsers reach this server by https, through a web server before it."""
        self._over_tls = over_tls
        self._sessions = BoundedCache[Session](_MOST)

    def begin(self, request: Request, answer: Response, token: str) -> None:
        """Begin a session, and let the answer give its secret to the browser."""
        secret = secrets.token_urlsafe(32)
        self._sessions.put(_key(secret), Session(token, time.monotonic() + HOURS * 3600), size=1)
        answer.set_cookie(
            _cookie(request),
            secret,
            max_age=HOURS * 3600,
            httponly=True,
            # A link from elsewhere may lead to a private image; nothing else from elsewhere takes the cookie along.
            samesite="Lax",
            secure=self._over_tls or request.is_secure,
        )

    def token(self, request: Request) -> str | None:
        """Return the token of whoever sends the request; None without a session that still lasts."""
        secret = request.cookies.get(_cookie(request), "")
        session = self._sessions.get(_key(secret)) if secret else None
        return session.token if session and session.until > time.monotonic() else None

    def end(self, request: Request, answer: Response) -> None:
        """End the session of whoever sends the request."""
        if secret := request.cookies.get(_cookie(request), ""):
            self._sessions.put(_key(secret), Session("", 0), size=1)
        answer.delete_cookie(
            _cookie(request), httponly=True, samesite="Lax", secure=self._over_tls or request.is_secure
        )


def _cookie(request: Request) -> str:
    """Return the cookie's name: browsers give one host's cookies to all its ports, and servers must not mix theirs."""
    return f"skyport_{request.host.rpartition(':')[2] if ':' in request.host else 'wf'}"


def _key(secret: str) -> str:
    # So that looking it up takes no longer for a secret that begins as another one does.
    return hashlib.sha256(secret.encode()).hexdigest()
