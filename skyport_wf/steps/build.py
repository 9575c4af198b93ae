"""The first step: make the image, or find out that it is published already."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import BuildError, EngineError, TemporaryError, UsageError
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.publication.awe_lookup import harm_of_tag
from skyport_wf.publication.name_state import State, decide_now, find_name_state, wanted_image
from skyport_wf.publication.published import PublishedNames
from skyport_wf.publication.replacement import finish_replacement
from skyport_wf.publication.settings import effective_settings
from skyport_wf.records.records import BuildRecord
from skyport_wf.records.source import ThinBase
from skyport_wf.sources.platforms import check_platform
from skyport_wf.sources.resolution import ResolvedImage
from skyport_wf.sources.source import Bases, Connect, MadeImage, Output
from skyport_wf.steps.bases import check_published_digests, hold_bases, used_in, with_digest

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.publication.connection import Shock

_log = logging.getLogger(__name__)


def build(
    image: ResolvedImage,
    settings: ShockSettings,
    shock: Shock,
    *,
    connect: Connect,
    output: Output,
    base_comes: bool = True,
) -> BuildRecord:
    """Build the image, or take note that Shock has it.

    settings: the image list's.
    connect: connects to the engine, as `one_connection` does.
    output: called with each piece of text that the build prints.
    base_comes: whether the base of a thin image is published before this image, if the list has it.
    Raises AlreadyPublishedError, before anything is built, if another image has the name, and SkyportError if it cannot
    be published for another reason that is known by now.
    """
    record, _ = build_or_find(image, settings, shock, connect=connect, output=output, base_comes=base_comes)
    return record


def build_or_find(
    image: ResolvedImage, settings: ShockSettings, shock: Shock, *, connect: Connect, output: Output, base_comes: bool
) -> tuple[BuildRecord, State]:
    """Return what `build` returns, and how the name stood before. Raises what that raises."""
    record = begin_record(image, settings, connect)
    found = finish_replacement(shock, record.name)
    base_comes = base_comes and record.thin_on_name in image.needs
    # Nobody should build for an hour to hear then that the name is not his to take.
    decision = decide_now(shock, wanted_image(record), found, base_comes=base_comes)
    if same := decision.names.same:
        _log.info("%s is published already (node %s), nothing to build", record.name, same.id)
        return msgspec.structs.replace(record, published=same.id), decision.state
    if harm := harm_of_tag(record.name):
        _log.warning("%s", harm)
    return _make(record, image, shock, connect, output) if image.source.work else record, decision.state


def begin_record(image: ResolvedImage, settings: ShockSettings, connect: Connect) -> BuildRecord:
    """Return what is known of the image before it is made; asks the engine only for an `image` or a `container`.

    settings: the image list's.
    Raises UsageError for an archive that is not there, ArchiveError for one that is none, PlatformError for an image of
    a registry that is for another platform.
    """
    spec, source = image.spec, image.describe(connect)
    if source.registry:
        check_platform(spec, source.registry.platform)
    return BuildRecord(
        name=spec.name,
        source=source,
        dockerfile=base64.b64encode(image.source.dockerfile).decode(),
        shock=effective_settings(settings, public=spec.public),
        replace=spec.replace,
        description=spec.description,
        thin_on=ThinBase(spec.base) if spec.base else None,
        archive=str(image.source.archive) if image.source.archive else None,
    )


def check_builds(images: Sequence[ResolvedImage], settings: ShockSettings, shock: Shock, connect: Connect) -> None:
    """Raise UsageError if it is known already that one of the images cannot be built here; see `find_mistake`.

    Nobody should wait for the first to hear that the second cannot be built, or for its base images to come. Shock is
    asked only about images that take more than every engine has, or name others of the list with a digest, and the
    engine only if one of them is to be built.
    settings: the image list's.
    """
    from skyport_wf.engine.builders import asks_for_a_builder

    asking = [image for image in images if asks_for_a_builder(image.spec) or with_digest(image.used_by_docker)]
    names = PublishedNames(shock, [image.spec.name for image in asking])
    wanted = [(image, wanted_image(begin_record(image, settings, connect))) for image in asking]
    to_build = [image for image, one in wanted if not find_name_state(shock, one, names.find(one.name)).same]
    try:
        mistakes = [find_mistake(image, shock, connect) for image in to_build]
    except (EngineError, TemporaryError):
        # That it does not answer is said by the first build: images of other sources need none.
        mistakes = [find_mistake(image, shock) for image in to_build]
    if found := dict.fromkeys(str(mistake) for mistake in mistakes if mistake):
        raise UsageError("\n".join(found))


def find_mistake(image: ResolvedImage, shock: Shock, connect: Connect | None = None) -> UsageError | None:
    """Return why the image cannot be built here.

    For want of a builder, a build secret or an SSH agent, or as what it names with a digest is published with another.

    connect: connects to the engine; with None, it is not asked which builders it has.
    Returns None if nothing is known against it. Raises what `connect` raises.
    """
    try:
        check_published_digests(image, shock)
        if connect:
            from skyport_wf.engine.builders import check_builder

            check_builder(connect(), image.spec)
        image.source.check_inputs()
    except UsageError as error:
        return error
    return None


def _make(record: BuildRecord, image: ResolvedImage, shock: Shock, connect: Connect, output: Output) -> BuildRecord:
    from skyport_wf.engine.capabilities import read_version
    from skyport_wf.engine.thin_base import find_thin_base

    base = record.thin_on
    engine = connect()
    bases = hold_bases(engine, shock, image)
    made = make_image(engine, image, bases, output)
    if base:
        reference = bases[base.name].reference
        base = find_thin_base(engine, record.name, made.id, base=base.name, base_reference=reference)
    return msgspec.structs.replace(record, image=made.id, engine=read_version(engine), base=made.base, thin_on=base)


def make_image(
    engine: APIClient,
    image: ResolvedImage,
    bases: Bases,
    output: Output,
    *,
    note: Callable[[str], None] = lambda image_id: None,
) -> MadeImage:
    """Make the image under its name, and one layer of it if it is to be flattened.

    bases: as `hold_bases` returns them.
    note: called with the engine's id of each image that is made on the way, and of the last.
    """
    from skyport_wf.engine.config_digests import has_name
    from skyport_wf.engine.images import find_image

    spec = image.spec
    if not image.source.work:
        raise UsageError(f"image {spec.name} comes from {image.source.cannot_be_rebuilt}, there is nothing to make")
    _log.info("making %s from its %s", spec.name, spec.source)
    before = find_image(engine, spec.name) if spec.flatten else None
    used = {spelled: bases[name] for spelled, name in used_in(engine, image).items()}
    made = image.source.make(engine, spec, used, output)
    note(made.id)
    for base, held in bases.items():
        if held.image_id and not has_name(engine, held.reference, held.image_id):
            raise BuildError(
                f"while {spec.name} was built on {base}, someone gave that name to another image. Nothing is "
                "published. Run the command again."
            )
    if found := find_image(engine, made.id):
        if not found.root_fs.layers:
            raise BuildError(f"{spec.name}: the image has no files. Give its Dockerfile a COPY, or a base image.")
        check_platform(spec, found.platform)
    if not spec.flatten:
        return made
    from skyport_wf.engine.flatten import flatten_image

    _log.info("making one layer of %s", spec.name)
    is_commit = spec.source in ("snapshot", "container")
    flat = flatten_image(engine, made.id, spec.reference, before=before, is_commit=is_commit)
    note(flat)
    return MadeImage(flat, made.base)
