"""A pushed manifest becomes a published image: the archive is made of the blobs, and registered as any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.cache import key_of, only_one
from skyport_wf.digests import digest_of
from skyport_wf.errors import AlreadyPublishedError, ArchiveError, ShockError, UsageError
from skyport_wf.image.archive.joined import JoinedArchive
from skyport_wf.image.archive.layout import layer_name
from skyport_wf.image.archive.manifest import parse_config
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image.distribution.parsing import LARGEST_CONFIG, ImageManifest, find_manifest, parse_manifest
from skyport_wf.image.examination.examine import examine_loadable
from skyport_wf.image.platforms import AWE_PLATFORM, is_platform
from skyport_wf.image_list.reference import ImageReference, parse_reference
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.output_file import replace_file
from skyport_wf.publication.attributes import describe_image, describe_upload, to_json_values
from skyport_wf.publication.connection import Shock
from skyport_wf.publication.name_state import WantedImage, decide
from skyport_wf.publication.published import require_readable
from skyport_wf.publication.take_name import Candidate, take_name
from skyport_wf.records.records import BuildRecord, SaveRecord
from skyport_wf.records.source import Source
from skyport_wf.registry.backend import PASSWORD
from skyport_wf.registry.pushed_layers import find_false_layers, find_layers
from skyport_wf.registry.refusals import (
    BlobUnknownError,
    DeniedError,
    ManifestBlobUnknownError,
    ManifestInvalidError,
    ManifestUnknownError,
    SizeInvalidError,
    TagInvalidError,
    TooManyError,
)
from skyport_wf.registry.staging import watching_room
from skyport_wf.shock.connection import ShockRefusalError
from skyport_wf.steps.upload import upload
from skyport_wf.transfer.parts_node import NoRoomError
from skyport_wf.transfer.same_image import copy_same_image
from skyport_wf.transfer.send import check_arrival, send

if TYPE_CHECKING:
    from skyport_wf.registry.backend import Backend
    from skyport_wf.registry.context import RequestContext
    from skyport_wf.shock.client import ShockClient

_DISK_FULL = 507
"""The HTTP status of a Shock whose disk is full."""
_LARGEST_KEPT = 64 << 10
"""Bytes of a manifest that the node of an image keeps in its attributes, which every list of images reads: 127 layers,
more than engines take, are 20 kB."""
_OTHERWISE = "push it under a new tag."


class CallersShock(Shock):
    """The Shock of a registry, as publishing asks it for the caller."""

    def __init__(self, backend: Backend, token: str | None, url: str) -> None:
        """Ask for the owner of the token. url: the registry's address, for messages."""
        super().__init__(
            url,
            download_base=url,
            read_token=lambda: token,
            token_from=PASSWORD,
            auth="",
            ca_bundle=lambda: None,
        )
        self._backend = backend

    @cached_property
    def user(self) -> ShockClient:
        """The Shock as the caller asks it."""
        return self._backend.client(self.token)

    @cached_property
    def anybody(self) -> ShockClient:
        """The Shock as somebody without a token asks it."""
        return self._backend.client(None)


class _Sent(msgspec.Struct, frozen=True):
    """A hidden, expiring node with an archive."""

    node: str
    """Its id."""
    saved: SavedArchive
    archive_name: str = ""
    """The name that the archive gives the image, where that is another one."""


