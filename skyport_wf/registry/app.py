"""The registry as a WSGI application: routes, who is asking, and errors as the OCI distribution spec has them.

Source: OCI distribution spec 1.1, "Endpoints", "Error codes".
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import msgspec
from werkzeug.wrappers import Request, Response

from skyport_wf.errors import SkyportError, TemporaryError
from skyport_wf.image_list.reference import LATEST, is_repository
from skyport_wf.registry.authorization import TOKEN_PATH, answer_token, challenge, read_caller
from skyport_wf.registry.backend import FilePart
from skyport_wf.registry.blobs import answer_blob, send_copied, set_identity
from skyport_wf.registry.bounded_cache import BoundedCache
from skyport_wf.registry.listing import add_warning, answer_catalog, answer_tags
from skyport_wf.registry.lookup import Lookup
from skyport_wf.registry.manifests import choose_flavour
from skyport_wf.registry.package_lists import ARTIFACT_TYPE, INDEX_TYPE, make_referrers
from skyport_wf.registry.refusals import (
    DigestInvalidError,
    NameInvalidError,
    RegistryError,
    RouteUnknownError,
    UnauthorizedError,
    UnavailableError,
    UnsupportedError,
)
from skyport_wf.registry.stored_image import StoredBlob
from skyport_wf.registry.view import View

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from skyport_wf.registry.backend import Backend

PREFIX: Final = "/v2"
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-zA-Z=_-]{32,}")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_DIGEST = 512
_CHECKED_SECONDS = 60
"""How long a token is taken for one that the Shock knows. Whatever is read for its owner, is asked for with it."""
_CALLERS = 10_000
_HEADERS: Final = {
    "Docker-Distribution-Api-Version": "registry/2.0",
    "X-Content-Type-Options": "nosniff",
}

_log = logging.getLogger(__name__)


class RegistryApp:
    """A Shock as a registry."""

    def __init__(self, backend: Backend, *, public_url: str | None = None) -> None:
        """Answer for the images of a Shock.

        public_url: the address that clients use, if it is not the one that the request names.
        """
        self._backend = backend
        self._public_url = public_url
        self._lookup = Lookup()
        self._checked = BoundedCache[float](_CALLERS)
        self._routes: tuple[tuple[re.Pattern[str], Callable[..., Response]], ...] = tuple(
            (re.compile(f"{PREFIX}{pattern}"), answer)
            for pattern, answer in (
                (r"/?", self._ping),
                (TOKEN_PATH.removeprefix(PREFIX), self._token),
                (r"/_catalog", answer_catalog),
                (r"/(?P<repository>.+)/tags/list", answer_tags),
                (r"/(?P<repository>.+)/manifests/(?P<reference>[^/]+)", self._manifest),
                (r"/(?P<repository>.+)/blobs/(?P<digest>[^/]+)", self._blob),
                (r"/(?P<repository>.+)/referrers/(?P<digest>[^/]+)", self._referrers),
            )
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333), whatever happens."""
        request = Request(environ, populate_request=False)
        try:
            answer = self._answer(request)
        except RegistryError as error:
            answer = _refuse(error)
        except TemporaryError as error:
            _log.error("%s %s: %s", request.method, request.path, error)
            answer = _refuse(UnavailableError("the Shock behind this registry does not answer. Try again later."))
        except SkyportError as error:
            _log.error("%s %s: %s", request.method, request.path, error)
            answer = _refuse(RegistryError(str(error)))
        except Exception:
            _log.exception("%s %s: a bug", request.method, request.path)
            answer = _refuse(RegistryError("internal error; the server's log says more"))
        if answer.status_code == UnauthorizedError.status:
            answer.headers["WWW-Authenticate"] = challenge((self._public_url or request.host_url).rstrip("/"))
        answer.headers.update(_HEADERS)
        return answer(environ, start_response)

    def _answer(self, request: Request) -> Response:
        matches = ((route, pattern.fullmatch(request.path)) for pattern, route in self._routes)
        route, values = next(((route, found.groupdict()) for route, found in matches if found), (None, {}))
        if route is None:
            raise RouteUnknownError("no registry answers at this address")
        if request.method not in ("GET", "HEAD"):
            raise UnsupportedError("this registry hands images out, and takes none")
        _check_names(values)
        caller = read_caller(request.environ.get("HTTP_AUTHORIZATION"), with_name=self._backend.has_passwords)
        view = View(self._backend, caller)
        self._check(view)
        try:
            return route(request, view, **values)
        except RegistryError as error:
            if error.status == RouteUnknownError.status and not caller.has_answered:
                # Clients send what they have only when they are asked. It is the same answer for what is not there.
                raise UnauthorizedError(
                    f"{error}. That is all that everyone may read; log in with a Shock token to see more."
                ) from error
            raise

    def _check(self, view: View) -> None:
        """Raise UnauthorizedError if the Shock does not know the caller, which is asked now and then."""
        key = hashlib.sha256((view.caller.token or "").encode()).hexdigest()
        until = self._checked.get(key)
        if until is None or until < time.monotonic():
            view.check()
            self._checked.put(key, time.monotonic() + _CHECKED_SECONDS, size=1)

    @staticmethod
    def _ping(request: Request, view: View) -> Response:
        """GET /v2/: whether this is a registry, and for whom.

        Who did not say who they are is asked to: a client that is not asked here never sends a password.
        """
        if not view.caller.has_answered:
            raise UnauthorizedError("ask for a token first; without a password it is one for what everyone may read")
        return Response(b"{}", content_type="application/json")

    @staticmethod
    def _token(request: Request, view: View) -> Response:
        answer = Response(msgspec.json.encode(answer_token(view.caller)), content_type="application/json")
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _manifest(self, request: Request, view: View, repository: str, reference: str) -> Response:
        """GET or HEAD /v2/NAME/manifests/REFERENCE, a tag or a digest."""
        if ":" in reference:
            found = self._lookup.by_digest(view, repository, reference)
        else:
            found = self._lookup.by_tag(view, repository, reference, choose_flavour(request.accept_mimetypes))
        answer = Response(found.manifest.content, content_type=found.manifest.media_type)
        set_identity(answer, found.manifest.digest, is_public=found.is_public)
        if ":" not in reference:
            # The tag may be another image's next time.
            answer.headers["Cache-Control"] = f"{'public' if found.is_public else 'private'}, no-cache"
            answer.headers["Vary"] = "Accept"
        if reference == LATEST:
            add_warning(answer, f"{repository}:{LATEST} is {found.name} now, the highest tag by AWE's order")
        return answer.make_conditional(request)

    def _blob(self, request: Request, view: View, repository: str, digest: str) -> Response:
        """GET or HEAD /v2/NAME/blobs/DIGEST."""
        found = self._lookup.blob(view, repository, digest)

        def send(part: FilePart, is_whole: bool) -> Response:
            if isinstance(found.blob, StoredBlob) and found.blob.is_copied:
                return send_copied(request, self._lookup.copies, part)
            token = None if found.is_public else view.caller.token
            return self._backend.send(request, part, token, is_whole=is_whole)

        return answer_blob(request, digest, found, send)

    def _referrers(self, request: Request, view: View, repository: str, digest: str) -> Response:
        """GET /v2/NAME/referrers/DIGEST: the artifacts that refer to an image, which is the list of its packages."""
        wanted = request.args.get("artifactType")
        artifacts = self._lookup.artifacts(view, repository, digest) if wanted in (None, ARTIFACT_TYPE) else []
        answer = Response(make_referrers(artifacts), content_type=INDEX_TYPE)
        answer.headers["Cache-Control"] = "no-store"
        if wanted is not None:
            answer.headers["OCI-Filters-Applied"] = "artifactType"
        return answer


