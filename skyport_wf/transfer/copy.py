"""A published image on another Shock too: the same file, the same attributes, registered there by the same protocol."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from skyport_wf.errors import ShockError, SkyportError, UsageError
from skyport_wf.image.contents import ArchiveDigests
from skyport_wf.image_list.spec import EMBEDDED, ShockSettings
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.publication.attributes import OWN_KEY, NodeAttributes, describe_upload, read_attributes
from skyport_wf.publication.awe_problems import find_problems_of_file, how_to_mend, in_words, require_file
from skyport_wf.publication.connection import Target, open_shock, open_target
from skyport_wf.publication.inventory import StoredImage
from skyport_wf.publication.name_state import WantedImage, decide
from skyport_wf.publication.published import PublishedNode, find_published, require_readable
from skyport_wf.publication.receipts import receipt_of
from skyport_wf.publication.resolve import find_for_worker
from skyport_wf.publication.settings import read_token_variable, shock_url, token_source
from skyport_wf.publication.take_name import Candidate, take_name
from skyport_wf.records.receipt import Receipt
from skyport_wf.records.records import BuildRecord
from skyport_wf.records.source import Source
from skyport_wf.shock.node import Node
from skyport_wf.transfer.download import open_download
from skyport_wf.transfer.send import check_arrival, copy_on_server
from skyport_wf.transfer.upload import send_stream

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock

_log = logging.getLogger(__name__)
_OTHERWISE = "copy it under this name only with --replace, if nobody needs the one that is there any more."


class CopiedImage(msgspec.Struct, frozen=True):
    """An image that is on both."""

    origin: str
    """The node that was copied."""
    sent: int
    """Bytes that went over; 0 if the file was there."""
    receipt: Receipt
    """Of the copy."""


class PlannedCopy(msgspec.Struct, frozen=True):
    """An image that can be copied, or is there already."""

    node: Node
    """The original's."""
    wanted: WantedImage
    """The image that it is to be there."""
    there: PublishedNode | None
    """The node that has the image there already, if there is one."""
    is_done: bool
    """Whether there is nothing to do."""


@contextmanager
def open_both(settings: ShockSettings, target: Target) -> Iterator[tuple[Shock, Shock]]:
    """Open the Shock to copy from, which the settings mean, and the one to copy to.

    Raises UsageError if the token for that is missing, or is the other server's.
    """
    _check_token(settings, target)
    with open_shock(settings) as origin, open_target(target) as there:
        yield origin, there


def plan_copy(origin: Shock, there: Shock, asked: str, *, private: bool = False, replace: bool = False) -> PlannedCopy:
    """Return what it takes to publish the image that an AWE worker would get for `asked` on another Shock too.

    private: let only the owner read the copy, even if everyone may read the original.
    replace: whether another image of the name may lose it there.
    Raises AweLookupError if a worker would get none, AlreadyPublishedError if another image or another user has the
    name there, UsageError if the copy is to be private and there is no token for it.
    """
    node = find_for_worker(origin, asked)
    attributes = read_attributes(node.attributes)
    require_file(node)
    if attributes is None:
        raise ShockError(f"node {node.id} of {asked} is damaged: its attributes make no sense")
    wanted = WantedImage(
        name=attributes.name,
        source_digest="",
        image_id=attributes.id,
        thin_on=attributes.thin_on,
        public=not private and origin.everyone_reads(node.id),
        replace=replace,
        otherwise=_OTHERWISE,
    )
    if not wanted.public and not there.is_known_user:
        raise UsageError(
            f"the copy of {wanted.name} is to be private, and without a token nothing can be: put the token for "
            f"{there.url} into a variable, and name that with --to-token-env."
        )
    decision = decide(there, wanted)
    # Who reads a copy that is there stays as it is.
    if not decision.is_there:
        if decision.state == "base missing" and not decision.names.same:
            _advise_base(attributes, there)
        decision.require()
        _check_usable(origin, node, attributes.name)
    elif there_already := decision.names.same:
        require_readable(there, there_already)
        if there_already.public != wanted.public:
            # Whoever published it so may have had a reason.
            readers = ("listed users", "everyone")
            _log.warning(
                "%s is on %s already (node %s) and stays as it is, readable by %s; the copy would be readable by %s",
                wanted.name, there.name, there_already.id, readers[bool(there_already.public)], readers[wanted.public],
            )  # fmt: skip
    return PlannedCopy(node, wanted, decision.names.same, decision.is_there)


