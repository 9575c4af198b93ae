"""Mending what can be mended safely in a Dockerfile; every byte that has nothing to do with it stays.

Each change is read again as lint reads it, and kept only if it adds to the commands what it should, and nothing else.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from skyport_wf.image.instructions import Instruction, json_words, read_instructions, read_options, triggered
from skyport_wf.lint.findings import Finding
from skyport_wf.lint.rules.packages import APT, APT_UNPINNED, APT_WITH_VALUE
from skyport_wf.lint.shell.grammar import Word
from skyport_wf.lint.shell.invocations import invocations, positional, run_pipelines

_RECOMMENDS, _LISTS = "DL3015", "DL3009"
FIXABLE = (_RECOMMENDS, _LISTS, APT_UNPINNED.code)
"""Rules whose findings can be mended."""
_NO_RECOMMENDS = "--no-install-recommends"
_CLEAN = ("rm", "-rf", "/var/lib/apt/lists/*")
_INSTALL = re.compile(
    rb"(?<=\s)#.*|"
    rb"(?<![\w./-])apt-get(?=[\s\\])[^;&|<>(){}`'\"#$]*?\sinstall(?=\s)(?P<rest>(?:(?!\s#)[^;&|()`])*)", re.DOTALL
)  # fmt: skip
"""A call of apt-get up to `install`, and what follows up to the end of the command; or a comment of the shell's."""
_PACKAGE = re.compile(rb"[<>]+[\s\\]*\S+|(?<=\s)(?P<name>[a-z0-9][a-z0-9+.-]+)(?=\s|$)")
"""The name of a package; or the file of a redirection."""
_VERSION = re.compile(r"[A-Za-z0-9.+:~-]+")
_UNENDED = (b";", b"&", b"|", b"\\", b"`", b"{", b"(")
_LEAVES = frozenset({"exit", "exec"})
"""Commands behind which no other runs."""
_READ_LISTS = APT | {"apt-cache", "apt-file", "mk-build-deps", "gdebi", "tasksel", "nala"}
"""Programs that look into apt's lists."""
_WITHOUT_LISTS = frozenset({
    "", "autoclean", "auto-clean", "autopurge", "autoremove", "auto-remove", "clean", "distclean", "dist-clean", "help",
    "hold", "markauto", "moo", "purge", "remove", "unhold", "unmarkauto", "update",
})  # fmt: skip
"""Actions that do what they should without lists."""
_BETWEEN = re.compile(r"[\s;&|()]+")
"""Between the words of a command that is one word of another."""

_Call = tuple[str, tuple[str, ...], tuple[str, ...]]
"""A program, its words, and the files that it writes."""


def fix_dockerfile(content: bytes, findings: Collection[Finding], versions: Mapping[int, Mapping[str, str]]) -> bytes:
    """Return the Dockerfile with what can be mended of these findings.

    versions: of Debian packages, as far as they are known, by the line on which the instruction begins that installs
    them.
    """
    found = read_instructions(content)
    # From the end, as a line that is added moves those below it.
    for number in range(len(found) - 1, -1, -1):
        instruction = found[number]
        if instruction.name != "RUN" or instruction.heredocs or not _is_shell_form(instruction):
            continue
        codes = {one.code for one in findings if instruction.line <= one.line <= instruction.last_line}
        if _RECOMMENDS in codes:
            content = _changed(content, number, _without_recommends, _adds_no_recommends)
        if APT_UNPINNED.code in codes:
            known = versions.get(instruction.line, {})
            content = _changed(content, number, partial(_pinned, versions=known), _adds_versions(known))
        # Whoever uses them later without an update of his own still needs the lists.
        if _LISTS in codes and not any(_needs_lists(later) for later in found[number + 1 :]):
            content = _changed(content, number, _cleaned, _adds_cleaning)
    return content


def _is_shell_form(instruction: Instruction) -> bool:
    options, start = read_options(instruction.value)
    # In a cache mount, the lists are no part of the image.
    return json_words(instruction.value[start:]) is None and not any("type=cache" in text for text in options.values())


def _changed(
    content: bytes, number: int, change: Callable[[bytes], bytes], is_right: Callable[[list[_Call], list[_Call]], bool]
) -> bytes:
    """Return the Dockerfile with one instruction changed, or as it is if something else would change with it."""
    before = read_instructions(content)
    lines = content.split(b"\n")
    first, last = before[number].line - 1, before[number].last_line
    comments = {at: line for at, line in enumerate(lines[first:last]) if line.lstrip().startswith(b"#")}
    # No change adds a line above the last one: each comment goes back to its place.
    code = [b"" if at in comments else line for at, line in enumerate(lines[first:last])]
    text = [comments.get(at, line) for at, line in enumerate(change(b"\n".join(code)).split(b"\n"))]
    changed = b"\n".join([*lines[:first], *text, *lines[last:]])
    after = read_instructions(changed)
    others = [[(one.name, one.value) for at, one in enumerate(some) if at != number] for some in (before, after)]
    if others[0] != others[1] or not is_right(_calls(before[number]), _calls(after[number])):
        return content
    return changed


