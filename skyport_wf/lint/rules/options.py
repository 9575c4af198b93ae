"""SKY005: options of instructions that every builder refuses, and values that it refuses of them."""

import re
from collections.abc import Iterator, Mapping

from skyport_wf.image.dockerfile import copy_arguments, mounted_secret
from skyport_wf.image.instructions import Instruction, read_options
from skyport_wf.image.variables import expand
from skyport_wf.image_list.reference import is_digest
from skyport_wf.lint.findings import Finding
from skyport_wf.lint.rules.downloads import URL
from skyport_wf.lint.rules.git_clones import is_added_repository
from skyport_wf.lint.rules.refused import REFUSED
from skyport_wf.near_words import near_words

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "FROM": ("platform",),
    "RUN": ("mount", "network", "security", "device"),
    "COPY": ("from", "chown", "chmod", "link", "parents", "exclude"),
    "ADD": ("chown", "chmod", "link", "keep-git-dir", "checksum", "exclude", "unpack"),
    "HEALTHCHECK": ("interval", "timeout", "start-period", "start-interval", "retries"),
}
"""Source: buildkit's frontend/dockerfile/instructions/parse.go."""
_SWITCHES = frozenset({"link", "parents", "keep-git-dir", "unpack"})
_MODE = re.compile(r"0*[0-7]{1,4}|(?:[ugoa]*(?:[-+=][ugorwxXst]*)+(?:,|$))+")
_PLATFORM = re.compile(r"[\w.+()-]+(?:/[\w.+()-]+){0,2}", re.ASCII)


def check_options(instruction: Instruction, values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the options of an instruction that no builder knows, or that have a value which none takes.

    values: of the variables that are known.
    """
    known = _OPTIONS.get(instruction.name, ())
    for offset, option in read_options(instruction.value)[0].items():
        name, equals, written = option.removeprefix("--").partition("=")
        value = expand(written, values, unknown=True)
        if name not in known:
            near = near_words(name, known) or known
            what = f"{instruction.name} has no option `--{name}`"
            instead = f"{', '.join(f'`--{one}`' for one in near)}" if near else "the JSON form, if it is to be run"
        elif not equals and name not in _SWITCHES:
            what, instead = f"`--{name}` without a value", f"`--{name}=...`"
        elif "$" in value or not (takes := _why_refused(instruction, name, option, value)):
            continue
        else:
            what, instead = f"`{option}` has a value that cannot be", takes
        yield REFUSED.at(instruction.line_at(offset), f"{what}: docker refuses it, and the build fails", instead)


def _why_refused(instruction: Instruction, name: str, option: str, value: str) -> str:
    """Return what an option takes, if the value is something else; an empty text if it is right."""
    if name in _SWITCHES and value.lower() not in ("", "true", "false"):
        return f"`--{name}` alone"
    if name == "chmod" and not _MODE.fullmatch(value):
        return "`--chmod=755` and the like, four octal digits at most"
    if name == "platform" and not _PLATFORM.fullmatch(value):
        return "`--platform=linux/amd64` and the like"
    if name == "checksum" and not is_digest(value) and _fetches_files(instruction):
        return "`--checksum=sha256:` and 64 digits, of `0` to `9` and `a` to `f`"
    if name == "mount" and mounted_secret(option) == ("secret", ""):
        return "`id=NAME` beside `type=secret`"
    return ""


def _fetches_files(instruction: Instruction) -> bool:
    sources = copy_arguments(instruction.value)[1][:-1]
    return any(URL.match(source) and not is_added_repository(source) for source in sources)
