"""SKY04x: images without a `/bin/bash`. An AWE worker starts each task with a script that needs it.

A Dockerfile proves little of what its image holds: where something could have brought bash along, nothing is reported.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from skyport_wf.image.dockerfile import SCRATCH, Stage, copy_arguments
from skyport_wf.image.instructions import Instruction
from skyport_wf.image.variables import expand
from skyport_wf.image_list.reference import short_docker_name, split_docker_name
from skyport_wf.lint.findings import Finding, Rule
from skyport_wf.lint.shell.invocations import Invocation, invocations, positional, run_pipelines

BASH_UNLIKELY = Rule("SKY041", "warning")
NO_BASH = Rule("SKY042", "error")
RULES = (BASH_UNLIKELY, NO_BASH)

BASH = "/bin/bash"
_WITHOUT_BASH = frozenset({"alpine", "busybox", "bash"})
"""Images, by the last part of their names, that have none there; that of bash has it in /usr/local."""
_ALPINE_TAG = re.compile(r"alpine[\d.]*(?:-.*)?|.*-alpine[\d.]*")
_WITH_BASH = frozenset({"mambaorg/micromamba"})
"""Images that have one of their own in all their tags, those of Alpine too."""
_DISTROLESS = re.compile(r"(?:^|/)distroless/|^cgr\.dev/chainguard/")
_INSTALLERS = frozenset({"apk", "apt", "apt-get", "dnf", "microdnf", "tdnf", "yum", "zypper", "opkg", "pacman"})
_REMOVALS = frozenset({"del", "remove", "purge", "autoremove", "erase", "rm"})
_WITH_VALUE = frozenset(
    {"-X", "--repository", "-t", "--virtual", "-p", "--root", "--arch", "--keys-dir", "--repositories-file",
     "--cache-dir"}
)  # fmt: skip
"""Options of apk."""
_BASH = re.compile(r"bash(?:[=~<>@:/*].*|-\d.*)?")
"""The package, as the installers take its name: with a version, a repository, an architecture."""
_PLACERS = frozenset({"ln", "cp", "mv", "install"})
_TREES = frozenset({"", ".", "/", "bin", "usr", "rootfs", "root", "*"})
"""Names of what is copied as a whole tree, a bash perhaps included."""
_NEEDS = f"an AWE task cannot start without {BASH}"
_INSTEAD = "install bash (`apk add --no-cache bash=VERSION`), or start from an image that has it, such as Debian's"


def check_bash(chain: Sequence[Stage], made: Iterable[tuple[Instruction, Mapping[str, str]]]) -> Iterator[Finding]:
    """Yield a finding if the image has no bash, as far as its Dockerfile shows.

    chain: the stage that is built, and those below it, as `built_stages` gives them.
    made: their instructions, each with the values that are known of the variables.
    """
    if not chain or any(_may_bring_bash(found, values) for found, values in made):
        return
    base = chain[-1].base
    repository, tag, _ = split_docker_name(base.image)
    if base.image.lower() == SCRATCH:
        if any(found.name in ("COPY", "ADD") for stage in chain for found in stage.instructions):
            what = f"the image starts empty, and nothing seems to bring bash: {_NEEDS}"
            yield BASH_UNLIKELY.at(base.line, what, _INSTEAD)
        else:
            yield NO_BASH.at(base.line, f"the image starts empty, and nothing is copied into it: {_NEEDS}", _INSTEAD)
    elif short_docker_name(base.image).rpartition(":")[0] not in _WITH_BASH and (
        posixpath.basename(repository) in _WITHOUT_BASH or _ALPINE_TAG.fullmatch(tag) or _DISTROLESS.search(repository)
    ):
        yield BASH_UNLIKELY.at(base.line, f"`{base.image}` has no {BASH}, as far as is known: {_NEEDS}", _INSTEAD)


def no_bash(line: int, image_id: str) -> Finding:
    """Return the finding about an image of the engine that was looked into, and has none."""
    return NO_BASH.at(line, f"the engine's image {image_id} has no {BASH} that can be run: {_NEEDS}", _INSTEAD)


def _may_bring_bash(instruction: Instruction, values: Mapping[str, str]) -> bool:
    if instruction.name == "SHELL":
        # The instructions below it could not run without the shell that it names.
        return BASH in instruction.value
    if instruction.name == "RUN":
        return any(
            (call.program in _INSTALLERS and _may_install_bash(call, values))
            or (call.program in _PLACERS and any(text.startswith(BASH) for text in call.texts[-1:]))
            for call in invocations(run_pipelines(instruction))
        )
    if instruction.name not in ("COPY", "ADD"):
        return False
    options, paths = copy_arguments(instruction.value)
    *sources, target = [expand(path, values, unknown=True) for path in paths or [""]]
    target = posixpath.normpath(target)
    if target in (BASH, "/usr/bin/bash"):
        return True
    # What another stage has at a path is not known: a folder, unless its name ends as a file's.
    is_from_elsewhere = target in ("/", "/usr") and any(option.startswith("--from=") for option in options)
    # Into a folder of programs, bash may come by its name, in a whole tree, or in an archive that ADD unpacks.
    return target in ("/", "/bin", "/usr", "/usr/bin") and any(
        source.endswith("/") or (is_from_elsewhere and "." not in name)
        or name in _TREES or name.startswith("bash") or ".tar" in name or name.endswith(("tgz", "txz"))
        for source, name in ((source, posixpath.basename(posixpath.normpath(source))) for source in sources)
    )  # fmt: skip


def _may_install_bash(call: Invocation, values: Mapping[str, str]) -> bool:
    """Tell whether a package manager is given bash, or something that only the run tells."""
    words = [word.text for word in positional(call.arguments, _WITH_VALUE)]
    if words and words[0] in _REMOVALS:
        return False
    if "xargs" in call.wrapped or any(map(_BASH.fullmatch, call.texts)):
        return True
    names = [name for word in words for name in expand(word, values, unknown=True).split()]
    return any(_BASH.fullmatch(name) or ("$" in name and "bash".startswith(name.partition("$")[0])) for name in names)
