"""SKY03x: what a build fetches from elsewhere, and nothing checks."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from skyport_wf.image.dockerfile import copy_arguments
from skyport_wf.image.instructions import Instruction
from skyport_wf.image.variables import expand
from skyport_wf.lint.findings import Finding, Rule
from skyport_wf.lint.rules.git_clones import check_added_repository, is_added_repository, without_secrets
from skyport_wf.lint.shell.checking import is_anything_checked
from skyport_wf.lint.shell.grammar import SHELLS, Pipeline, Word, every_pipeline
from skyport_wf.lint.shell.invocations import Invocation, invocation, invocations, positional

PIPED_TO_SHELL = Rule("SKY031", "warning")
ADD_UNCHECKED = Rule("SKY032", "warning")
DOWNLOAD_UNCHECKED = Rule("SKY033", "info")
RULES = (PIPED_TO_SHELL, ADD_UNCHECKED, DOWNLOAD_UNCHECKED)

_FETCHERS = frozenset({"curl", "wget", "aria2c"})
_WITH_VALUE: Mapping[str, Collection[str]] = {
    "curl": frozenset(
        {*(f"-{letter}" for letter in "AbcCdDeEFhHKmoPQrtTuUwxXyYz"), "--cacert", "--capath", "--cert", "--config",
         "--cookie", "--cookie-jar", "--data", "--data-ascii", "--data-binary", "--data-raw", "--data-urlencode",
         "--dump-header", "--etag-compare", "--etag-save", "--form", "--form-string", "--header", "--json", "--key",
         "--netrc-file", "--output", "--output-dir", "--preproxy", "--proxy", "--quote", "--referer",
         "--request-target", "--stderr", "--trace", "--trace-ascii", "--unix-socket", "--upload-file", "--user",
         "--user-agent", "--write-out"}
    ),
    "wget": frozenset(
        {*(f"-{letter}" for letter in "aABDeiIloOPQRtTUwX"), "--append-output", "--base", "--body-data", "--body-file",
         "--ca-certificate", "--ca-directory", "--certificate", "--config", "--directory-prefix", "--execute",
         "--header", "--input-file", "--load-cookies", "--output-document", "--output-file", "--post-data",
         "--post-file", "--private-key", "--referer", "--save-cookies", "--user-agent"}
    ),
}  # fmt: skip
"""Programs that take an address without a scheme, and their options whose value may look like one."""
_INTERPRETERS = re.compile(r"(?:python[\d.]*|perl|ruby|node|php|julia|Rscript|R)$")
_INTERPRETER_WITH_VALUE = ("-W", "-X", "-r", "--require")
_SHELL_WITH_VALUE = ("-o", "-O")
_SCRIPT_GIVEN = re.compile("-[a-z]*c")
_SCRIPT_GIVEN_TO_R = re.compile("CMD|-[efh]|--(?:file|help|version)(?:=.*)?", re.DOTALL)
"""Without any of these R runs its input, whatever its options and arguments are."""
_ASKS_ONLY: Mapping[str, re.Pattern[str]] = {
    "curl": re.compile("--head|-[fgikLlnNqsSv46]*I[a-zA-Z]*"),
    "wget": re.compile("--spider"),
}
"""Options with which a program asks whether something is there, and fetches nothing."""
_STANDARD_INPUT = frozenset({"-", "/dev/stdin"})
_TAKES_SCRIPT = frozenset({"source", "."})
URL = re.compile(r"(?:https?|ftp)://\S+", re.IGNORECASE)
_WITHOUT_SCHEME = re.compile(r"(?:[a-z\d-]+\.)+[a-z]{2,}(?::\d+)?/\S+", re.IGNORECASE)
_THIS_MACHINE = re.compile(
    r"\w+://(?:[^/@]*@)?(?:localhost|127(?:\.\d+){3}|0\.0\.0\.0|\[::1?\])(?=[:/?#]|$)", re.IGNORECASE
)
"""What the build itself serves, as where it tries whether a server starts."""
_SAVE = "save it with a version in its address, check it with `sha256sum --check`, then run it"


def check_fetched(pipelines: Sequence[Pipeline], values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the downloads of one instruction, or one script, that nothing there checks.

    pipelines: all that it runs.
    values: of the variables that are known.
    """
    # A line is reported once: who mends the pipe has a file, which is then to be checked.
    piped: set[int] = set()
    for pipeline in pipelines:
        calls = [invocation(command) for command in pipeline.commands]
        fetching = next((at for at, call in enumerate(calls) if call.program in _FETCHERS), len(calls))
        runs = next((call for call in calls[fetching + 1 :] if _runs_its_input(call)), None)
        runs = runs or next((call for call in calls if _runs_what_it_fetches(call)), None)
        if runs:
            piped.add(line := calls[0].line)
            why = "what it does can be another thing at each build"
            program = "eval" if "eval" in runs.wrapped else runs.program or "eval"
            what = f"`{program}` runs a script as it comes from the network: {why}"
            yield PIPED_TO_SHELL.at(line, what, _SAVE)
    # A check may follow each download, or all of them: which file it is about cannot be seen.
    if is_anything_checked(pipelines):
        return
    for call in invocations(pipelines):
        if call.program not in _FETCHERS or _asks_only(call):
            continue
        url = next(_fetched_addresses(call, values), None)
        is_checked = call.program == "aria2c" and any(text.startswith("--checksum") for text in call.texts)
        if url and not is_checked and call.line not in piped:
            instead = "`echo 'SHA256  FILE' | sha256sum --check -` behind it"
            yield DOWNLOAD_UNCHECKED.at(call.line, _unchecked(url), instead)


