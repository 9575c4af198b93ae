"""The images of the list that another one is built on: published by then, in the engine, and the ones that it says."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from skyport_wf.errors import BuildError, ShockError, TemporaryError, UsageError
from skyport_wf.image_list.reference import split_docker_name
from skyport_wf.publication.published import find_published
from skyport_wf.publication.replacement import finish_replacement
from skyport_wf.publication.thin import find_ambiguity, id_of
from skyport_wf.sources.resolution import ResolvedImage
from skyport_wf.sources.source import HeldBase

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.publication.connection import Shock
    from skyport_wf.publication.published import PublishedNode

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0
"""Between two looks at whether a base has been published."""


def wait_for_bases(image: ResolvedImage, shock: Shock, *, seconds: float) -> None:
    """Wait until the images of the list that this one is built on are published as the list has them now.

    For runners that start all images at the same moment.
    Raises TemporaryError if they are not published in time.
    """
    end = time.monotonic() + seconds
    for name, digest in image.needed_digests.items():
        is_told = False
        while not any(_is_made_from(digest, node) for node in find_published(shock.user, name)):
            if time.monotonic() > end:
                raise TemporaryError(
                    f"{image.spec.name} is built on {name}, which has not been published within {seconds:.0f} s. "
                    "Publish that first."
                )
            if not is_told:
                _log.info("waiting for %s, which %s is built on", name, image.spec.name)
                is_told = True
            time.sleep(_PAUSE_SECONDS)


def _is_made_from(digest: str, node: PublishedNode) -> bool:
    """Return whether a node has the image of this source; if only an engine knows that, any image will do."""
    known = node.attributes.skyport_wf
    return not node.node.expires and (not digest or (known is not None and known.source.digest == digest))


def hold_bases(engine: APIClient, shock: Shock, image: ResolvedImage) -> dict[str, HeldBase]:
    """Return the images of the list that this one is built on, and its base if it is thin, by name; the engine has all.

    Of one that is not published, the engine's own is built on.
    Raises BuildError if the engine has none either: a builder would ask a registry for it; UsageError if a digest in
    the Dockerfile is another image's.
    """
    from skyport_wf.engine.images import find_image
    from skyport_wf.transfer.pull import hold_base

    used = used_in(engine, image)
    names = dict.fromkeys((*used.values(), *filter(None, [image.spec.base])))
    published = {name: finish_replacement(shock, name) for name in names}
    for name, found in published.items():
        if problem := find_ambiguity(found):
            raise ShockError(problem)
        if not found and find_image(engine, name) is None:
            raise BuildError(
                f"{image.spec.name} is built on {name}, which is neither published nor in the engine. Publish that "
                "first."
            )
    for spelled, name in with_digest(used).items():
        found = published[name]
        own = _digests_on_node(found[-1]) if found else _digests_in_engine(engine, spelled)
        _check_digest(spelled, image.spec.name, own)
    return {
        name: hold_base(shock.user, engine, found[-1].node) if found else HeldBase(name)
        for name, found in published.items()
    }


def check_published_digests(image: ResolvedImage, shock: Shock) -> None:
    """Raise UsageError if the image names another one of the list with a digest that is not the published image's.

    One that is published as the list has it stays; of what is to be published first, nobody knows the digest.
    """
    for spelled, name in with_digest(image.used_by_docker).items():
        found = find_published(shock.user, name)
        made_from = image.needed_digests.get(name)
        if found and made_from and _is_made_from(made_from, found[-1]):
            _check_digest(spelled, image.spec.name, _digests_on_node(found[-1]))


def _check_digest(spelled: str, wanted_by: str, own: Sequence[str]) -> None:
    """Raise UsageError if an image of the list is named with a digest that is none of its own.

    Builders get the image under a name without a digest, and would not see that another one is meant.
    """
    if split_docker_name(spelled)[2] not in own:
        raise UsageError(
            f"{wanted_by} is built on {spelled}, an image of the list, which has another digest now: "
            f"{' or '.join(own)}. Leave the digest out, to build on what the list makes, or mend it."
        )


def with_digest(used: Mapping[str, str]) -> dict[str, str]:
    """Return those of the images that are named with a digest. used: as `ResolvedImage` has it."""
    return {spelled: name for spelled, name in used.items() if split_docker_name(spelled)[2]}


def _digests_on_node(published: PublishedNode) -> list[str]:
    """Return the digests by which a published image may be named: its id, and the one that a registry has for it."""
    from skyport_wf.publication.manifest import told_manifest

    manifest = told_manifest(published.attributes)
    return [id_of(published.node), *([manifest.digest] if manifest else [])]


def _digests_in_engine(engine: APIClient, spelled: str) -> list[str]:
    """Return the same of the engine's own image."""
    from skyport_wf.engine.config_digests import config_digest
    from skyport_wf.engine.images import require_image

    repository, tag, _ = split_docker_name(spelled)
    image = require_image(engine, f"{repository}:{tag}" if tag else repository)
    return [config_digest(engine, image), *(name.partition("@")[2] for name in image.repo_digests or ())]


def used_in(engine: APIClient, image: ResolvedImage) -> dict[str, str]:
    """Return what the image uses of the list, as its engine means the names."""
    from skyport_wf.engine.capabilities import podman_version

    return image.used if podman_version(engine) else image.used_by_docker
