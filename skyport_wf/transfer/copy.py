"""A published image on another Shock: the same file, the same attributes, registered there by the same protocol."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from skyport_wf.errors import ShockError, SkyportError, UsageError
from skyport_wf.image.contents import ArchiveDigests
from skyport_wf.image_list.spec import EMBEDDED, ShockSettings
from skyport_wf.publication.attributes import NodeAttributes, describe_upload, read_attributes
from skyport_wf.publication.connect import open_shock, read_token_variable, shock_url, token_source
from skyport_wf.publication.destination import Destination, Target, open_target
from skyport_wf.publication.name_state import Standing, check_ownership, find_published, judge
from skyport_wf.publication.resolve import resolve
from skyport_wf.publication.take_name import Candidate, give_name, receipt_of
from skyport_wf.publication.thin import base_problem
from skyport_wf.records.records import BuildRecord, Receipt, Source
from skyport_wf.transfer.download import open_download
from skyport_wf.transfer.send import EXPIRATION, check_arrival, send
from skyport_wf.transfer.server_copy import copy_on_server

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)
_OTHERWISE = "copy it under this name only with --replace, if nobody needs the one that is there any more."
_ANEW = "Run the command again."


class CopiedImage(msgspec.Struct, frozen=True):
    """An image that is on both."""

    origin: str
    """The node that was copied."""
    sent: int
    """Bytes that went over; 0 if the file was there."""
    receipt: Receipt
    """Of the copy."""


class _Original(msgspec.Struct, frozen=True):
    """What is to be copied."""

    shock: ShockClient
    node: Node
    attributes: NodeAttributes

    @property
    def name(self) -> str:
        return self.attributes.name


def copy(
    settings: ShockSettings,
    asked: str,
    target: Target,
    *,
    private: bool = False,
    replace: bool = False,
    progress: Callable[[int], None] = lambda size: None,
) -> CopiedImage:
    """Publish the image that an AWE worker would get for `asked` on another Shock too.

    settings: the Shock that has it.
    private: let only the owner read the copy, even if everyone may read the original.
    replace: whether another image of the name may lose it there.
    progress: called with the bytes of each piece that goes over.
    Raises AweLookupError if a worker would get none, AlreadyPublishedError if another image or another user has the
    name there, UsageError if the token for it is missing or is another server's.
    """
    _check_token(settings, target)
    original = _find_original(open_shock(settings), asked)
    public = not private and original.shock.read_access(original.node.id).public.read
    _check_owner(original, target, public=public)
    there = open_target(target, public=public)
    standing = _judge(original, there, replace=replace)
    if done := _find_done(original, there, standing):
        return CopiedImage(original.node.id, 0, done)
    _check_base(original, there)
    counted = _Counted(progress)
    node_id = standing.same.id if standing.same else _bring(original, there, counted)
    return CopiedImage(original.node.id, counted.size, give_name(_candidate(original, node_id, replace), there))


def _check_token(settings: ShockSettings, target: Target) -> None:
    """Raise UsageError unless the target's token is there, and is not the one of the Shock to copy from."""
    variable, url = target.token_variable, shock_url(settings)
    if variable is None or target.url == EMBEDDED:
        return
    read_token_variable(variable, target.auth)
    if url != EMBEDDED and variable == token_source(settings) and urlsplit(url)[:2] != urlsplit(target.url)[:2]:
        raise UsageError(
            f"{variable} holds the token for {url}, and a token goes to one server only. Put the token for "
            f"{target.url} into another variable, and name that with --to-token-env."
        )


def _find_original(shock: ShockClient, asked: str) -> _Original:
    node = resolve(shock, asked)
    attributes = read_attributes(node.attributes)
    if attributes is None or not node.file.complete:
        raise ShockError(f"node {node.id} of {asked} is damaged: it has no file, or attributes that make no sense")
    return _Original(shock, node, attributes)


