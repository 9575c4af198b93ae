"""Reading `images.yaml`, and saying what is wrong with it: which lines, which fields, what is allowed."""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from skyport_wf.child_environment import hide_from_children
from skyport_wf.errors import UsageError
from skyport_wf.image_list.addresses import find_wrong_address
from skyport_wf.image_list.conversion import convert
from skyport_wf.image_list.mistakes import Mistake, MistakesError
from skyport_wf.image_list.reference import check_registry, parse_reference, short_docker_name
from skyport_wf.image_list.registry_address import parse_registry_address
from skyport_wf.image_list.spec import (
    NAME_OF_A_VALUE,
    NAMED_VALUES,
    SOURCES,
    CommitSettings,
    ImageList,
    ImageSpec,
    ShockSettings,
    check_public_url,
    check_shock_url,
)
from skyport_wf.image_list.yaml_document import decode_yaml, parse_yaml
from skyport_wf.input_file import read_bounded

_ONLY_OF_A_BUILD = (
    "context", "build_args", "target", "network", "pull", "no_cache", "labels", "secrets", "ssh",
)  # fmt: skip
_ONE_WORD = ("context", "archive", "container", "image", "registry", "target", "network", "base")
_NAME = re.compile(NAME_OF_A_VALUE)
_FOLDER = re.compile(r"[^$\x00-\x1f\x7f]+")
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?")
_LARGEST = 2 << 20
"""Bytes of an image list that are read: that of ten thousand images has less."""


def read_image_list(path: Path) -> ImageList:
    """Return the image list in the file `path`.

    Raises UsageError, with lines and fields, if it cannot be read or is wrong.
    """
    try:
        text = decode_yaml(read_bounded(path, _LARGEST), name=str(path))
    except FileNotFoundError as error:
        raise UsageError(f"there is no {path}. `skyport-wf init` writes one, or name another with --images.") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    images = parse_image_list(text, name=str(path))
    if images.shock.ca_bundle is None:
        return images
    # Seen from the list, like its other paths; the settings travel on, in records, to where the list is not known.
    bundle = str((path.parent / images.shock.ca_bundle).absolute())
    return msgspec.structs.replace(images, shock=msgspec.structs.replace(images.shock, ca_bundle=bundle))


def parse_image_list(text: str, *, name: str = "images.yaml") -> ImageList:
    """Return the image list that `text` spells; `name` is what messages call it.

    Raises UsageError, with lines and fields, for all that is wrong in it, as far as that can be known at once.
    """
    document = parse_yaml(text, name=name, if_empty="`skyport-wf init` writes one to start from.")
    listed = document.value
    if isinstance(listed, dict):
        # For what is written once and meant several times, by anchors; compose files have the same.
        listed = {key: value for key, value in listed.items() if not str(key).startswith("x-")}
    parts, mistakes = convert(listed, _Parts, document, "$")
    shock, wrong = convert(parts.shock if parts else {}, ShockSettings, document, "$.shock")
    mistakes += wrong
    # Each image by itself: a mistake in one of them hides none in another.
    images: dict[str, ImageSpec] = {}
    right: dict[str, ImageSpec] = {}
    for index, entry in enumerate(parts.images if parts else ()):
        path = f"$.images[{index}]"
        image, wrong = convert(entry, ImageSpec, document, path)
        mistakes += wrong
        if image:
            images[path] = image
            if not wrong:
                right[path] = image
    lines = {path: document.line_of(f"{path}.name") for path in images}
    found = [*_wrong_names(images, lines), *_wrong_fields(right), *(_wrong_urls(shock) if shock else ())]
    mistakes += [Mistake(document.place_of(path), words) for path, words in found]
    if mistakes or not shock:
        raise MistakesError(mistakes, name, document.source)
    hide_from_children(shock.token_env)
    return ImageList(tuple(_with_listed_bases(images.values())), shock, written=document.written)


def _with_listed_bases(images: Collection[ImageSpec]) -> Iterator[ImageSpec]:
    """Yield the images; a base of a thin one that is of the list has the name that the list, and so Shock, has for it.

    To an engine, docker.io/REPO:TAG is the same name as REPO:TAG; to Shock, it is another one.
    """
    listed = {short_docker_name(image.name): image.name for image in images}
    for image in images:
        name = listed.get(short_docker_name(image.base)) if image.base else None
        yield msgspec.structs.replace(image, base=name) if name else image


class _Parts(msgspec.Struct, forbid_unknown_fields=True):
    """An image list whose parts are still as they came."""

    images: Annotated[list[Any], msgspec.Meta(min_length=1)]
    shock: dict[Any, Any] = {}


