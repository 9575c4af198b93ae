"""SKY005: instructions that every builder refuses, though hadolint reads them without a word."""

import re
import signal
from collections.abc import Iterator, Mapping

from skyport_wf.image.dockerfile import copy_arguments
from skyport_wf.image.instructions import ESCAPES, Instruction, decode_lines, json_words, raw_words, read_directives
from skyport_wf.image.variables import expand, unquote
from skyport_wf.lint.findings import Finding, Rule

REFUSED = Rule("SKY005", "error")
RULES = (REFUSED,)
_REAL_TIME_SIGNAL = re.compile(r"RTMIN\+([1-9]|1[0-5])|RTMAX-([1-9]|1[0-4])")
_LONGEST_LINE = 65535
"""Bytes that BuildKit's parser reads, of the text of a heredoc, too."""


def check_lines(content: bytes) -> Iterator[Finding]:
    """Yield what is wrong with directives, and with the length of lines."""
    seen: set[str] = set()
    for line, (name, value) in enumerate(read_directives(decode_lines(content)), 1):
        if name in seen:
            yield REFUSED.at(
                line, f"the directive `{name}` stands here again: docker refuses the file", "the first alone"
            )
        elif name == "escape" and value not in ESCAPES:
            what = f"`{value}` cannot be the escape character: docker refuses the file"
            yield REFUSED.at(line, what, "`# escape=\\`, or `` # escape=` ``")
        seen.add(name)
    for line, text in enumerate(content.split(b"\n"), 1):
        if len(text) > _LONGEST_LINE:
            what = f"the line has more than {_LONGEST_LINE} bytes: docker refuses the file"
            yield REFUSED.at(line, what, "shorter lines, or a file to `COPY`")


def check_refused(instruction: Instruction, values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is wrong with one instruction. values: of the variables that are known."""
    name, value = instruction.name, instruction.value
    if name == "SHELL" and not json_words(value):
        what, instead = "SHELL takes the JSON form alone", '`SHELL ["/bin/bash", "-c"]`'
    elif name == "STOPSIGNAL" and not _is_signal(unquote(expand(value, values, unknown=True))):
        what, instead = f"there is no signal `{value}`", "such as `STOPSIGNAL SIGTERM`"
    elif name == "VOLUME" and _lacks_volume(value):
        what, instead = "VOLUME without a path", '`VOLUME ["/data"]`'
    elif name == "ARG" and any(word.startswith("=") for word in raw_words(value)):
        what, instead = "ARG without a name before its `=`", "`ARG NAME=VALUE`, without blanks around the `=`"
    elif name in ("ENV", "LABEL") and _lacks_name(value):
        what, instead = f"{name} without a name before its `=`", f"`{name} NAME=VALUE`"
    else:
        return
    yield REFUSED.at(instruction.line, f"{what}: docker refuses it, and the build fails", instead)


def check_owner(instruction: Instruction, values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a `COPY` or `ADD` into an empty image with `--chown=NAME`: nothing there tells the number."""
    for option in copy_arguments(instruction.value)[0]:
        owner = expand(option.removeprefix("--chown="), values, unknown=True)
        if option == owner or "$" in owner:
            continue
        # BuildKit knows root's number by itself.
        if any(name and not name.isdecimal() and name != "root" for name in owner.split(":", 1)):
            what = f"`{option}`: an image that starts empty has no users, and the build fails"
            yield REFUSED.at(instruction.line, what, "numbers, such as `--chown=1000:1000`")


def _is_signal(text: str) -> bool:
    """Return whether engines take it for a signal: such as 9, INT, sigint or SIGRTMIN+3. Source: moby/sys/signal."""
    if "$" in text or text.isdecimal():
        return text != "0"
    short = text.upper().removeprefix("SIG")
    return f"SIG{short}" in signal.Signals.__members__ or _REAL_TIME_SIGNAL.fullmatch(short) is not None


def _lacks_volume(value: str) -> bool:
    paths = copy_arguments(value)[1]
    return value.startswith("[") and not all(paths or [""])


def _lacks_name(value: str) -> bool:
    words = raw_words(value)
    # Without a `=` in its first word, all else is one value.
    return bool(words) and "=" in words[0] and any(word.startswith("=") for word in words)