def _check_owner(original: _Original, target: Target, *, public: bool) -> None:
    if not public and target.token_variable is None and target.url != EMBEDDED:
        raise UsageError(
            f"the copy of {original.name} is to be private, and without a token nothing can be: put the token for "
            f"{target.url} into a variable, and name that with --to-token-env."
        )


def _judge(original: _Original, there: Destination, *, replace: bool) -> Standing:
    """Return how the image stands there. Raises AlreadyPublishedError if it cannot have its name."""
    standing = judge(
        original.name, find_published(there.shock, original.name), source_digest="", image_id=original.attributes.id,
        replace=replace, thin_on=_base_name(original), otherwise=_OTHERWISE,
    )  # fmt: skip
    for other in standing.others:
        # Asked again when the name is taken; asked now so that nobody sends gigabytes in vain.
        check_ownership(there.shock, other.id, original.name)
    return standing


def _find_done(original: _Original, there: Destination, standing: Standing) -> Receipt | None:
    """Return the receipt if the image is published there, alone under its name and to stay."""
    same = standing.same
    if same is None or standing.others:
        return None
    node = there.shock.find(same.id)
    return receipt_of(original.name, there, same.id, same.attributes) if node and not node.expires else None


def _base_name(original: _Original) -> str:
    base = original.attributes.thin_on
    return base.name if base else ""


def _check_base(original: _Original, there: Destination) -> None:
    """Raise SkyportError if the image is thin and the image that it is on is not there."""
    base = original.attributes.thin_on
    if base is None or not (problem := base_problem(there, original.name, base)):
        return
    if find_published(there.shock, base.name):
        raise SkyportError(problem)
    raise SkyportError(
        f"{original.name} is thin on {base.name or base.image_id}, which {there.shock.name} does not have, so nobody "
        f"could load it. Copy that first: `skyport-wf copy {base.name or 'NAME'} --to {there.url}`."
    )


def _bring(original: _Original, there: Destination, progress: Callable[[int], None]) -> str:
    """Return a hidden, expiring node with the file: copied there from another node, or sent."""
    build, digests = _build_record(original), _digests(original.node)
    file_name = f"{build.reference.key}.tar.gz"
    if made := copy_on_server(there.shock, build, digests, file_name=file_name, expiration=EXPIRATION):
        return made.id
    node = send(there.shock, build, lambda: _read(original, progress), size=digests.size)
    check_arrival(there.shock, node, digests, original.name)
    return node.id


def _read(original: _Original, progress: Callable[[int], None]) -> Iterator[bytes]:
    with open_download(original.shock, original.node, original.name, progress) as download:
        yield from download.pieces()


class _Counted:
    """Counts the bytes that go over."""

    def __init__(self, progress: Callable[[int], None]) -> None:
        self._progress = progress
        self.size = 0

    def __call__(self, size: int) -> None:
        self.size += size
        self._progress(size)


def _build_record(original: _Original) -> BuildRecord:
    """Return what an upload is known by; of an image that another tool published, that is the image's id."""
    known = original.attributes.skyport_wf
    source = Source(known.source, known.source_digest) if known else Source("archive", original.attributes.id)
    return BuildRecord(original.name, source, ShockSettings())


def _digests(node: Node) -> ArchiveDigests:
    """Return what the copy has to have: size and MD5 as the server tells them, which is all that it tells."""
    return ArchiveDigests(
        size=node.file.size, md5=node.file.checksum.md5, sha256="", archive_size=0, archive_sha256="", canonical=False
    )


def _candidate(original: _Original, node_id: str, replace: bool) -> Candidate:
    return Candidate(
        name=original.name,
        node=node_id,
        image_id=original.attributes.id,
        source_digest="",
        thin_on=_base_name(original),
        # As they stand there: another tool's may say more than this one knows.
        attributes=original.node.attributes,
        hidden=describe_upload(_build_record(original)),
        source=None,
        description="",
        replace=replace,
        otherwise=_OTHERWISE,
        anew=_ANEW,
    )
