"""The registry as a WSGI application: routes, who is asking, and errors as the OCI distribution spec has them.

Source: OCI distribution spec 1.1, "Endpoints", "Error codes".
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from skyport_wf.cache import CACHE_VARIABLE
from skyport_wf.digests import is_sha256
from skyport_wf.errors import ShockError, SkyportError, TemporaryError
from skyport_wf.image.distribution.parsing import ManifestError
from skyport_wf.image_list.reference import is_repository
from skyport_wf.registry import push_routes
from skyport_wf.registry.authorization import TOKEN_PATH, answer_token, challenge, login_words, read_caller
from skyport_wf.registry.bounded_cache import BoundedCache
from skyport_wf.registry.context import RequestContext
from skyport_wf.registry.listing import answer_catalog, answer_tags
from skyport_wf.registry.lookup import Lookup
from skyport_wf.registry.pull_routes import answer_blob, answer_manifest, answer_referrers
from skyport_wf.registry.refusals import (
    DigestInvalidError,
    ManifestInvalidError,
    NameInvalidError,
    RegistryError,
    RouteUnknownError,
    UnauthorizedError,
    UnavailableError,
    UnsupportedError,
    UploadInvalidError,
)
from skyport_wf.registry.staging import expire
from skyport_wf.registry.view import View

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from skyport_wf.registry.backend import Backend

PREFIX: Final = "/v2"
_SEARCH: Final = ("/v1/_ping", "/v1/search")
"""Where `docker search` asks, even today. It does so of any registry, and shows only the status."""
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-zA-Z=_-]{32,}")
_LONGEST_DIGEST = 512
_CHECKED_SECONDS = 60
"""How long a token is taken for one that the Shock knows. Whatever is read for its owner, is asked for with it."""
_CALLERS = 10_000
"""Callers that are remembered for that time."""
_NOT_SET_UP: Final = (
    f"this registry cannot do that: its disk fails, or a setting, such as {CACHE_VARIABLE}. The server's log says more."
)
_HEADERS: Final = {
    "Docker-Distribution-Api-Version": "registry/2.0",
    "X-Content-Type-Options": "nosniff",
}

_log = logging.getLogger(__name__)


def _answer_ping(context: RequestContext) -> Response:
    """GET /v2/: whether this is a registry, and for whom.

    Who did not say who they are is asked to: a client that is not asked here never sends a password.
    """
    if not context.view.caller.has_answered:
        raise UnauthorizedError("ask for a token first; without a password it is one for what everyone may read")
    return Response(b"{}", content_type="application/json")


def _answer_token(context: RequestContext) -> Response:
    """GET /v2/token: the token service."""
    answer = Response(
        msgspec.json.encode(answer_token(context.view.caller, with_name=context.backend.has_passwords)),
        content_type="application/json",
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


_REPOSITORY = "/(?P<repository>.+)"
_ROUTES: tuple[tuple[re.Pattern[str], dict[str, Callable[..., Response]]], ...] = tuple(
    (re.compile(PREFIX + pattern), methods)
    for pattern, methods in (
        (r"/?", {"GET": _answer_ping}),
        (TOKEN_PATH.removeprefix(PREFIX), {"GET": _answer_token}),
        (r"/_catalog", {"GET": answer_catalog}),
        (_REPOSITORY + r"/tags/list", {"GET": answer_tags}),
        (_REPOSITORY + r"/blobs/uploads/?", {"POST": push_routes.begin_upload}),
        (
            _REPOSITORY + r"/blobs/uploads/(?P<upload>[^/]+)",
            {
                "GET": push_routes.show_upload,
                "PATCH": push_routes.continue_upload,
                "PUT": push_routes.finish_upload,
                "DELETE": push_routes.cancel_upload,
            },
        ),
        (
            _REPOSITORY + r"/manifests/(?P<reference>[^/]+)",
            {"GET": answer_manifest, "PUT": push_routes.put_manifest},
        ),
        (_REPOSITORY + r"/blobs/(?P<digest>[^/]+)", {"GET": answer_blob}),
        (_REPOSITORY + r"/referrers/(?P<digest>[^/]+)", {"GET": answer_referrers}),
    )
)


class _CheckedCaller(msgspec.Struct, frozen=True):
    """A caller whom the Shock knows."""

    owner: str
    """The name of the token's owner; empty where that is not known."""
    until: float
    """The monotonic time at which it is asked again."""


