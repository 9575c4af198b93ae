"""How each image of the list stands with Shock, and what publishing it would do.

Nothing is changed, but that a replacement which was interrupted is finished: until then AWE has no image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from skyport_wf.engine.connection import connect
from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.image.platforms import is_platform
from skyport_wf.image_list.spec import ImageSpec, ShockSettings
from skyport_wf.publication.awe_lookup import harm_of_tag
from skyport_wf.publication.awe_problems import find_problems
from skyport_wf.publication.name_state import Decision, State, decide, wanted_image
from skyport_wf.publication.published import PublishedNames
from skyport_wf.publication.replacement import finish_replacement
from skyport_wf.publication.thin import workers_need
from skyport_wf.sources.platforms import own_platform
from skyport_wf.sources.resolution import ResolvedImage
from skyport_wf.sources.source import Connect
from skyport_wf.steps.build import begin_record, find_mistake

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.publication.published import PublishedNode


class ImageStatus(msgspec.Struct, frozen=True):
    """One image of the list."""

    name: str
    state: State
    next: str
    """The effect that publishing it would have."""
    would_fail: bool = False
    """Whether publishing it would fail."""
    image_id: str | None = None
    """Of the image that has the name."""
    node: str | None = None
    size: int | None = None
    """Bytes of the node's file."""
    thin_on: str = ""
    """The image whose layers its archive leaves out."""
    warning: str = ""
    """Facts to know of the image where it is used."""
    problems: tuple[str, ...] = ()
    """Problems of the node that has it, though AWE workers can run it."""


def read_status(
    image: ResolvedImage,
    settings: ShockSettings,
    shock: Shock,
    *,
    connect: Connect = connect,
    names: PublishedNames | None = None,
) -> ImageStatus:
    """Return how the image stands.

    settings: the image list's.
    connect: connects to the engine; if many are looked at, as `one_connection` does.
    names: the nodes that have its name, and those of other images, if many are looked at.
    Raises TemporaryError if Shock cannot be reached; an engine is asked only for an `image` or a `container`.
    """
    spec = image.spec
    try:
        record = begin_record(image, settings, connect)
    except UsageError:  # a mistake in the list
        raise
    except SkyportError as error:  # of this source alone: how the others stand can be told all the same
        return unknown_status(spec, error)
    base = spec.base or ""
    found = finish_replacement(shock, spec.name, names.find(spec.name) if names else None)
    decision = decide(shock, wanted_image(record), found, base_comes=base in image.needs)
    refusal = decision.refusal or (None if decision.names.same else find_mistake(image, shock))
    has_it = decision.names.same or next(iter(decision.names.others), None)
    return ImageStatus(
        name=spec.name,
        state=decision.state,
        next=f"fail: {refusal}" if refusal else _next(decision, image, public=record.shock.public),
        would_fail=refusal is not None,
        image_id=has_it.attributes.id if has_it else None,
        node=has_it.id if has_it else None,
        size=has_it.node.file.size if has_it else None,
        thin_on=base,
        warning=". ".join(
            filter(
                None, [workers_need(spec.name, base) if base else "", _told_platform(has_it), harm_of_tag(spec.name)]
            )
        ),
        problems=tuple(
            problem.text
            for problem in find_problems(has_it.node)
            if has_it is decision.names.same and not problem.fatal
        )
        if has_it
        else (),
    )


def _told_platform(node: PublishedNode | None) -> str:
    """Return what has to be known of an image for another kind of machine than this one."""
    known = node.attributes.skyport_wf if node else None
    if node is None or known is None or is_platform(known.platform, own_platform()):
        return ""
    return f"{node.attributes.name} is an image for {known.platform}, and this machine is {own_platform()}"


def unknown_status(spec: ImageSpec, error: SkyportError) -> ImageStatus:
    """Return how an image stands whose source cannot be read now.

    error: says why.
    """
    base = spec.base or ""
    warning = workers_need(spec.name, base) if base else ""
    return ImageStatus(spec.name, "unknown", f"fail: {error}", True, thin_on=base, warning=warning)


def _next(decision: Decision, image: ResolvedImage, *, public: bool) -> str:
    """Return what publishing the image would do, in words that follow `would`."""
    work = f"{image.source.work} and publish it" if image.source.work else "publish it"
    match decision.state:
        case "published":
            return "do nothing"
        case "unfinished":
            return "finish its registration"
        case "other readers":
            return "open it to everyone" if public else "close it to all but its readers"
        case "to be replaced":
            return f"{work}, and retire node {', '.join(node.id for node in decision.names.others)}"
    return work
