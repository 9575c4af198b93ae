"""Things pushed and not published yet: blobs and manifests on this machine, each user's own.

They are in the user's cache, and go by themselves: uploads that stand still, and blobs that no manifest took.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final
from uuid import uuid4

import msgspec

from skyport_wf.cache import cache_folder
from skyport_wf.decoding import decode_json
from skyport_wf.digests import digest_of, is_sha256
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
MOST_FILES: Final = 10_000
"""Files of one user that may wait for a manifest: an image has a few for each of its layers, 127 at most."""
LARGEST_BLOB: Final = 100 * 10**9
KEPT_FREE: Final = 2 * 10**9
"""Bytes of the disk that are not for what others push."""
UPLOAD_SECONDS: Final = 3600
"""How long an upload may stand still."""
BLOB_SECONDS: Final = 86400
"""How long a blob waits for its manifest."""
STAGED_PIECE: Final = 256 * 1024
"""Bytes of a layer that are read at a time, as many as the embedded Shock takes and hands out: larger ones would be
taken apart, or put together of these, and several threads keep some."""
_NO_UPLOAD: Final = "there is no such upload, or no longer. Begin it again."
_ROOM_CHECKED_EVERY: Final = 64 << 20
"""Bytes of an upload after which the room on the disk is looked at again."""
_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


class Staging:
    """Blobs and manifests that one user has pushed."""

    def __init__(self, token: str | None) -> None:
        """Look at what the owner of the token has pushed; None for those without one."""
        # A name that tells nothing of the token.
        self._user = hashlib.sha256(f"pushed {token or ''}".encode()).hexdigest()[:32]

    def open_upload(self) -> Upload:
        """Begin an upload. Raises TooManyError if too many are open, or as add_manifest does."""
        self._require_place()
        _require(self._require_few_uploads)
        upload = Upload(self, uuid4().hex)
        upload.path.touch(mode=0o600)
        return upload

    def upload(self, identity: str) -> Upload:
        """Return an open upload. Raises UploadUnknownError if there is none."""
        upload = Upload(self, identity)
        if not _UPLOAD_ID.fullmatch(identity) or not upload.path.is_file():
            raise UploadUnknownError(_NO_UPLOAD)
        return upload

    def blob(self, digest: str) -> Path | None:
        """Return the file of a blob, None if it was not pushed."""
        return self._find(digest, "blob")

    def manifest(self, digest: str) -> bytes | None:
        """Return a manifest, None if it was not pushed."""
        path = self._find(digest, "manifest")
        return path.read_bytes() if path else None

    def add_manifest(self, content: bytes) -> None:
        """Keep a manifest. Raises TooManyError if too much waits to be published, or the disk is full."""
        self._require_place()
        with replace_file(self.new_path(digest_of(content), "manifest")) as file:
            file.write(content)

    def _require_place(self) -> None:
        """Raise TooManyError if there is no place for one more file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        require_room()
        _require(self._require_few_files)

    def _require_few_files(self) -> None:
        if len(list(self._folder.iterdir())) >= MOST_FILES:
            raise TooManyError(f"{MOST_FILES} files wait for a manifest that publishes them. They go within a day.")

    def _require_few_uploads(self) -> None:
        if len(list(self._folder.glob("*.upload"))) >= MOST_UPLOADS:
            raise TooManyError(
                f"{MOST_UPLOADS} uploads are open. Finish some, or wait: those that stand still end by themselves."
            )

    def path(self, digest: str, kind: str) -> Path:
        """Return where a blob or a manifest is, or would be."""
        return self._folder / f"{digest.removeprefix('sha256:')}.{kind}"

    def new_path(self, digest: str, kind: str) -> Path:
        """Return where to write something, in a folder that is there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self.path(digest, kind)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep all blobs while the block lasts, also those that another push has published meanwhile."""
        with self._lock(fcntl.LOCK_SH):
            yield

    def take(self, digests: set[str]) -> None:
        """Have blobs removed that are published now: at once, or by the last push that may be reading them.

        A layer that was compressed here stays until it expires: no published image has it as it was pushed.
        """
        for digest in digests:
            blob = self.path(digest, "blob")
            if blob.exists() and not gzip_of(blob).exists():
                blob.with_suffix(".taken").touch()
        with suppress(BlockingIOError), self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB):
            for taken in self._folder.glob("*.taken"):
                for path in (taken.with_suffix(".blob"), note_of(taken), taken):
                    path.unlink(missing_ok=True)

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, kind)
            yield
        finally:
            os.close(folder)

    def _find(self, digest: str, kind: str) -> Path | None:
        # Anything else would be a path of others' making.
        if not is_sha256(digest):
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
        """Bytes so far. Raises UploadUnknownError if it is finished or was ended."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError as error:
            raise UploadUnknownError(_NO_UPLOAD) from error

    def append(self, stream: ByteStream, *, start: int | None = None) -> int:
        """Add all that a stream gives, and return the size.

        start: where the client says that it begins.
        Raises UploadInvalidError if that is not the end of what is there, or another request goes on with the upload.
        Raises SizeInvalidError if it becomes too large, TooManyError if the disk is full; then the upload is gone.
        """
        size = self.size
        if start is not None and start != size:
            raise UploadInvalidError(f"the upload has {size} bytes, and the chunk begins at {start}")
        with self.path.open("ab", buffering=0) as file, ExitStack() as opened:
            # Most come in one piece, from a client that takes its time to compress.
            scan = opened.enter_context(SideReader(scan_layer)) if not size else None
            hasher = hashlib.sha256()
            while piece := stream.read(STAGED_PIECE):
                self._require_room(size, size + len(piece))
                with self._own(file, size):
                    file.write(piece)
                size += len(piece)
                hasher.update(piece)
                scan = _scan(scan, piece)
            with self._own(file, size):
                self._note(scan, f"sha256:{hasher.hexdigest()}")
        return size

    def finish(self, digest: str) -> None:
        """Make it the blob of this digest. Raises DigestInvalidError if it is not, and then it is gone."""
        with self.path.open("rb") as file, self._own(file):
            found = self._noted_digest() or f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
            if found != digest:
                self.cancel()
                raise DigestInvalidError(f"the blob has the digest {found}, not {digest}. Push it again.")
            blob = self._staging.path(digest, "blob")
            with suppress(FileNotFoundError):
                note_of(self.path).replace(note_of(blob))
            self.path.replace(blob)

    def _require_room(self, size: int, new_size: int) -> None:
        """End the upload, and raise SizeInvalidError or TooManyError, if it cannot grow to the new size."""
        try:
            if new_size > LARGEST_BLOB:
                raise SizeInvalidError(f"a blob may have {human_size(LARGEST_BLOB)}")
            if size // _ROOM_CHECKED_EVERY != new_size // _ROOM_CHECKED_EVERY:
                require_room()
        except (SizeInvalidError, TooManyError):
            self.cancel()
            raise

    @contextmanager
    def _own(self, file: BinaryIO, size: int | None = None) -> Iterator[None]:
        """Let no other request touch the upload while the block lasts.

        size: what it has unless another request went on with it.
        Raises UploadInvalidError if another one did, or has finished or ended it.
        """
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            opened, named = os.fstat(file.fileno()), None
            with suppress(FileNotFoundError):
                named = self.path.stat()
            if named is None or not os.path.samestat(opened, named) or size not in (None, opened.st_size):
                raise UploadInvalidError("another request goes on with this upload, or has ended it")
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)

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


def gzip_of(path: Path) -> Path:
    """Return the file that is made of a layer that is not gzip."""
    return path.with_suffix(".gz")


def read_pieces(path: Path) -> Iterator[bytes]:
    """Yield the content of a file."""
    with path.open("rb", buffering=0) as file:
        while piece := file.read(STAGED_PIECE):
            yield piece


def expire() -> None:
    """Remove, of all users, the uploads that stand still and what no manifest took."""
    now = time.time()
    for path in cache_folder("registry", "pushed").glob("*/*"):
        with suppress(OSError):
            age = now - path.stat().st_mtime
            if age > (UPLOAD_SECONDS if path.suffix == ".upload" else BLOB_SECONDS):
                path.unlink()


def require_room() -> None:
    """Raise TooManyError if the disk has no room for what others push."""
    _require(_require_free)


def watching_room(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces of what is written here. Raises TooManyError once the disk has no room for more."""
    unwatched = _ROOM_CHECKED_EVERY
    for piece in pieces:
        unwatched += len(piece)
        if unwatched >= _ROOM_CHECKED_EVERY:
            require_room()
            unwatched = 0
        yield piece


def _require(fulfilled: Callable[[], None]) -> None:
    """Have something that raises TooManyError called; if it does, once more without what has expired meanwhile."""
    try:
        fulfilled()
    except TooManyError:
        expire()
        fulfilled()


def _require_free() -> None:
    status = os.statvfs(cache_folder("registry", "pushed"))
    free = status.f_bavail * status.f_frsize
    if free < KEPT_FREE:
        raise TooManyError(f"the disk of this registry is full: {human_size(free)} are free")