class RegistryApp:
    """A Shock as a registry."""

    def __init__(self, backend: Backend, *, public_url: str | None = None) -> None:
        """Answer for the images of a Shock.

        public_url: the address that clients use, if it is not the one that the request names.
        """
        self._backend = backend
        self._public_url = public_url
        self._login_words = login_words(with_name=backend.has_passwords)
        self._lookup = Lookup()
        self._checked = BoundedCache[_CheckedCaller](_CALLERS)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333), whatever happens."""
        request = Request(environ, populate_request=False)
        # For logs: a line's end in an address begins no line there.
        asked = f"{request.method} {ascii(request.path)[1:-1]}"
        try:
            answer = self._answer(request)
        except RegistryError as error:
            answer = _refuse(error)
        except ManifestError as error:
            answer = _refuse(ManifestInvalidError(str(error)))
        except HTTPException as error:
            # Of the body: it breaks off, or is not as HTTP says.
            answer = _refuse(UploadInvalidError(error.description or "bad request"), status=error.code)
        except TemporaryError as error:
            _log.error("%s: %s", asked, error)
            answer = _refuse(UnavailableError("the Shock behind this registry does not answer. Try again later."))
        except SkyportError as error:
            _log.error("%s: %s", asked, error)
            # What Shock says is for its clients; anything else is for who runs this server, such as its folders.
            said = str(error) if isinstance(error, ShockError) else _NOT_SET_UP
            answer = _refuse(RegistryError(said))
        except Exception:
            _log.exception("%s: a bug", asked)
            answer = _refuse(RegistryError("internal error; the server's log says more"))
        if answer.status_code == UnauthorizedError.status:
            answer.headers["WWW-Authenticate"] = challenge(self._url(request))
        answer.headers.update(_HEADERS)
        return answer(environ, start_response)

    @staticmethod
    def maintain() -> None:
        """Remove what was pushed and will not be published any more."""
        with suppress(SkyportError):
            expire()

    def _answer(self, request: Request) -> Response:
        matches = ((methods, pattern.fullmatch(request.path)) for pattern, methods in _ROUTES)
        methods, values = next(((methods, found.groupdict()) for methods, found in matches if found), ({}, {}))
        if not methods:
            raise RouteUnknownError(self._nothing_here(request.path))
        method = "GET" if request.method == "HEAD" else request.method
        if method not in methods:
            allowed = (*methods, *(["HEAD"] if "GET" in methods else ()))
            instead = ". `skyport-wf retire NAME` takes its name off an image" if method == "DELETE" else ""
            raise UnsupportedError(f"{request.method[:20]!a} is not done here{instead}", allowed=allowed)
        _check_names(values)
        caller = read_caller(request.environ.get("HTTP_AUTHORIZATION"), with_name=self._backend.has_passwords)
        view = View(self._backend, caller)
        owner = self._check(view)
        if caller.token is not None:
            # For the server's log.
            request.environ["REMOTE_USER"] = owner
        if (method != "GET" or "upload" in values) and caller.token is None and not view.anyone_writes:
            raise UnauthorizedError(f"publishing is for users of the Shock. Log in with {self._login_words}.")
        context = RequestContext(request, view, self._backend, self._lookup, url=self._url(request))
        try:
            return methods[method](context, **values)
        except UnauthorizedError:
            if caller.token is not None:
                # Nobody has it any more, which the token service is to say, too.
                self._checked.remove(_key(caller.token))
            raise
        except RegistryError as error:
            if error.status == RouteUnknownError.status and not caller.has_answered:
                # Clients send what they have only when they are asked. It is the same answer for what is not there.
                end = "" if str(error).endswith("?") else "."
                raise UnauthorizedError(
                    f"{error}{end} That is what everyone may read; to see more, log in with {self._login_words}."
                ) from error
            raise

    def _nothing_here(self, path: str) -> str:
        if path in _SEARCH:
            return "there is no search here: /v2/_catalog lists the repositories, and `skyport-wf ls` the images"
        if not self._backend.is_remote or path.startswith(f"{PREFIX}/"):
            return "this registry has nothing at this address"
        # Somebody has taken the gateway for the Shock.
        return f"this is a registry of the images on {self._backend.client(None).url}, and no Shock. Ask that one"

    def _url(self, request: Request) -> str:
        """Return the registry's address, as clients know it."""
        return (self._public_url or request.host_url).rstrip("/")

    def _check(self, view: View) -> str:
        """Return the name of the token's owner, empty where that is not known. The Shock is asked now and then.

        Raises UnauthorizedError if it does not know the caller.
        """
        token = view.caller.token
        key = _key(token)
        known = self._checked.get(key)
        if known is None or known.until < time.monotonic():
            view.check()
            owner = self._backend.owner_of(token) if token is not None else ""
            known = _CheckedCaller(owner, time.monotonic() + _CHECKED_SECONDS)
            self._checked.put(key, known, size=1)
        return known.owner


class ShockWithRegistry:
    """A Shock and a registry at one address."""

    def __init__(self, shock: WSGIApplication, registry: WSGIApplication) -> None:
        self._shock = shock
        self._registry = registry

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        path = str(environ["PATH_INFO"])
        app = self._registry if path in (PREFIX, *_SEARCH) or path.startswith(f"{PREFIX}/") else self._shock
        return app(environ, start_response)


def _key(token: str | None) -> str:
    """Return what tells a token, and does not tell it."""
    return hashlib.sha256((token or "").encode()).hexdigest()


def _check_names(values: dict[str, str]) -> None:
    """Raise NameInvalidError, DigestInvalidError for names that no registry has."""
    repository = values.get("repository")
    if repository is not None and not is_repository(repository):
        raise NameInvalidError(
            f"{repository[:100]!a} is not a name of a repository: lower case letters, digits, and . _ - / between "
            "them, 255 characters at most. Images that have another name on the Shock are for AWE alone; publish them "
            "under a new name."
        )
    digest, reference = values.get("digest"), values.get("reference", "")
    if digest is None and ":" in reference:
        digest = reference
    if digest is None:
        return
    is_digest = len(digest) <= _LONGEST_DIGEST and _DIGEST.fullmatch(digest)
    if not is_digest or (digest.startswith("sha256:") and not is_sha256(digest)):
        raise DigestInvalidError(f"{digest[:100]!a} is not a digest. Write sha256: and 64 hex digits.")


def _refuse(error: RegistryError, *, status: int | None = None) -> Response:
    document = {"errors": [{"code": error.code, "message": str(error)}]}
    answer = Response(msgspec.json.encode(document), status or error.status, content_type="application/json")
    answer.headers.update(error.headers)
    answer.headers["Cache-Control"] = "no-store"
    return answer
