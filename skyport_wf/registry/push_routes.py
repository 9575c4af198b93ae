"""The routes of pushing: blobs in one piece, in chunks, as a stream or taken over from another repository; manifests.

Source: OCI distribution spec 1.1, "Push".
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from skyport_wf.byte_streams import ChunkReader, pieces_of
from skyport_wf.digests import digest_of, is_sha256
from skyport_wf.image.distribution.parsing import LARGEST_MANIFEST, check_part_of_index, find_reference
from skyport_wf.registry.package_lists import is_artifact
from skyport_wf.registry.push import Pusher
from skyport_wf.registry.refusals import (
    BlobUnknownError,
    DigestInvalidError,
    SizeInvalidError,
    UploadInvalidError,
)

if TYPE_CHECKING:
    from skyport_wf.registry.context import RequestContext
    from skyport_wf.registry.staging import Upload

_RANGE = re.compile(r"(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/.*)?")


def begin_upload(context: RequestContext, repository: str) -> Response:
    """POST /v2/NAME/blobs/uploads/: begin an upload, or take a blob that is there or comes with the request."""
    staging, arguments = context.staging, context.request.args
    mount, digest = arguments.get("mount"), arguments.get("digest")
    if mount and is_sha256(mount):
        with suppress(BlobUnknownError):
            if not staging.blob(mount):
                context.lookup.blob(context.view, repository, mount)
            return _created(repository, mount)
    if digest is not None:
        _require_digest(digest)
    opened = staging.open_upload()
    if digest is None:
        return _accepted(repository, opened, 0)
    try:
        opened.append(context.request.stream)
    except BaseException:
        # Its sender was not told of it, and cannot go on with it.
        opened.cancel()
        raise
    return _finish(repository, opened, digest)


def show_upload(context: RequestContext, repository: str, upload: str) -> Response:
    """GET the address of an upload: how far it is."""
    opened = context.staging.upload(upload)
    answer = _accepted(repository, opened, opened.size)
    answer.status_code = 204
    if not opened.size:
        # No range has no bytes: whoever goes on after 0-0 leaves out the first.
        del answer.headers["Range"]
    return answer


def continue_upload(context: RequestContext, repository: str, upload: str) -> Response:
    """PATCH the address of an upload: add a chunk, or a stream."""
    opened = context.staging.upload(upload)
    size = opened.append(context.request.stream, start=_start(context.request))
    return _accepted(repository, opened, size)


def finish_upload(context: RequestContext, repository: str, upload: str) -> Response:
    """PUT the address of an upload: add the last chunk, if there is one, and make it a blob."""
    opened = context.staging.upload(upload)
    digest = context.request.args.get("digest", "")
    _require_digest(digest)
    opened.append(context.request.stream, start=_start(context.request))
    return _finish(repository, opened, digest)


def cancel_upload(context: RequestContext, repository: str, upload: str) -> Response:
    """DELETE the address of an upload."""
    context.staging.upload(upload).cancel()
    return Response(status=204)


def put_manifest(context: RequestContext, repository: str, reference: str) -> Response:
    """PUT /v2/NAME/manifests/REFERENCE: by tag, publish the image; by digest, keep the manifest for an index.

    So is a list of packages that was attached to an image elsewhere: it goes within a day.
    """
    content = ChunkReader(pieces_of(context.request.stream)).read(LARGEST_MANIFEST + 1)
    if len(content) > LARGEST_MANIFEST:
        raise SizeInvalidError(f"a manifest may have {LARGEST_MANIFEST:,} bytes")
    digest, belonging, subject = digest_of(content), find_reference(content), ""
    if ":" not in reference:
        Pusher(context, repository).push(content, reference)
        if belonging:
            # Not where the image has another manifest now, which says nothing of a subject.
            listed = context.lookup.referring_images(context.view, repository, belonging.subject)
            subject = belonging.subject if digest in [image.digest for image in listed] else ""
    else:
        _require_digest(reference)
        if reference != digest:
            raise DigestInvalidError(f"the manifest has the digest {digest}, not {reference}")
        if belonging and is_artifact(content):
            # Clients copy it with its image, which gets a list of its own here. Without the header that tells of the
            # subject they would push an index of such manifests, too.
            subject = belonging.subject
        else:
            check_part_of_index(content)
        context.staging.add_manifest(content)
    answer = Response(status=201)
    # By the tag if it was one: of an index, or with layers that were compressed here, the image has another digest.
    answer.headers["Location"] = f"/v2/{repository}/manifests/{reference}"
    answer.headers["Docker-Content-Digest"] = digest
    if subject:
        answer.headers["OCI-Subject"] = subject
    return answer


def _require_digest(digest: str) -> None:
    """Raise DigestInvalidError for what is no SHA-256: other algorithms are not in use here."""
    if not is_sha256(digest):
        raise DigestInvalidError(f"{digest[:100]!a} is not a digest by SHA-256. Write sha256: and 64 hex digits.")


def _finish(repository: str, upload: Upload, digest: str) -> Response:
    upload.finish(digest)
    return _created(repository, digest)


def _start(request: Request) -> int | None:
    """Return where a chunk begins, None if the request does not say. Raises UploadInvalidError."""
    text = request.headers.get("Content-Range")
    if text is None:
        return None
    found = _RANGE.fullmatch(text.strip())
    length = request.content_length
    if not found or (length is not None and int(found[2]) - int(found[1]) + 1 != length):
        raise UploadInvalidError("Content-Range does not say what comes: write FIRST-LAST")
    return int(found[1])


def _accepted(repository: str, upload: Upload, size: int) -> Response:
    answer = Response(status=202)
    answer.headers["Location"] = f"/v2/{repository}/blobs/uploads/{upload.identity}"
    answer.headers["Range"] = f"0-{max(0, size - 1)}"
    answer.headers["Docker-Upload-UUID"] = upload.identity
    return answer


def _created(repository: str, digest: str) -> Response:
    answer = Response(status=201)
    answer.headers["Location"] = f"/v2/{repository}/blobs/{digest}"
    answer.headers["Docker-Content-Digest"] = digest
    return answer
