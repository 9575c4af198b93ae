"""The routes of pulling: manifests, blobs, and what refers to an image.

Source: OCI distribution spec 1.1, "Pull", "Content Discovery".
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from skyport_wf.image.distribution.parsing import media_type_of
from skyport_wf.image_list.reference import LATEST
from skyport_wf.registry.backend import FilePart
from skyport_wf.registry.blobs import is_held, send_blob, send_file, set_identity
from skyport_wf.registry.listing import add_warning
from skyport_wf.registry.lookup import FoundBlob
from skyport_wf.registry.package_lists import ARTIFACT_TYPE, INDEX_TYPE, make_referrers
from skyport_wf.registry.refusals import BlobUnknownError
from skyport_wf.registry.stored_image import StoredBlob

if TYPE_CHECKING:
    from pathlib import Path

    from skyport_wf.registry.context import RequestContext


def answer_manifest(context: RequestContext, repository: str, reference: str) -> Response:
    """GET or HEAD /v2/NAME/manifests/REFERENCE, a tag or a digest."""
    lookup, view = context.lookup, context.view
    if ":" in reference:
        if pushed := context.staging.manifest(reference):
            answer = Response(pushed, content_type=media_type_of(pushed))
            set_identity(answer, reference, is_public=False)
            return _unless_held(context, answer, reference)
        found = lookup.by_digest(view, repository, reference)
    else:
        found = lookup.by_tag(view, repository, reference, context.request.headers.get("Accept", ""))
    answer = Response(found.manifest.content, content_type=found.manifest.media_type)
    set_identity(answer, found.manifest.digest, is_public=found.is_public)
    if ":" not in reference:
        # The tag may be another image's next time.
        answer.headers["Cache-Control"] = f"{'public' if found.is_public else 'private'}, no-cache"
        answer.headers["Vary"] = "Accept"
    if reference == LATEST:
        add_warning(answer, f"{repository}:{LATEST} is {ascii(found.name)[1:-1]} now, the highest tag by AWE's order")
    return _unless_held(context, answer, found.manifest.digest)


def _unless_held(context: RequestContext, answer: Response, digest: str) -> Response:
    """Return the answer, without a body if the caller has it. Raises PreconditionError if they want another one."""
    if is_held(context.request, digest):
        answer.status_code = 304
    return answer


def answer_blob(context: RequestContext, repository: str, digest: str) -> Response:
    """GET or HEAD /v2/NAME/blobs/DIGEST."""
    if pushed := context.staging.blob(digest):
        # Published, and removed, by another request at this moment: it is found there then.
        with suppress(FileNotFoundError):
            return _answer_pushed(context, digest, pushed)
    # Who pushes asks by HEAD for each blob, and most are nowhere.
    found = context.lookup.blob(context.view, repository, digest, make=context.request.method == "GET")

    def send(part: FilePart, is_whole: bool) -> Response:
        if isinstance(found.blob, StoredBlob) and found.blob.is_copied:
            try:
                file = context.lookup.copies.open(part.node)
            except OSError as error:
                raise BlobUnknownError(
                    "the registry has no longer what it made of this image. Ask for its tag."
                ) from error
            return send_file(context.request, file, part)
        token = None if found.is_public else context.view.caller.token
        return context.backend.send(context.request, part, token, is_whole=is_whole)

    return send_blob(context.request, digest, found, send)


def answer_referrers(context: RequestContext, repository: str, digest: str) -> Response:
    """GET /v2/NAME/referrers/DIGEST: what refers to an image: the list of its packages, and images that say so."""
    wanted = context.request.args.get("artifactType")
    found = context.lookup.referring_images(context.view, repository, digest)
    # To make a list of packages may take reading the image.
    if wanted in (None, ARTIFACT_TYPE):
        found += context.lookup.package_lists(context.view, repository, digest)
    listed = [one for one in found if wanted in (None, one.artifact_type)]
    answer = Response(make_referrers(listed), content_type=INDEX_TYPE)
    answer.headers["Cache-Control"] = "no-store"
    if wanted is not None:
        answer.headers["OCI-Filters-Applied"] = "artifactType"
    return answer


def _answer_pushed(context: RequestContext, digest: str, path: Path) -> Response:
    """Answer with a blob that the sender has pushed, and that nobody else sees. Raises FileNotFoundError."""
    blob = StoredBlob(digest, path.stat().st_size, node="", offset=0, diff_id="", unpacked=0)
    found = FoundBlob(blob, is_public=False)
    return send_blob(context.request, digest, found, lambda part, _: send_file(context.request, path.open("rb"), part))
