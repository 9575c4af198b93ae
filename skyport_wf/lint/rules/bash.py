"""SKY04x: images without a `/bin/bash`. An AWE worker starts each task with a script that needs it.

A Dockerfile proves little of what its image holds: where something could have brought bash along, nothing is reported.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence

from skyport_wf.image.dockerfile import SCRATCH, Stage, copy_arguments
from skyport_wf.image.instructions import Instruction
from skyport_wf.image_list.reference import split_docker_name
from skyport_wf.lint.findings import Finding, Rule
from skyport_wf.lint.shell.invocations import invocations, run_pipelines

BASH_UNLIKELY = Rule("SKY041", "warning")
NO_BASH = Rule("SKY042", "error")
RULES = (BASH_UNLIKELY, NO_BASH)

BASH = "/bin/bash"
_WITHOUT_BASH = frozenset({"alpine", "busybox", "bash"})
"""Images, by the last part of their names, that have none there; that of bash has it in /usr/local."""
_ALPINE_TAG = re.compile(r"alpine[\d.]*(?:-.*)?|.*-alpine[\d.]*")
_DISTROLESS = re.compile(r"(?:^|/)distroless/|^cgr\.dev/chainguard/")
_INSTALLERS = frozenset({"apk", "apt", "apt-get", "dnf", "microdnf", "tdnf", "yum", "zypper", "opkg", "pacman"})
_PLACERS = frozenset({"ln", "cp", "mv", "install"})
_TREES = frozenset({"", ".", "/", "bin", "usr", "rootfs", "root", "*"})
"""Names of what is copied as a whole tree, a bash perhaps included."""
_NEEDS = f"an AWE task cannot start without {BASH}"
_INSTEAD = "install bash (`apk add --no-cache bash=VERSION`), or start from an image that has it, such as Debian's"


def check_bash(chain: Sequence[Stage]) -> Iterator[Finding]:
    """Yield a finding if the image has no bash, as far as its Dockerfile shows.

    chain: the stage that is built, and those below it, as `built_stages` gives them.
    """
    instructions = [found for stage in chain for found in stage.instructions]
    if not chain or any(_may_bring_bash(found) for found in instructions):
        return
    base = chain[-1].base
    repository, tag, _ = split_docker_name(base.image)
    if base.image.lower() == SCRATCH:
        if any(found.name in ("COPY", "ADD") for found in instructions):
            what = f"the image starts empty, and nothing seems to bring bash: {_NEEDS}"
            yield BASH_UNLIKELY.at(base.line, what, _INSTEAD)
        else:
            yield NO_BASH.at(base.line, f"the image starts empty, and nothing is copied into it: {_NEEDS}", _INSTEAD)
    elif (
        posixpath.basename(repository) in _WITHOUT_BASH or _ALPINE_TAG.fullmatch(tag) or _DISTROLESS.search(repository)
    ):
        yield BASH_UNLIKELY.at(base.line, f"`{base.image}` has no {BASH}, as far as is known: {_NEEDS}", _INSTEAD)


def no_bash(line: int, image_id: str) -> Finding:
    """Return the finding about an image of the engine that was looked into, and has none."""
    return NO_BASH.at(line, f"the engine's image {image_id} has no {BASH} that can be run: {_NEEDS}", _INSTEAD)


def _may_bring_bash(instruction: Instruction) -> bool:
    if instruction.name == "SHELL":
        # The instructions below it could not run without the shell that it names.
        return BASH in instruction.value
    if instruction.name == "RUN":
        return any(
            (call.program in _INSTALLERS and any(re.split("[=~<>]", text)[0] == "bash" for text in call.texts))
            or (call.program in _PLACERS and any(text.startswith(BASH) for text in call.texts[-1:]))
            for call in invocations(run_pipelines(instruction))
        )
    if instruction.name not in ("COPY", "ADD"):
        return False
    _, paths = copy_arguments(instruction.value)
    *sources, target = map(posixpath.normpath, paths or [""])
    if target in (BASH, "/usr/bin/bash"):
        return True
    # Into a folder of programs, bash may come by its name, in a whole tree, or in an archive that ADD unpacks.
    return target in ("/", "/bin", "/usr", "/usr/bin") and any(
        name in _TREES or name.startswith("bash") or ".tar" in name or name.endswith(("tgz", "txz"))
        for name in map(posixpath.basename, sources)
    )
