"""Inputs of an image that have changed since it was published, as far as its node tells."""

from collections.abc import Iterator

from skyport_wf.publication.attributes import NodeAttributes
from skyport_wf.records.source import BaseImage, EngineVersion, Source

_UNKNOWN = "what the published image was made from is unknown: another tool published it"
_REST = (
    "other fields of the image list, another SOURCE_DATE_EPOCH, or another source of an image of the list that it is "
    "made from"
)
"""Settings that the source digest covers, too, and that have no digest of their own."""


def changed_inputs(
    published: NodeAttributes | None, source: Source, *, base: BaseImage | None, engine: EngineVersion
) -> Iterator[str]:
    """Yield what is not as it was, in phrases such as `another Dockerfile`.

    published: the attributes of the published image's node; None if they are damaged.
    source, base, engine: what it would be made from, on and by now.
    """
    if published is None or published.skyport_wf is None:
        yield _UNKNOWN
        return
    known = published.skyport_wf
    if known.source.digest != source.digest:
        yield from _changed_source(known.source, source)
    if known.base and base and known.base.image_id and base.image_id and known.base != base:
        yield f"another base image: {_with_id(known.base)} then, {_with_id(base)} now"
    then = published.docker_version.version
    if then != engine.version:
        yield f"another engine: version {then or 'unknown'} then, {engine.version or 'unknown'} now"


def _changed_source(known: Source, source: Source) -> Iterator[str]:
    if known.kind != source.kind:
        yield f"another source: it was published from `{known.kind}`, the image list has `{source.kind}`"
        return
    differs = {
        "another Dockerfile": known.dockerfile_digest != source.dockerfile_digest,
        "another build context": known.context_digest != source.context_digest,
        "another script": known.script != source.script,
    }
    found = [what for what, differs_now in differs.items() if differs_now]
    if known.git and source.git and known.git.commit != source.git.commit:
        found.append(f"another commit of {source.git.repository}: {known.git.commit} then, {source.git.commit} now")
    yield from found or [_REST]


def _with_id(base: BaseImage) -> str:
    return f"{base.name} ({(base.image_id or '').removeprefix('sha256:')[:12]})"
