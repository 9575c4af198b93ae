"""SKY00x: images that a Dockerfile or a snapshot starts from, or copies from, without saying exactly which."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from skyport_wf.image.dockerfile import SCRATCH, ImageUse, Stage, images_in_options, stage_names
from skyport_wf.image.variables import expand
from skyport_wf.image_list.reference import is_docker_name, short_docker_name, split_docker_name
from skyport_wf.lint.findings import Finding, Rule
from skyport_wf.lint.rules.refused import REFUSED
from skyport_wf.near_words import near_words

BASE_UNPINNED = Rule("SKY001", "warning", ("DL3006", "DL3007"))
BASE_BY_TAG = Rule("SKY002", "info")
NO_BASE = Rule("SKY003", "error")
VARIABLE_BEHIND_FROM = Rule("SKY004", "warning")
RULES = (BASE_UNPINNED, BASE_BY_TAG, NO_BASE, VARIABLE_BEHIND_FROM)

_STAGE_NAME = re.compile("[a-z][a-z0-9_.-]*")
_DIGEST = "sha256:DIGEST"
_WHOLE_NAME = "REPO:TAG; REPO has lower case letters, digits and `_ . - /`"
_WHOLE_DIGEST = "`sha256:` and 64 digits, of `0` to `9` and `a` to `f`, behind the `@`"
_HOW_TO_FIND = "`docker image inspect --format '{{index .RepoDigests 0}}' %s` tells it after a pull"


def check_base_images(
    stages: Sequence[Stage], listed: Collection[str], values: Mapping[str, str | None]
) -> Iterator[Finding]:
    """Yield the findings about the images that the stages name, or that there is no stage.

    values: of the variables that a `FROM` can use.
    listed: images of the image list, by their short names: they are pinned by their own tags.
    """
    if not stages:
        what = "no FROM says what the image starts from: docker refuses such a file"
        yield NO_BASE.at(1, what, f"`FROM IMAGE:TAG@{_DIGEST}`")
    names = stage_names(stages)
    given = {name: value for name, value in values.items() if value}
    for number, stage in enumerate(stages):
        for name in stage.names - {str(number)}:
            if not _STAGE_NAME.fullmatch(name):
                what = f"`{name}` cannot name a stage: docker refuses the file"
                yield REFUSED.at(stage.base.line, what, "a letter first, then letters, digits and `_ . -`")
        for found in stage.instructions:
            for offset, text in images_in_options(found):
                # Of `COPY --from=NAME`, hadolint tells (DL3023).
                is_told = found.name == "COPY" and not text.isdecimal()
                if text.lower() in stage.names and found.name != "ONBUILD" and not is_told:
                    what = f"`{text}` is this stage itself: the build fails"
                    yield REFUSED.at(found.line_at(offset), what, "a stage above, or the path without `from=`")
        for use in (stage.base, *stage.uses) if stage.built_on is None else stage.uses:
            is_known = "$" not in expand(use.written, given, unknown=True)
            if use.instruction.name != "FROM" and "$" in use.written:
                what = f"`{use.written}`: docker puts no values of variables behind `from=`, and the build fails"
                yield VARIABLE_BEHIND_FROM.at(use.line, what, f"`FROM {use.written} AS NAME` further up, and NAME here")
            elif use.instruction.name == "COPY" and use.image.isdecimal():
                what = f"no stage above is number {use.image}: the build fails"
                yield REFUSED.at(use.line, what, "a stage's name, as in `FROM IMAGE AS NAME`")
            elif use.image and is_known and not is_docker_name(use.image):
                what = f"`{use.image}` cannot name an image: the build fails"
                is_named = is_docker_name(use.image.partition("@")[0])
                yield REFUSED.at(use.line, what, _WHOLE_DIGEST if is_named else _WHOLE_NAME)
            elif use.image.lower() != SCRATCH and short_docker_name(use.image) not in listed:
                yield from check_base_image(use, names, is_known=is_known)


def check_base_image(use: ImageUse, stages: Collection[str] = (), *, is_known: bool = True) -> Iterator[Finding]:
    """Yield the findings about one image's name.

    stages: the names of the Dockerfile's stages, one of which may be meant.
    is_known: whether all variables in the name have a value.
    """
    repository, tag, digest = split_docker_name(use.image)
    if digest:
        return
    pinned = f"{repository or 'IMAGE'}:{tag if tag not in ('', 'latest') else 'TAG'}@{_DIGEST}"
    if not repository or not (tag or is_known):
        yield BASE_UNPINNED.at(
            use.line, f"which image `{use.written}` is, only who builds it says: an ARG has no default",
            "give the ARG a default with a tag, better with a digest, or the image list a `build_args`",
        )  # fmt: skip
    elif tag in ("", "latest"):
        what = f"`{repository}` has no tag" if not tag else f"`{repository}:latest`"
        why = "each build takes whatever is newest on that day"
        near = near_words(use.image, stages) if not tag else []
        stage = f"`{near[0]}`, if that stage is meant, which has to stand further up; or " if near else ""
        yield BASE_UNPINNED.at(use.line, f"{what}: {why}", f"{stage}`{pinned}`; {_HOW_TO_FIND % repository}")
    else:
        why = "a tag moves when its image is updated, a digest never does"
        yield BASE_BY_TAG.at(
            use.line, f"`{use.image}` is named by a tag only: {why}", f"`{pinned}`; {_HOW_TO_FIND % use.image}"
        )
