"""Has the image a `/bin/bash`? An AWE worker starts each task with a script that needs it.

A Dockerfile proves little of what its image holds: where something could have brought bash along, nothing is said.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence

from skyport_wf.image.dockerfile import SCRATCH, Stage, split_words
from skyport_wf.image.instructions import Instruction
from skyport_wf.lint.base_images import split_image
from skyport_wf.lint.findings import Finding
from skyport_wf.lint.invocations import invocations, run_pipelines
from skyport_wf.lint.rules import BASH_UNLIKELY, NO_BASH

BASH = "/bin/bash"
_WITHOUT_BASH = frozenset({"alpine", "busybox", "bash"})
"""Images, by the last part of their names, that have none there; that of bash has it in /usr/local."""
_DISTROLESS = re.compile(r"(?:^|/)distroless/|^cgr\.dev/chainguard/")
_INSTALLERS = frozenset({"apk", "apt", "apt-get", "dnf", "microdnf", "tdnf", "yum", "zypper", "opkg", "pacman"})
_PLACERS = frozenset({"ln", "cp", "mv", "install"})
_NEEDS = f"an AWE task cannot start without {BASH}"
_INSTEAD = "install bash (`apk add --no-cache bash=VERSION`), or start from an image that has it, such as Debian's"


def check_bash(chain: Sequence[Stage]) -> Iterator[Finding]:
    """Yield whether the image has no bash, as far as its Dockerfile shows.

    chain: the stage that is built, and those below it, as `built_stages` gives them.
    """
    if not chain:
        return
    base = chain[-1].base
    instructions = [found for stage in chain for found in stage.instructions]
    if any(_may_bring_bash(found) for found in instructions):
        return
    if base.image.lower() == SCRATCH:
        if any(found.name in ("COPY", "ADD") for found in instructions):
            yield BASH_UNLIKELY.at(
                base.line, f"the image starts empty, and nothing seems to bring bash: {_NEEDS}", _INSTEAD
            )
        else:
            yield NO_BASH.at(base.line, f"the image starts empty, and nothing is copied into it: {_NEEDS}", _INSTEAD)
    elif _has_no_bash(base.image):
        yield BASH_UNLIKELY.at(base.line, f"`{base.image}` has no {BASH}, as far as is known: {_NEEDS}", _INSTEAD)


def no_bash(line: int, image_id: str) -> Finding:
    """Return what is to be said of an image that was looked into, and has none."""
    return NO_BASH.at(line, f"the engine's image {image_id} has no {BASH} that can be run: {_NEEDS}", _INSTEAD)


def _has_no_bash(image: str) -> bool:
    repository, tag, _ = split_image(image)
    return (
        posixpath.basename(repository) in _WITHOUT_BASH
        or tag.partition("-")[0].rstrip("0123456789.") == "alpine"
        or re.search(r"-alpine[\d.]*$", tag) is not None
        or _DISTROLESS.search(repository) is not None
    )


def _may_bring_bash(instruction: Instruction) -> bool:
    match instruction.name:
        case "COPY" | "ADD":
            return _copies_bash(instruction)
        case "RUN":
            return any(
                (call.program in _INSTALLERS and any(re.split("[=~<>]", text)[0] == "bash" for text in call.texts))
                or (call.program in _PLACERS and any(text.startswith(BASH) for text in call.texts[-1:]))
                for call in invocations(run_pipelines(instruction))
            )
        case "SHELL":
            # What stands below would not have been built without it.
            return BASH in instruction.value
        case _:
            return False


def _copies_bash(instruction: Instruction) -> bool:
    """Tell whether bash may be among what is copied: by its name, in a whole tree, or in an archive."""
    words = [word.strip('[]",') for word in split_words(instruction.value)]
    *sources, target = [word for word in words if word and not word.startswith("--")] or [""]
    if posixpath.normpath(target) in (BASH, "/usr/bin/bash"):
        return True
    if posixpath.normpath(target) not in ("/", "/bin", "/usr", "/usr/bin"):
        return False
    names = [posixpath.basename(posixpath.normpath(source)) for source in sources]
    trees = {"", ".", "/", "bin", "usr", "rootfs", "root", "*"}
    return any(
        name in trees or name.startswith("bash") or ".tar" in name or name.endswith(("tgz", "txz")) for name in names
    )