def copy(
    origin: Shock,
    there: Shock,
    planned: PlannedCopy,
    *,
    settings: ShockSettings = ShockSettings(),  # noqa: B008 - a frozen value
    progress: Progress = UNSEEN,
) -> CopiedImage:
    """Publish the image on the other Shock. What an interrupted copy has sent of a large file is not sent again.

    settings: say which files go in parts.
    progress: called with the bytes of each piece that goes over.
    """
    node, wanted, same = planned.node, planned.wanted, planned.there
    if planned.is_done and same:
        return CopiedImage(node.id, 0, receipt_of(there, same.node))
    # By what is known of an image that another tool published, the upload is known by the image's id.
    attributes = read_attributes(node.attributes)
    known = attributes.skyport_wf if attributes else None
    source = known.source if known else Source("archive", wanted.image_id or "")
    build = BuildRecord(wanted.name, source, settings)
    # As they stand there: another tool's may say more than this one knows, and may lack what the name tells. What
    # makes no sense under the key of this one, nothing could be added to.
    told = {key: value for key, value in (node.attributes or {}).items() if known or key != OWN_KEY}
    upload, sent = (same.id, 0) if same else _upload(origin, node, build, there, progress)
    candidate = Candidate(
        wanted=wanted,
        node=upload,
        attributes={**told, "repository": build.reference.repository, "tag": build.reference.tag},
        hidden=describe_upload(build),
        source=None,
        anew="Run the command again.",
    )
    return CopiedImage(node.id, sent, take_name(candidate, there))


def bases_first(names: Sequence[str], images: Sequence[StoredImage]) -> list[list[str]]:
    """Return the names in groups: no thin image comes before, or in the group of, its base image.

    images: as the Shock has them.
    """
    bases = {
        image.name: attributes.thin_on.name
        for image in images
        if (attributes := read_attributes(image.node.attributes)) and attributes.thin_on
    }

    def depth(name: str) -> int:
        below = 0
        # No chain is longer than there are images, unless it is a circle.
        while below <= len(bases) and (base := bases.get(name)):
            name, below = base, below + 1
        return below

    return [list(group) for _, group in groupby(sorted(names, key=depth), depth)]


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


def _check_usable(origin: Shock, node: Node, name: str) -> None:
    """Raise SkyportError if no AWE worker could run a copy either, or its file is gone."""
    # A dry run would promise to copy it otherwise.
    origin.user.read_start(node, 1)
    if fatal := [problem for problem in find_problems_of_file(origin.user, node) if problem.fatal]:
        raise SkyportError(
            f"{name} is not copied, as no AWE worker could run the copy: {in_words(fatal)}. Its owner can mend it: "
            f"{how_to_mend(node)}."
        )


def _advise_base(attributes: NodeAttributes, there: Shock) -> None:
    """Raise SkyportError that says how to get the base there, if it is not there under any id."""
    base = attributes.thin_on
    if base and not find_published(there.user, base.name):
        raise SkyportError(
            f"{attributes.name} is a thin image built on {base.name or base.image_id}, which {there.name} does not "
            f"have, so nobody could load it. Copy that first: `skyport-wf copy {base.name or 'NAME'} --to {there.url}`."
        )


def _upload(origin: Shock, node: Node, build: BuildRecord, there: Shock, progress: Progress) -> tuple[str, int]:
    """Return a hidden, expiring node with the file, and the bytes that were sent: none if it is copied there."""
    # Size and MD5 are all that the server tells of the file.
    digests = ArchiveDigests(
        size=node.file.size, md5=node.file.checksum.md5, sha256="", archive_size=0, archive_sha256="", canonical=False
    )
    if made := copy_on_server(there.user, build, digests):
        return made.id, 0

    def read() -> Iterator[bytes]:
        with open_download(origin.user, node, build.name, progress) as download:
            yield from download.pieces()

    made = send_stream(there, build, read, about_size=digests.size, size=digests.size)
    check_arrival(there, made, digests, build.name)
    return made.id, digests.size
