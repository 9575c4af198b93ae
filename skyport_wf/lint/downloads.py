"""What a build fetches from elsewhere, and whether something checks what comes."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from skyport_wf.image.dockerfile import expand, split_words
from skyport_wf.image.instructions import Instruction
from skyport_wf.lint.findings import Finding
from skyport_wf.lint.git_clones import COMMIT, without_secrets
from skyport_wf.lint.invocations import Invocation, invocation, invocations, positional
from skyport_wf.lint.rules import ADD_UNCHECKED, DOWNLOAD_UNCHECKED, GIT_BY_NAME, GIT_UNPINNED, PIPED_TO_SHELL
from skyport_wf.lint.shell import SHELLS, Pipeline, every_pipeline

_FETCHERS = frozenset({"curl", "wget", "aria2c"})
_INTERPRETERS = re.compile(r"(?:python[\d.]*|perl|ruby|node|Rscript)$")
_GIVEN = re.compile("-[a-z]*c")
_TAKES_SCRIPT = frozenset({"source", "."})
_CHECKERS = re.compile(r"(?:(?:sha\d*|md5|b2|b3)sum|shasum|sha\d+|openssl|cosign|minisign|gpgv?|apt-key|rhash)$")
_URL = re.compile(r"(?:https?|ftp)://\S+", re.IGNORECASE)
_GIT_SOURCE = re.compile(r"(?:git@|git://|ssh://)|(?:https?://[^?#]*\.git/?(?:[?#]|$))", re.IGNORECASE)
_COMMIT_IN_QUERY = re.compile(rf"[?&](?:checksum|commit)={COMMIT.pattern}(?:&|$)")
_SAVE = "save it with a version in its address, check it with `sha256sum --check`, then run it"


def check_fetched(pipelines: Sequence[Pipeline]) -> Iterator[Finding]:
    """Yield what one instruction, or one script, fetches of which nothing there says what it has to be.

    pipelines: all that it runs.
    """
    run = list(_check_piped_to_shell(pipelines))
    told = {found.line for found in run}
    yield from run
    yield from (found for found in _check_downloads(tuple(invocations(pipelines))) if found.line not in told)


def _check_piped_to_shell(pipelines: Iterable[Pipeline]) -> Iterator[Finding]:
    """Yield the places that run a script as it comes from the network."""
    for pipeline in pipelines:
        calls = [invocation(command) for command in pipeline.commands]
        fetching = next((at for at, call in enumerate(calls) if call.program in _FETCHERS), len(calls))
        runs = next((call for call in calls[fetching + 1 :] if _reads_script(call)), None)
        runs = runs or next((call for call in calls if _runs_what_it_fetches(call)), None)
        if runs:
            runner = runs.program or "eval"
            why = "what it does can be another thing at each build"
            yield PIPED_TO_SHELL.at(
                calls[0].line, f"`{runner}` runs a script as it comes from the network: {why}", _SAVE
            )


def _check_downloads(calls: Sequence[Invocation]) -> Iterator[Finding]:
    """Yield the downloads, if none of the calls checks anything."""
    if any(_CHECKERS.match(call.program) for call in calls):
        return
    for call in calls:
        url = next((match[0] for text in call.texts if (match := _URL.search(text))), None)
        if call.program in _FETCHERS and url:
            instead = "`echo 'SHA256  FILE' | sha256sum --check -` behind it"
            yield DOWNLOAD_UNCHECKED.at(call.line, _unchecked(url), instead)


def check_add(instruction: Instruction, values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the addresses of an `ADD` of which a build takes whatever they give on that day."""
    words = [expand(word, values, unknown=True) for word in _words(instruction.value)]
    checked = any(word.startswith("--checksum=") for word in words)
    for source in [word for word in words if not word.startswith("--")][:-1]:
        if _GIT_SOURCE.match(source):
            yield from () if checked else _check_git_source(instruction.line, source)
        elif _URL.match(source) and not checked:
            instead = f"`ADD --checksum=sha256:DIGEST {without_secrets(source)} ...`, which needs BuildKit"
            yield ADD_UNCHECKED.at(instruction.line, _unchecked(source), instead)


def _check_git_source(line: int, source: str) -> Iterator[Finding]:
    address, _, fragment = source.partition("#")
    name = fragment.partition(":")[0]
    if COMMIT.fullmatch(name) or _COMMIT_IN_QUERY.search(address):
        return
    how = f"`ADD {without_secrets(address)}#COMMIT ...`, with all 40 digits"
    if name:
        yield GIT_BY_NAME.at(line, f"of {_shown(address)}, `{name}` is taken, no whole commit: names can be moved", how)
    else:
        why = "each build takes what its branch has on that day"
        yield GIT_UNPINNED.at(line, f"{_shown(address)} is added without a commit: {why}", how)


def _reads_script(call: Invocation) -> bool:
    """Tell whether the program runs what it reads from its standard input."""
    if call.program in SHELLS:
        files = [word.text for word in positional(call.arguments, ("-o", "-O"))]
        return "-s" in call.texts or (files[:1] in ([], ["-"]) and not any(map(_GIVEN.fullmatch, call.texts)))
    return bool(_INTERPRETERS.match(call.program)) and call.texts[:1] in ([], ["-"])


def _runs_what_it_fetches(call: Invocation) -> bool:
    """Tell whether a script is fetched into the command itself: `sh -c "$(curl ...)"`, `. <(curl ...)`, `eval`."""
    runs = call.program in SHELLS | _TAKES_SCRIPT | {""} or bool(_INTERPRETERS.match(call.program))
    nested = [pipeline for word in call.arguments for pipeline in every_pipeline(word.nested)]
    return runs and any(inner.program in _FETCHERS for inner in invocations(nested))


def _words(value: str) -> list[str]:
    if value.startswith("["):
        try:
            words = json.loads(value)
        except (ValueError, RecursionError):
            words = None
        if isinstance(words, list):
            return [str(word) for word in words]
    return split_words(value)


def _unchecked(url: str) -> str:
    return f"nothing checks what {_shown(url)} gives: it can be another file at each build"


def _shown(url: str) -> str:
    return f"`{without_secrets(url)}`"