class Pusher:
    """Publishes what one caller pushes to a repository."""

    def __init__(self, context: RequestContext, repository: str) -> None:
        """Publish for the sender of the request."""
        self._context = context
        self._repository = repository
        self._staging = context.staging
        self._shock = CallersShock(context.backend, context.view.caller.token, context.url)

    def push(self, content: bytes, tag: str) -> None:
        """Publish the image of a manifest, or the one for AWE of an index.

        Raises TagInvalidError, ManifestInvalidError, ManifestBlobUnknownError, UnauthorizedError, DeniedError,
        SizeInvalidError, TooManyError if a disk is full, the Shock's or ours.
        """
        try:
            reference = parse_reference(f"{self._repository}:{tag}")
        except UsageError as error:
            raise TagInvalidError(str(error)) from error
        content = find_manifest(content, self._chosen, self._config)
        manifest = parse_manifest(content)
        if len(content) > _LARGEST_KEPT:
            raise SizeInvalidError(
                f"the manifest of an image may have {_LARGEST_KEPT:,} bytes. Shorten its annotations."
            )
        try:
            # Of the same push twice, the second waits, and then finds the image.
            key = key_of(f"{reference} {digest_of(content)}")
            with self._staging.reading(), only_one(self._staging.new_path(key, "push")):
                self._publish(reference, manifest, content)
        except ArchiveError as error:
            raise ManifestInvalidError(str(error)) from error
        except (AlreadyPublishedError, ShockError, NoRoomError) as error:
            if isinstance(error, ShockRefusalError) and error.is_about_rights:
                # Nobody may have the token any more: then a client is to ask for another one.
                self._context.view.check()
            is_full = isinstance(error, NoRoomError) or (
                isinstance(error, ShockRefusalError) and error.status == _DISK_FULL
            )
            raise (TooManyError if is_full else DeniedError)(str(error)) from error
        self._staging.take({manifest.config, *manifest.layers})

    def _chosen(self, digest: str) -> bytes:
        """Return what an index names: a manifest, or an index, that was pushed, or a manifest of the repository."""
        if pushed := self._staging.manifest(digest):
            return pushed
        try:
            return self._context.lookup.by_digest(self._context.view, self._repository, digest).manifest.content
        except ManifestUnknownError as error:
            raise ManifestBlobUnknownError(
                f"the index names the manifest {digest}, which was not pushed before it"
            ) from error

    def _publish(self, reference: ImageReference, manifest: ImageManifest, content: bytes) -> None:
        build = BuildRecord(str(reference), Source("archive", manifest.config), ShockSettings())
        wanted = WantedImage(
            name=build.name,
            source_digest=build.source.digest,
            image_id=manifest.config,
            thin_on=None,
            public=build.shock.public,
            replace=False,
            otherwise=_OTHERWISE,
        )
        # Before anything is read or sent that cannot end well.
        decision = decide(self._shock, wanted)
        same = decision.names.same
        if same and decision.is_there:
            # Before the blobs are looked for, some of which are lost with the file.
            require_readable(self._shock, same)
            # A push cannot say who may read the image: whoever published it has.
            wanted = msgspec.structs.replace(wanted, public=same.public)
        else:
            decision.require()
        node = same.id if same else None
        attributes: dict[str, object] | None = None
        try:
            join = self._prepare(build, reference, manifest, content)
            if node is None:
                sent = self._copy(build, content) or self._send(build, join, digest_of(content))
                node, attributes = sent.node, _describe(build, sent)
        except (ArchiveError, ManifestInvalidError) as error:
            if false := find_false_layers(self._context, self._repository, manifest):
                raise ManifestBlobUnknownError(
                    f"the nodes that should have the blob {false[0]} have something else. Push the image again."
                ) from error
            raise
        take_name(
            Candidate(
                wanted=wanted,
                node=node,
                attributes=attributes,
                hidden=describe_upload(build),
                source=None,
                anew="Push it again.",
            ),
            self._shock,
        )

    def _prepare(
        self, build: BuildRecord, reference: ImageReference, manifest: ImageManifest, content: bytes
    ) -> Callable[[], JoinedArchive]:
        """Return what makes the archive of a manifest whose blobs are all there, and belong together."""
        config = self._config(manifest)
        _check_platform(config)
        layers = find_layers(self._context, self._repository, manifest)
        _check_layers(config, [diff_id for diff_id, _ in layers])
        known = {layer_name(diff_id): diff_id for diff_id, layer in layers if layer.is_known}
        return lambda: JoinedArchive(
            reference,
            config,
            dict(layers).__getitem__,
            examine=partial(examine_loadable, wanted=build.name, known=known),
            manifest=content,
            md5=self._context.backend.is_remote,
        )

    def _copy(self, build: BuildRecord, content: bytes) -> _Sent | None:
        """Return a copy of a node that has the image under another name, None if there is none.

        Many images are pushed under several names, such as 1.2 and 1.2.3: only the first is joined.
        content: the manifest.
        """
        same = copy_same_image(self._shock, build, build.source.digest, manifest=content.decode())
        return _Sent(same.node, same.saved, same.archive_name) if same and same.saved else None

    def _send(self, build: BuildRecord, join: Callable[[], JoinedArchive], digest: str) -> _Sent:
        """Send the archive. digest: of the manifest."""
        # Over a network large archives go in parts, and go on where they were interrupted when they are pushed again.
        if self._context.backend.is_remote:
            return self._send_file(build, join(), digest)
        return self._send_stream(build, join)

    def _send_stream(self, build: BuildRecord, join: Callable[[], JoinedArchive]) -> _Sent:
        """Send the archive as it is made."""
        joined: list[JoinedArchive] = []

        def read() -> Iterator[bytes]:
            # Once for each attempt to send it.
            joined.append(join())
            yield from joined[-1]

        node = send(self._shock, build, read, size=None)
        saved = joined[-1].result
        self._context.lookup.note_layers(saved)
        # The store is in this process, and computes the MD5 of what it is given: once is enough.
        digests = msgspec.structs.replace(saved.digests, md5=node.file.checksum.md5)
        check_arrival(self._shock, node, digests, build.name)
        return _Sent(node.id, msgspec.structs.replace(saved, digests=digests))

    def _send_file(self, build: BuildRecord, archive: JoinedArchive, digest: str) -> _Sent:
        """Send the archive by way of a file.

        digest: of the manifest; with the name, it tells an unfinished upload.
        """
        key = key_of(f"{build.name} {digest}")
        path = self._staging.new_path(key, "archive")
        with replace_file(path) as file:
            for piece in watching_room(archive):
                file.write(piece)
        self._context.lookup.note_layers(archive.result)
        try:
            record = SaveRecord(build, path.name, archive.result)
            progress = self._staging.path(key, "unfinished")
            uploaded = upload(record, path, self._shock, progress_file=progress)
        finally:
            path.unlink(missing_ok=True)
        return _Sent(uploaded.node, uploaded.saved or archive.result, uploaded.archive_name)

    def _config(self, manifest: ImageManifest) -> bytes:
        """Return the config. Raises ManifestBlobUnknownError, ManifestInvalidError if it is too large to be one."""
        digest = manifest.config
        path = self._staging.blob(digest)
        config = path.read_bytes() if path and path.stat().st_size <= LARGEST_CONFIG else None
        if path is None:
            try:
                blob = self._context.lookup.blob(self._context.view, self._repository, digest).blob
            except BlobUnknownError as error:
                raise ManifestBlobUnknownError(f"the config {digest} was not pushed") from error
            config = blob if isinstance(blob, bytes) else None
        if config is None:
            raise ManifestInvalidError(f"the blob {digest} is not the config of an image")
        manifest.require_size(digest, len(config))
        return config


def _describe(build: BuildRecord, sent: _Sent) -> dict[str, object]:
    """Return the attributes that publish an image."""
    return to_json_values(describe_image(build, sent.saved, registered="", archive_name=sent.archive_name))


def _check_platform(config: bytes) -> None:
    """Raise ManifestInvalidError if AWE's workers cannot run the image. What it does not say counts as right."""
    platform = parse_config(config).platform
    if not is_platform(platform, AWE_PLATFORM):
        raise ManifestInvalidError(
            f"it is an image for {platform[:100]}, and AWE's workers are {AWE_PLATFORM}. Build it with "
            f"`--platform {AWE_PLATFORM}`; on purpose, `skyport-wf publish` takes it with `platform:` in an image list"
        )


def _check_layers(config: bytes, diff_ids: list[str]) -> None:
    """Raise ManifestInvalidError if the layers are not those that the config names, in this order."""
    named = parse_config(config).rootfs.diff_ids or ()
    if tuple(diff_ids) != named:
        raise ManifestInvalidError(
            f"the layers are not those of the config, in its order: their diff ids are "
            f"{', '.join(diff_ids)[:1000] or 'none'}, and it names {', '.join(named)[:1000] or 'none'}"
        )
