"""Making a node that docker2shock.pl left into one that AWE workers of today can use, after reading all of its file."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec

from skyport_wf.errors import ArchiveError, ShockError, SkyportError, UsageError
from skyport_wf.formatting import one_line, printable
from skyport_wf.image.examination.package_list import pack
from skyport_wf.image.examination.report import count_packages
from skyport_wf.image_list.reference import ImageReference, parse_reference
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.publication.attributes import (
    OWN_KEY,
    PACKAGES_KEY,
    describe_image,
    describe_upload,
    read_attributes,
    to_json_values,
)
from skyport_wf.publication.awe_lookup import AweLookupError, NoImageError
from skyport_wf.publication.awe_problems import is_gzip
from skyport_wf.publication.claim import claim_name
from skyport_wf.publication.name_state import WantedImage
from skyport_wf.publication.package_lists import listed_packages
from skyport_wf.publication.published import PublishedNode, find_published, not_the_owner, read_again, require_owner
from skyport_wf.publication.replacement import finish_replacement, retire_node
from skyport_wf.publication.resolve import resolve
from skyport_wf.publication.retire import choose
from skyport_wf.publication.take_name import Candidate, take_name
from skyport_wf.publication.thin import find_thin_on, would_lack
from skyport_wf.records.records import BuildRecord
from skyport_wf.records.source import Source
from skyport_wf.transfer.send import check_arrival, send
from skyport_wf.transfer.thin_chain import open_archive, open_image, read_chain

if TYPE_CHECKING:
    from skyport_wf.image.archive.normalise import NormalisedStream
    from skyport_wf.image.contents import ImageContents, SavedArchive
    from skyport_wf.image.examination.examine import ImageExamination
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import Node

_KEPT = ("dockerfile", "docker_version")
"""Attributes of the old node that a new one has as they are."""
_OTHERWISE = "choose another name with --as, or retire the image that nobody needs (skyport-wf retire)."
"""Advice where another image has got the name meanwhile."""


class Adoption(msgspec.Struct, frozen=True):
    """The things mended of a node, or to be mended."""

    name: str
    """The name that the image has then."""
    image_id: str
    node: str
    """The node that has it; before a new one is made, the old one."""
    changes: tuple[str, ...]
    """In words; empty if nothing is wrong."""


def adopt(
    shock: Shock,
    name: str,
    *,
    new_name: str | None = None,
    node_id: str | None = None,
    dry_run: bool = False,
    progress: Progress = UNSEEN,
) -> Adoption:
    """Complete the attributes of a node, give it the right id, and let it stay if it expires.

    A file that is not gzip as Docker reads it, or that gives the image no such name, is sent anew, to a new node:
    workers cannot load the one, and a CWL runner would not find the image of the other, unless the node tells which
    name the file gives it.

    name: as the node has it, whatever that is.
    new_name: REPO:TAG, in the place of a name that AWE cannot use.
    node_id: the node, if several have the name.
    dry_run: only say what would be done.
    Raises UsageError for a name that cannot be used, ArchiveError if the file is no image or one of a Docker before
    1.10, AlreadyPublishedError if the node is another user's, SkyportError if another node has the new name, if
    this one has lost its own meanwhile, or if it is to lose it and thin images are built on it.
    """
    # Of an earlier try that was interrupted.
    finish_replacement(shock, name)
    found = _find(shock, name, node_id)
    node = found.node
    reference = _usable_name(name, new_name)
    if not shock.may_change(node.id):
        raise not_the_owner(shock, printable(name), node.id)
    _check_free(shock, reference, node)
    if name != str(reference):
        _check_not_a_base(shock, found)
    examined, why_anew = _examine(shock, node, progress)
    contents = examined.contents
    why_anew = why_anew or _why_renamed(node, str(reference), contents)
    wanted = {
        "name": str(reference), "repository": reference.repository, "tag": reference.tag, "id": contents.image_id
    }  # fmt: skip
    packages = {} if listed_packages(node) else {PACKAGES_KEY: pack(examined.listed)}
    changes = [
        f"attribute `{key}`: {one_line(node.text(key)) or 'missing'} -> {value}"
        for key, value in wanted.items()
        if node.text(key) != value
    ]
    if packages.get(PACKAGES_KEY):
        changes.append(f"attribute `{PACKAGES_KEY}`: missing -> {count_packages(examined.packages)}")
    if node.expires:
        changes.append(f"it expires at {printable(node.expiration)} -> it stays")
    if why_anew:
        changes.append(f"{why_anew}, on a new node; node {node.id} is retired")
    if changes and (reason := shock.why_not_changed()):
        raise reason
    if changes and not dry_run:
        if why_anew:
            node = _move(shock, node, reference, examined, progress)
        else:
            _change(shock, node, reference, wanted | packages, archive_name=_told_name(node, contents))
    return Adoption(str(reference), contents.image_id, node.id, tuple(changes))


def _find(shock: Shock, name: str, node_id: str | None) -> PublishedNode:
    found = [node for node in find_published(shock.user, name) if node.node.text("name") == name]
    if not found:
        raise NoImageError(f"{shock.name} has no image {name}. `skyport-wf ls` shows what it has.", name)
    return choose(found, name, node_id)


def _check_not_a_base(shock: Shock, node: PublishedNode) -> None:
    """Raise SkyportError if thin images need the image under the name that it is to lose."""
    name = node.attributes.name
    if thin := find_thin_on(shock.user, node):
        raise SkyportError(f"{would_lack(thin, name)}. Leave it its name, or retire the thin ones first.")


def _usable_name(name: str, new_name: str | None) -> ImageReference:
    try:
        return parse_reference(name if new_name is None else new_name)
    except UsageError as error:
        if new_name is not None:
            raise
        raise UsageError(
            f"{error} Say under which name it is to be: `skyport-wf adopt {shlex.quote(name)} --as REPO:TAG`."
        ) from error


def _check_free(shock: Shock, reference: ImageReference, node: Node) -> None:
    """Raise SkyportError if another node has the name."""
    if taken := [other.id for other in find_published(shock.user, str(reference)) if other.id != node.id]:
        raise SkyportError(
            f"{reference} is published already (node {', '.join(taken)}). Choose another name with --as, or retire "
            f"this one: `skyport-wf retire {shlex.quote(node.text('name'))} --node {node.id}`."
        )


def _examine(shock: Shock, node: Node, progress: Progress) -> tuple[ImageExamination, str]:
    """Return what the file holds, all of it read, and what is to become of it for workers to unpack it; else empty.

    Of a thin image, all layers are read, also those of its base images.
    """
    from skyport_wf.image.examination.examine import examine_archive

    chain = read_chain(shock.user, node)
    if (node.attributes or {}).get(OWN_KEY):
        # This package publishes nothing that workers cannot unpack.
        with open_image(shock.user, chain, progress) as archive:
            return examine_archive(archive), ""
    if not is_gzip(shock.user, node):
        with open_archive(shock.user, node, progress) as archive:
            return examine_archive(archive), "its file becomes gzip"
    try:
        with open_archive(shock.user, node, progress, strict=True) as archive:
            return examine_archive(archive), ""
    except ArchiveError:
        # Damaged, or only odd: a second look tells, and says why if nothing can read it.
        with open_archive(shock.user, node, progress) as archive:
            return examine_archive(archive), "its file becomes gzip that Docker reads to its end"


def _why_renamed(node: Node, name: str, contents: ImageContents) -> str:
    """Return what is to become of the file for a CWL runner to find the image by its name, empty if nothing."""
    named = name in contents.repo_tags or _told_name(node, contents)
    return "" if named else f"its file gives the image the name {name}"


def _told_name(node: Node, contents: ImageContents) -> str:
    """Return the name that the file gives the image if the node tells it, as one that `tag` made does; else empty."""
    attributes = read_attributes(node.attributes)
    known = attributes.skyport_wf if attributes else None
    told = known.archive_name or node.text("name") if known else ""
    return told if told in contents.repo_tags else ""


def _change(shock: Shock, node: Node, reference: ImageReference, wanted: dict[str, str], *, archive_name: str) -> None:
    """Complete the attributes of the node itself, in one request, and then let it stay.

    archive_name: the name that the file gives the image, for a node that is to tell it; else empty.
    """
    public = shock.everyone_reads(node.id)
    with claim_name(shock.user, str(reference), public=public) as claim:
        _check_free(shock, reference, node)
        require_owner(shock, node.id, str(reference))
        claim.renew()
        # Reading the file takes a while, in which others change attributes.
        now = read_again(shock, node)
        attributes: dict[str, Any] = {**(now.attributes or {}), **wanted}
        if archive_name:
            other = "" if archive_name == str(reference) else archive_name
            attributes[OWN_KEY] = {**attributes[OWN_KEY], "archive_name": other}
        shock.user.replace_attributes(node.id, attributes)
        if now.expires:
            shock.user.keep(node.id)
    try:
        found = resolve(shock.as_worker(public=public), str(reference)).id
    except AweLookupError as error:
        raise ShockError(f"node {node.id} was mended, but {error}") from error
    if found != node.id:
        raise ShockError(f"node {node.id} was mended, but an AWE worker gets node {found} for {reference}")


def _move(shock: Shock, node: Node, reference: ImageReference, examined: ImageExamination, progress: Progress) -> Node:
    """Publish the image anew with a gzipped file, in the place of the node; return the new one."""
    name = str(reference)
    attributes = read_attributes(node.attributes)
    if attributes is None or attributes.thin_on:
        raise SkyportError(
            f"{name} is thin, and its file would have to be changed. Pull it (skyport-wf pull), and publish the "
            "engine's image anew."
        )
    image_id, known = examined.contents.image_id, attributes.skyport_wf
    # Of what was published with a source the file changes, and not where the image came from.
    source = known.source if known else Source("archive", image_id)
    build = BuildRecord(
        name,
        source,
        ShockSettings(public=shock.everyone_reads(node.id)),
        dockerfile=attributes.dockerfile,
        description=known.description if known else "",
        image=known.engine_image_id if known else None,
        base=known.base if known else None,
    )
    _require_own(shock, node, reference, public=build.shock.public)
    made, saved = _send_gzipped(shock, node, build, progress)
    saved = msgspec.structs.replace(saved, packages=pack(examined.listed))
    told: dict[str, Any] = to_json_values(describe_image(build, saved, registered=""))
    # Sending takes a while, in which others change attributes.
    node = read_again(shock, node)
    old = node.attributes or {}
    candidate = Candidate(
        wanted=WantedImage(
            name=name, source_digest=source.digest, image_id=image_id, thin_on=None,
            public=build.shock.public, replace=False, but=node.id, otherwise=_OTHERWISE,
        ),
        node=made.id,
        attributes={**old, **told, **{key: old[key] for key in _KEPT if key in old}},
        hidden=describe_upload(build),
        source=None,
        anew="Run the command again.",
        instead_of=node,
    )  # fmt: skip
    require_owner(shock, node.id, name)
    # Sending takes a while, in which the node may be given away.
    if shock.user.read_access(node.id).owner not in ("public", shock.user.read_access(made.id).owner):
        shock.user.drop(made.id)
        raise not_the_owner(shock, printable(name), node.id)
    shock.copy_readers(node.id, made.id)
    receipt = take_name(candidate, shock)
    if node.text("name") != name:
        # Under its own name it was replaced with the new one's arrival; under another it still has that.
        retire_node(shock, PublishedNode(node, attributes))
    return msgspec.structs.replace(made, id=receipt.node)


def _require_own(shock: Shock, node: Node, reference: ImageReference, *, public: bool) -> None:
    """Raise AlreadyPublishedError for another user's node, as an administrator finds it: the new one would be his.

    public: whether everyone may read the node.
    """
    owner = shock.user.read_access(node.id).owner
    if owner == "public":
        return
    # Shock lets administrators do what the owner may, and tells whose a node is, but not who one is: a claim tells.
    with claim_name(shock.user, str(reference), public=public) as claim:
        if claim.find_owner() != owner:
            raise not_the_owner(shock, printable(node.text("name")), node.id)


def _send_gzipped(shock: Shock, node: Node, build: BuildRecord, progress: Progress) -> tuple[Node, SavedArchive]:
    from skyport_wf.image.archive.normalise import NormalisedStream

    with ExitStack() as opened:
        streams: list[NormalisedStream] = []

        def read() -> Iterator[bytes]:
            opened.close()
            source = opened.enter_context(open_archive(shock.user, node, progress))
            stream = NormalisedStream(source, build.reference)
            opened.callback(stream.close)
            streams[:] = [stream]
            yield from stream

        made = send(shock, build, read, size=None)
        saved = streams[0].result
        check_arrival(shock, made, saved.digests, build.name)
    return made, saved
