"""Things pushed and not published yet: blobs and manifests on this machine, each user's own.

They are in the user's cache, and go by themselves: uploads that stand still, and blobs that no manifest took.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import msgspec

from skyport_wf.byte_streams import PIECE
from skyport_wf.cache import cache_folder
from skyport_wf.decoding import decode_json
from skyport_wf.errors import ArchiveError, SkyportError
from skyport_wf.formatting import human_size
from skyport_wf.image.archive.layer_scan import LayerFacts, scan_layer
from skyport_wf.output_file import replace_file
from skyport_wf.registry.refusals import (
    DigestInvalidError,
    SizeInvalidError,
    TooManyError,
    UploadInvalidError,
    UploadUnknownError,
)
from skyport_wf.side_reader import SideReader

if TYPE_CHECKING:
    from skyport_wf.byte_streams import ByteStream

MOST_UPLOADS: Final = 100
"""Uploads of one user that may be open at once: clients send a handful at a time."""
LARGEST_BLOB: Final = 100 * 10**9
KEPT_FREE: Final = 2 * 10**9
"""Bytes of the disk that are not for what others push."""
UPLOAD_SECONDS: Final = 3600
"""How long an upload may stand still."""
BLOB_SECONDS: Final = 86400
"""How long a blob waits for its manifest."""
_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Staging:
    """Blobs and manifests that one user has pushed."""

    def __init__(self, token: str | None) -> None:
        """Look at what the owner of the token has pushed; None for those without one."""
        # A name that tells nothing of the token.
        self._user = hashlib.sha256(f"pushed {token or ''}".encode()).hexdigest()[:32]

    def open_upload(self) -> Upload:
        """Begin an upload. Raises TooManyError if too many are open, or the disk is full."""
        expire()
        self._folder.mkdir(parents=True, exist_ok=True)
        _require_room()
        if len(list(self._folder.glob("*.upload"))) >= MOST_UPLOADS:
            raise TooManyError(
                f"{MOST_UPLOADS} uploads are open. Finish some, or wait: those that stand still end by themselves."
            )
        upload = Upload(self, uuid4().hex)
        upload.path.touch(mode=0o600)
        return upload

    def upload(self, identity: str) -> Upload:
        """Return an open upload. Raises UploadUnknownError if there is none."""
        upload = Upload(self, identity)
        if not _UPLOAD_ID.fullmatch(identity) or not upload.path.is_file():
            raise UploadUnknownError("there is no such upload, or no longer. Begin it again.")
        return upload

    def blob(self, digest: str) -> Path | None:
        """Return the file of a blob, None if it was not pushed."""
        return self._find(digest, "blob")

    def manifest(self, digest: str) -> bytes | None:
        """Return a manifest, None if it was not pushed."""
        path = self._find(digest, "manifest")
        return path.read_bytes() if path else None

    def add_manifest(self, content: bytes) -> None:
        """Keep a manifest."""
        with replace_file(self.new_path(f"sha256:{hashlib.sha256(content).hexdigest()}", "manifest")) as file:
            file.write(content)

    def path(self, digest: str, kind: str) -> Path:
        """Return where a blob or a manifest is, or would be."""
        return self._folder / f"{digest.removeprefix('sha256:')}.{kind}"

    def new_path(self, digest: str, kind: str) -> Path:
        """Return where to write something, in a folder that is there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self.path(digest, kind)

    def remove_blobs(self, digests: set[str]) -> None:
        """Remove blobs that are published now, with what was made of them."""
        for digest in digests:
            blob = self.path(digest, "blob")
            for path in (blob, blob.with_suffix(".gz"), blob.with_suffix(".json")):
                path.unlink(missing_ok=True)

    def _find(self, digest: str, kind: str) -> Path | None:
        # Anything else would be a path of others' making.
        if not _DIGEST.fullmatch(digest):
            return None
        # Who only pulls needs no folder of ours, and gets none.
        with suppress(OSError, SkyportError):
            path = self.path(digest, kind)
            os.utime(path)
            return path
        return None

    @property
    def _folder(self) -> Path:
        return cache_folder("registry", "pushed") / self._user

    def upload_path(self, identity: str) -> Path:
        """Return the file of an upload."""
        return self._folder / f"{identity}.upload"


