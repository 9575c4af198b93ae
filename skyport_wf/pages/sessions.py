"""Who is logged in: tokens in this process's memory, each found by a secret that only one browser has in a cookie."""

from __future__ import annotations

import hashlib
import secrets
import threading
from time import monotonic
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

HOURS: Final = 8
"""How long a session lasts."""
_SECONDS: Final = HOURS * 3600
_MOST: Final = 10_000
"""Sessions at a time; the oldest makes room."""


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
        # The oldest first.
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def begin(self, request: Request, answer: Response, token: str) -> None:
        """Begin a session in the place of the one before, and let the answer give its secret to the browser."""
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions.pop(_key(request), None)
            if len(self._sessions) >= _MOST:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[_digest(secret)] = Session(token, monotonic() + _SECONDS)
        answer.set_cookie(
            _cookie(request),
            secret,
            max_age=_SECONDS,
            httponly=True,
            # A link from elsewhere may lead to a private image; nothing else from elsewhere takes the cookie along.
            samesite="Lax",
            secure=self._is_secure(request),
        )

    def token(self, request: Request) -> str | None:
        """Return the token of whoever sends the request; None without a session that still lasts."""
        with self._lock:
            session = self._sessions.get(_key(request))
        return session.token if session and session.until > monotonic() else None

    def end(self, request: Request, answer: Response) -> None:
        """End the session of whoever sends the request."""
        with self._lock:
            self._sessions.pop(_key(request), None)
        answer.delete_cookie(_cookie(request), httponly=True, samesite="Lax", secure=self._is_secure(request))

    def expire(self) -> None:
        """Forget the tokens of sessions whose time is over."""
        now = monotonic()
        with self._lock:
            self._sessions = {key: session for key, session in self._sessions.items() if session.until > now}

    def _is_secure(self, request: Request) -> bool:
        return self._over_tls or request.is_secure


def _cookie(request: Request) -> str:
    """Return the cookie's name: browsers give one host's cookies to all its ports, and servers must not mix theirs."""
    return f"skyport_{request.host.rpartition(':')[2] if ':' in request.host else 'wf'}"


def _key(request: Request) -> str:
    return _digest(request.cookies.get(_cookie(request), ""))


def _digest(secret: str) -> str:
    # So that looking it up takes no longer for a secret that begins as another one does.
    return hashlib.sha256(secret.encode()).hexdigest()