def _wrong_names(images: Mapping[str, ImageSpec], lines: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield path and words of each name that cannot be used, or that another image has."""
    taken: dict[str, tuple[str, int]] = {}
    in_engine: dict[str, tuple[str, int]] = {}
    for path, image in images.items():
        try:
            key = image.reference.key
        except UsageError as error:
            yield f"{path}.name", f", field name: {error}"
            continue
        if key in taken:
            other, first = taken[key]
            what = "stands" if other == image.name else f"makes the same file name {key!r} as {other!r}, which stands"
            yield f"{path}.name", f", field name: {image.name!r} {what} on line {first} already"
        elif (short := short_docker_name(image.name)) in in_engine:
            other, first = in_engine[short]
            what = f"is to an engine the same name as {other!r}, which stands"
            yield f"{path}.name", f", field name: {image.name!r} {what} on line {first} already"
        else:
            taken[key] = in_engine[short] = (image.name, lines[path])


def _wrong_fields(images: Mapping[str, ImageSpec]) -> Iterator[tuple[str, str]]:
    """Yield path and words of each thing that the types alone cannot say."""
    for path, image in images.items():
        if len(image.sources) != 1:
            said = f"has {' and '.join(image.sources)}" if image.sources else "says nothing of where it comes from"
            yield path, f", image {image.name}: {said}. Give exactly one of {', '.join(SOURCES)}."
            continue
        if broken := list(_broken_lines(image)):
            yield from ((f"{path}.{field}", f", field {field}: {why}") for field, why in broken)
            continue
        if image.registry:
            try:
                parse_registry_address(image.registry)
            except UsageError as error:
                yield f"{path}.registry", f", field registry: {error}."
        for field, why in (*_fields_that_do_not_fit(image), *_wrong_names_of_values(image)):
            yield f"{path}.{field}", f", field {field}: {why}"


def _broken_lines(image: ImageSpec) -> Iterator[tuple[str, str]]:
    """Yield each field that has a line break where one word or path belongs, as YAML's `|` makes one, and why."""
    files = {"dockerfile": image.dockerfile, "snapshot.script": image.snapshot.script if image.snapshot else None}
    words = {field: getattr(image, field) for field in _ONE_WORD}
    words["snapshot.base"] = image.snapshot.base if image.snapshot else None
    for field, text in (files | words).items():
        if text and field in files and "\n" in text.strip():
            yield field, "the path of a file belongs here, not its text. Save that as a file, and name it."
        elif text and not set("\r\n").isdisjoint(text):
            yield field, "there is a line break in it, as `|` makes one. Write it behind the colon, in one line."


def _fields_that_do_not_fit(image: ImageSpec) -> Iterator[tuple[str, str]]:
    """Yield each field that makes no sense beside the image's source or its other fields, and why."""
    ready = {"archive": "an archive", "registry": "an image of a registry"}.get(image.source)
    as_it_is = f"{ready} is published as it is, and {image.name} comes from one. Remove the field."
    if image.base:
        try:
            parse_reference(image.base)
        except UsageError as error:
            yield "base", str(error)
        if image.flatten:
            yield (
                "base",
                f"with `flatten`, {image.name} has one layer, and none of its base's. Remove one of the two fields.",
            )
        elif ready:
            yield "base", as_it_is
    for field in _ONLY_OF_A_BUILD:
        if getattr(image, field) and image.source != "dockerfile":
            yield (
                field,
                f"only an image with a `dockerfile` is built, {image.name} has `{image.source}`. Remove the field.",
            )
    asked = image.normalized_platform
    if asked and image.source != "dockerfile" and not _PLATFORM.fullmatch(asked):
        yield (
            "platform",
            f"only an image with a `dockerfile` is built for any platform, {image.name} has `{image.source}`. Write "
            "what it is for, such as linux/arm64.",
        )
    if image.commit != CommitSettings() and image.source not in ("snapshot", "container"):
        yield "commit", f"only a container is committed, {image.name} has `{image.source}`. Remove the field."
    if image.flatten and ready:
        yield "flatten", as_it_is
    yield from _settings_no_commit_makes(image.commit)
    for secret, place in image.secrets.items():
        if bool(place.env) == bool(place.file):
            yield f"secrets.{secret}", "give either `env`, a variable, or `file`"
    if wrong := find_wrong_address(image.dockerfile, image.context):
        yield wrong


def _settings_no_commit_makes(settings: CommitSettings) -> Iterator[tuple[str, str]]:
    """Yield each setting that engines cannot make at a commit, or of which each makes something else, and why."""
    for field in ("entrypoint", "cmd"):
        if getattr(settings, field) == ():
            yield f"commit.{field}", "a commit takes none away. Write what containers are to start, or leave it out."
    for name, value in settings.env.items():
        if not _NAME.fullmatch(name) or set(name) & set("\"'\\$"):
            yield "commit.env", f"{name!r} is no name of a variable. Write one of letters, digits and _."
        if set(value) & set("\r\n"):
            yield "commit.env", f"the variable {name} has a line break, which no engine can set at a commit."
    if settings.workdir and not _FOLDER.fullmatch(settings.workdir):
        yield "commit.workdir", f"{settings.workdir!r} is no folder for a commit. Write it without line breaks and `$`."


def _wrong_names_of_values(image: ImageSpec) -> Iterator[tuple[str, str]]:
    """Yield the fields that have names of which each builder makes something else, and why: `a=b`, `a b`."""
    for field in NAMED_VALUES:
        for name in getattr(image, field):
            if not _NAME.fullmatch(name):
                yield field, f"{name!r} cannot be a name here. Write one without `=`, spaces and control characters."


def _wrong_urls(shock: ShockSettings) -> Iterator[tuple[str, str]]:
    for field, check in (("url", check_shock_url), ("public_url", check_public_url), ("registry", check_registry)):
        if url := getattr(shock, field):
            try:
                check(url, where=f", field {field}")
            except UsageError as error:
                yield f"$.shock.{field}", str(error)