def _calls(instruction: Instruction) -> list[_Call]:
    calls = invocations(run_pipelines(instruction))
    return [("exec" if "exec" in call.wrapped else call.program, tuple(call.texts), call.writes) for call in calls]


def _without_recommends(text: bytes) -> bytes:
    def add(match: re.Match[bytes]) -> bytes:
        # Somebody who asks for them wants them.
        if not match["rest"] or b"-install-recommends" in match[0] or b"::Install-Recommends" in match[0]:
            return match[0]
        return match[0].removesuffix(match["rest"]) + b" " + _NO_RECOMMENDS.encode() + match["rest"]

    return _INSTALL.sub(add, text)


def _adds_no_recommends(old: Sequence[_Call], new: Sequence[_Call]) -> bool:
    return _only_installs_differ(old, new, lambda word: () if word == _NO_RECOMMENDS else (word,))


def _only_installs_differ(
    old: Sequence[_Call], new: Sequence[_Call], without: Callable[[str], tuple[str, ...]]
) -> bool:
    """Return whether the calls are the same, but for what `without` takes off the words of installations."""

    def plain(call: _Call) -> _Call:
        return call[0], tuple(left for word in call[1] for left in without(word)), call[2]

    return len(old) == len(new) and all(
        before == after or (_installs(before) and plain(before) == plain(after))
        for before, after in zip(old, new, strict=True)
    )


def _installs(call: _Call) -> bool:
    program, words, _ = call
    return program == "apt-get" and next((word for word in words if not word.startswith("-")), "") == "install"


def _pinned(text: bytes, versions: Mapping[str, str]) -> bytes:
    def pin(match: re.Match[bytes]) -> bytes:
        rest = match["rest"] or b""
        return match[0].removesuffix(rest) + _PACKAGE.sub(add, rest)

    def add(match: re.Match[bytes]) -> bytes:
        version = versions.get((match["name"] or b"").decode(), "")
        return match[0] + f"={version}".encode() if _VERSION.fullmatch(version) else match[0]

    return _INSTALL.sub(pin, text)


def _adds_versions(versions: Mapping[str, str]) -> Callable[[list[_Call], list[_Call]], bool]:
    def without(word: str) -> tuple[str]:
        name, _, version = word.partition("=")
        return (name if versions.get(name) == version else word,)

    return lambda old, new: _only_installs_differ(old, new, without)


def _adds_cleaning(old: list[_Call], new: list[_Call]) -> bool:
    clean = (_CLEAN[0], _CLEAN[1:], ())
    return any(map(_installs, old)) and old[-1][0] not in _LEAVES and clean not in old and new == [*old, clean]


def _cleaned(text: bytes) -> bytes:
    body = text.rstrip()
    if body.endswith(_UNENDED):
        return text
    *above, last = body.split(b"\n")
    command = b"&& " + " ".join(_CLEAN).encode()
    if above and above[-1].rstrip().endswith(b"\\"):
        # On a line of its own, as the lines above it have.
        end = b"\r\n" if above[-1].endswith(b"\r") else b"\n"
        indent = last[: len(last) - len(last.lstrip())]
        return body + b" \\" + end + indent + command + text[len(body) :]
    return body + b" " + command + text[len(body) :]


def _needs_lists(instruction: Instruction) -> bool:
    """Return whether an instruction, or what it makes others do, uses the lists without an update before that."""
    run = triggered(instruction)
    for call in invocations(run_pipelines(run)) if run.name == "RUN" else ():
        if call.program in ("echo", "printf"):
            continue
        # Behind programs that we do not know, too, as in `su -c "apt-get ..."`: better lists for nothing than a build
        # that fails.
        words = [word for text in (call.program, *call.texts) for word in _BETWEEN.split(text)]
        at = next((index for index, word in enumerate(words) if posixpath.basename(word) in _READ_LISTS), len(words))
        action = next((word.text for word in positional(map(Word, words[at + 1 :]), APT_WITH_VALUE)), "")
        if action == "update" and at == 0:
            return False
        if action not in _WITHOUT_LISTS:
            return True
    return False
