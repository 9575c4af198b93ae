"""The pages as a WSGI application beside a Shock or a registry: which requests are its own, and who may see what."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from skyport_wf.errors import SkyportError, TemporaryError
from skyport_wf.pages import served_pages
from skyport_wf.pages.catalogue import Catalogue, Memory
from skyport_wf.pages.details import Place
from skyport_wf.pages.findings import FindingsStore
from skyport_wf.pages.links import PREFIX, ServedLinks
from skyport_wf.pages.sessions import Sessions
from skyport_wf.pages.visit import NotThereError, RefusedError, Visit
from skyport_wf.registry.bounded_cache import BoundedCache
from skyport_wf.shock.connection import ShockRefusalError
from skyport_wf.shock.node import NODE_ID

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from skyport_wf.registry.backend import Backend

_ROUTES: Final[tuple[tuple[str, re.Pattern[str], Callable[..., Response]], ...]] = tuple(
    (method, re.compile(f"/{PREFIX}/{pattern}"), answer)
    for method, pattern, answer in (
        ("GET", "images.js", served_pages.answer_list_script),
        ("GET", "static/(?P<name>[a-z.]+)", served_pages.answer_static),
        ("GET", f"image/(?P<node>{NODE_ID})", served_pages.answer_image),
        ("POST", f"image/(?P<node>{NODE_ID})/read", served_pages.answer_look_inside),
        ("GET", f"compare/(?P<old>{NODE_ID})/(?P<new>{NODE_ID})", served_pages.answer_comparison),
        ("GET", "packages", served_pages.answer_packages),
        ("GET", "login", served_pages.answer_login_form),
        ("POST", "login", served_pages.answer_login),
        ("POST", "logout", served_pages.answer_logout),
    )
)
_VISITORS: Final = 64
"""Visitors whose images are remembered."""
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # With `no-referrer`, browsers would not say either which page a form is on.
    "Referrer-Policy": "same-origin",
    # The list is a script, which pages of others must not get with someone's cookie.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Who may read what may change at any time.
    "Cache-Control": "no-store",
}

_log = logging.getLogger(__name__)


class PagesApp:
    """A Shock's or a registry's application, with pages for people at the same address."""

    def __init__(
        self, app: WSGIApplication, backend: Backend, *, shock: str, title: str, public_url: str | None = None
    ) -> None:
        """Answer for the images of a Shock, and leave all other requests to the application.

        shock: the Shock's URL, or `embedded`.
        title: what the pages call it.
        public_url: the address that clients use, if it is not the one that the request names.
        """
        self.backend = backend
        self.sessions = Sessions(over_tls=(public_url or "").startswith("https://"))
        self._app = app
        self._shock = shock
        self._title = title
        self._public_url = public_url
        self._findings = FindingsStore()
        self._memories = BoundedCache[Memory](_VISITORS)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        path = str(environ["PATH_INFO"])
        request = Request(environ, populate_request=False)
        if path == "/" and request.method in ("GET", "HEAD"):
            if not prefers_html(request):
                return self._app(environ, _varying(start_response))
        elif path != f"/{PREFIX}" and not path.startswith(f"/{PREFIX}/"):
            return self._app(environ, start_response)
        answer = self._answer(request)
        for name, value in _HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer(environ, start_response)

    def maintain(self) -> None:
        """Forget the tokens of those whose time is over."""
        self.sessions.expire()

    def catalogue(self, token: str | None, request: Request) -> Catalogue:
        """Return what the owner of a token may see; somebody without one, if None."""
        anybody = self.backend.client(None)
        key = hashlib.sha256((token or "").encode()).hexdigest()
        memory = self._memories.get(key)
        if memory is None:
            memory = Memory()
            self._memories.put(key, memory, size=1)
        url = (self._public_url or request.host_url).rstrip("/")
        download_base = self._shock if self.backend.is_remote else url
        place = Place(self._shock, download_base, urlsplit(url).netloc)
        return Catalogue(self.backend.client(token) if token else anybody, anybody, self._findings, place, memory)

    def _answer(self, request: Request) -> Response:
        token = self.sessions.token(request)
        depth = max(request.path.count("/") - 1, 0)
        site = {"title": self._title, "is_logged_in": token is not None}
        visit = Visit(
            request,
            self.sessions,
            self.backend,
            links=ServedLinks(depth),
            site=site,
            catalogue=self.catalogue(token, request),
        )
        try:
            if token is not None:
                visit.note_owner(token)
            answer, values = self._route(request)
            if request.method == "POST":
                self._check_origin(request)
            return answer(visit, **values)
        except Exception as error:
            return _explain(visit, error)

    @staticmethod
    def _route(request: Request) -> tuple[Callable[..., Response], dict[str, Any]]:
        method = "GET" if request.method == "HEAD" else request.method
        if request.path == "/":
            return served_pages.answer_list, {}
        if request.path in (f"/{PREFIX}", f"/{PREFIX}/"):
            return served_pages.answer_folder, {}
        for allowed, pattern, answer in _ROUTES:
            if method == allowed and (found := pattern.fullmatch(request.path)):
                return answer, found.groupdict()
        raise NotThereError("There is no such page.")

    def _check_origin(self, request: Request) -> None:
        """Raise RefusedError unless a form comes from one of these pages: a cookie does not tell who wrote the form."""
        ours = {urlsplit(url).netloc for url in (request.host_url, self._public_url or "")} - {""}
        try:
            theirs = urlsplit(request.headers.get("Origin", "")).netloc
        except ValueError:
            theirs = ""
        if theirs not in ours:
            raise RefusedError(
                403,
                "This form was not sent from a page of this server. Open the page, and send it from there. If you "
                "have, a web server in front is known by another name: who runs it has to name its address to this "
                "one, by `skyport-wf serve --public-url`.",
            )


def prefers_html(request: Request) -> bool:
    """Return whether a client would rather have HTML than JSON; one that takes anything gets JSON, as of any Shock."""
    accepted = request.accept_mimetypes
    return accepted.quality("text/html") > accepted.quality("application/json")


def _explain(visit: Visit, error: Exception) -> Response:
    """Return the page that says why a request is not answered."""
    # For logs: a line's end in an address begins no line there.
    asked = f"{visit.request.method} {ascii(visit.request.path)[1:-1]}"
    match error:
        case NotThereError():
            return _message(visit, 404, "Not there", str(error))
        case RefusedError():
            return _message(visit, error.status, "Refused", str(error))
        case HTTPException():
            return _message(visit, error.code or 400, "Refused", error.description or "The request makes no sense.")
        case ShockRefusalError(is_about_rights=True):
            is_logged_in = visit.site["is_logged_in"]
            why = "no longer takes your token" if is_logged_in else "shows nothing to those who have not logged in"
            return served_pages.ask_to_log_in(visit, f"The Shock {why}.")
        case TemporaryError():
            _log.error("%s: %s", asked, error)
            return _message(visit, 503, "Try again later", "The Shock behind these pages does not answer.")
        case SkyportError():
            _log.error("%s: %s", asked, error)
            return _message(visit, 502, "It does not work", str(error))
        case _:
            _log.error("%s: a bug", asked, exc_info=error)
            return _message(visit, 500, "Internal error", "The server's log says more.")


def _message(visit: Visit, status: int, heading: str, text: str) -> Response:
    return visit.page("message.html", status, heading=heading, text=text)


def _varying(start_response: StartResponse) -> StartResponse:
    """Let an answer say that it depends on the header Accept."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
        return start_response(status, [*headers, ("Vary", "Accept")], *rest)

    return start