def check_add(instruction: Instruction, values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the addresses of an `ADD` of which a build takes whatever they give on that day."""
    options, paths = copy_arguments(instruction.value)
    if any(option.startswith("--checksum=") for option in options):
        return
    for source in (expand(path, values, unknown=True) for path in paths[:-1]):
        if is_added_repository(source):
            yield from check_added_repository(instruction.line, source)
        elif URL.match(source):
            instead = f"`ADD --checksum=sha256:DIGEST {without_secrets(source)} ...`, which needs BuildKit"
            yield ADD_UNCHECKED.at(instruction.line, _unchecked(source), instead)


def _asks_only(call: Invocation) -> bool:
    option = _ASKS_ONLY.get(call.program)
    return option is not None and any(map(option.fullmatch, call.texts))


def _fetched_addresses(call: Invocation, values: Mapping[str, str]) -> Iterator[str]:
    """Yield the addresses on other machines that a program is given, as far as they are known."""
    for text in (expand(text, values, unknown=True) for text in call.texts):
        yield from (url for url in URL.findall(text) if not _THIS_MACHINE.match(url))
    if call.program in _WITH_VALUE:
        words = positional(call.arguments, _WITH_VALUE[call.program])
        yield from filter(_WITHOUT_SCHEME.fullmatch, (expand(word.text, values, unknown=True) for word in words))


def _runs_its_input(call: Invocation) -> bool:
    """Tell whether the program runs what it reads from its standard input."""
    file = next((word.text for word in _what_it_runs(call)), "-")
    if call.program in SHELLS:
        is_given = any(map(_SCRIPT_GIVEN.fullmatch, call.texts))
        return "-s" in call.texts or (file in _STANDARD_INPUT and not is_given)
    if call.program in _TAKES_SCRIPT:
        return file == "/dev/stdin"
    if call.program == "R":
        return not any(map(_SCRIPT_GIVEN_TO_R.fullmatch, call.texts))
    # What stands behind `--` are arguments, as in `php -- --install-dir=/usr/bin`.
    return bool(_INTERPRETERS.match(call.program)) and {*call.texts[:1]} <= _STANDARD_INPUT | {"--"}


def _runs_what_it_fetches(call: Invocation) -> bool:
    """Tell whether a script is fetched into the command itself: `sh -c "$(curl ...)"`, `. <(curl ...)`, `eval`."""
    words = (*_what_it_runs(call), *(call.inputs if _runs_its_input(call) else ()))
    nested = [pipeline for word in words for pipeline in every_pipeline(word.nested)]
    return any(inner.program in _FETCHERS for inner in invocations(nested))


def _what_it_runs(call: Invocation) -> Sequence[Word]:
    """Return the words of the command that run, or name what runs; none of those that a script is given."""
    if "eval" in call.wrapped:
        return call.arguments
    if call.program in SHELLS:
        # The script behind `-c` is the first word that is no option; so is the name of one. With `-s` it is the input.
        return () if "-s" in call.texts else positional(call.arguments, _SHELL_WITH_VALUE)[:1]
    if _INTERPRETERS.match(call.program):
        return positional(call.arguments, _INTERPRETER_WITH_VALUE)[:1]
    return call.arguments[:1] if call.program in _TAKES_SCRIPT | {""} else ()


def _unchecked(url: str) -> str:
    return f"nothing checks what `{without_secrets(url)}` gives: it can be another file at each build"