class ShockWithRegistry:
    """A Shock and a registry at one address."""

    def __init__(self, shock: WSGIApplication, registry: WSGIApplication) -> None:
        self._shock = shock
        self._registry = registry

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        path = str(environ["PATH_INFO"])
        app = self._registry if path == PREFIX or path.startswith(f"{PREFIX}/") else self._shock
        return app(environ, start_response)


def _check_names(values: dict[str, str]) -> None:
    """Raise NameInvalidError, DigestInvalidError for names that no registry has."""
    repository = values.get("repository")
    if repository is not None and not is_repository(repository):
        raise NameInvalidError(
            f"{repository[:100]!a} is not a name of a repository: lower case letters, digits, and . _ - / between "
            "them. Images that have another name on the Shock are for AWE alone; publish them under a new name."
        )
    for digest in (values.get("digest"), values.get("reference")):
        if digest is None or (digest is values.get("reference") and ":" not in digest):
            continue
        is_digest = len(digest) <= _LONGEST_DIGEST and _DIGEST.fullmatch(digest)
        if not is_digest or (digest.startswith("sha256:") and not _SHA256.fullmatch(digest)):
            raise DigestInvalidError(f"{digest[:100]!a} is not a digest. Write sha256: and 64 hex digits.")


def _refuse(error: RegistryError) -> Response:
    document = {"errors": [{"code": error.code, "message": str(error)}]}
    answer = Response(msgspec.json.encode(document), error.status, content_type="application/json")
    answer.headers.update(error.headers)
    answer.headers["Cache-Control"] = "no-store"
    return answer