class Upload:
    """A blob that is being pushed, in pieces that follow each other."""

    def __init__(self, staging: Staging, identity: str) -> None:
        self.identity = identity
        self._staging = staging
        self.path = staging.upload_path(identity)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size

    def append(self, stream: ByteStream, *, start: int | None = None) -> int:
        """Add all that a stream gives, and return the size.

        start: where the client says that it begins.
        Raises UploadInvalidError if that is not the end of what is there, SizeInvalidError if it becomes too large.
        """
        size = self.size
        if start is not None and start != size:
            raise UploadInvalidError(f"the upload has {size} bytes, and the chunk begins at {start}")
        with self.path.open("ab", buffering=0) as file, ExitStack() as opened:
            # Most come in one piece, from a client that takes its time to compress.
            scan = opened.enter_context(SideReader(scan_layer)) if not size else None
            hasher = hashlib.sha256()
            since_checked = 0
            while piece := stream.read(PIECE):
                size += len(piece)
                since_checked += len(piece)
                if size > LARGEST_BLOB:
                    raise SizeInvalidError(f"a blob may have {human_size(LARGEST_BLOB)}")
                if since_checked > 64 * PIECE:
                    _require_room()
                    since_checked = 0
                file.write(piece)
                hasher.update(piece)
                scan = _scan(scan, piece)
            self._note(scan, f"sha256:{hasher.hexdigest()}")
        return size

    def finish(self, digest: str) -> None:
        """Make it the blob of this digest. Raises DigestInvalidError if it is not, and then it is gone."""
        found = self._noted_digest()
        if not found:
            with self.path.open("rb") as file:
                found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        if found != digest:
            self.cancel()
            raise DigestInvalidError(f"the blob has the digest {found}, not {digest}. Push it again.")
        blob = self._staging.path(digest, "blob")
        with suppress(FileNotFoundError):
            note_of(self.path).replace(note_of(blob))
        self.path.replace(blob)

    def _noted_digest(self) -> str:
        """Return the digest that was told while it came, empty if that was in several pieces."""
        with suppress(OSError, msgspec.DecodeError):
            noted = decode_json(note_of(self.path).read_bytes(), LayerFacts)
            return noted.digest if noted.stored == self.size else ""
        return ""

    def _note(self, scan: SideReader[LayerFacts | None] | None, digest: str) -> None:
        """Note what was found out about what came so far, which may be all. digest: of that."""
        try:
            facts = scan.finish() if scan else None
        except ArchiveError:
            facts = None
        if facts:
            noted = msgspec.structs.replace(facts, digest=digest)
            note_of(self.path).write_bytes(msgspec.json.encode(noted))

    def cancel(self) -> None:
        """Remove it."""
        for path in (self.path, note_of(self.path)):
            path.unlink(missing_ok=True)


def _scan(scan: SideReader[LayerFacts | None] | None, piece: bytes) -> SideReader[LayerFacts | None] | None:
    """Hand a piece on; None once it is known that the blob is no layer, which many are not."""
    try:
        if scan:
            scan.write(piece)
    except ArchiveError:
        return None
    return scan


def note_of(path: Path) -> Path:
    """Return the file with what was found out about a blob."""
    return path.with_suffix(".json")


def read_pieces(path: Path) -> Iterator[bytes]:
    """Yield the content of a file."""
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            yield piece


def expire() -> None:
    """Remove, of all users, the uploads that stand still and what no manifest took."""
    now = time.time()
    for path in cache_folder("registry", "pushed").glob("*/*"):
        with suppress(OSError):
            age = now - path.stat().st_mtime
            if age > (UPLOAD_SECONDS if path.suffix == ".upload" else BLOB_SECONDS):
                path.unlink()


def _require_room() -> None:
    status = os.statvfs(cache_folder("registry", "pushed"))
    free = status.f_bavail * status.f_frsize
    if free < KEPT_FREE:
        raise TooManyError(f"the disk of this registry is full: {human_size(free)} are free")
