"""Whether commands check a file, by its checksum or signature."""

import re
from collections.abc import Iterable, Iterator, Sequence

from skyport_wf.lint.shell.grammar import Command, Pipeline, every_pipeline
from skyport_wf.lint.shell.invocations import Invocation, invocation, invocations

_SUMS = r"(?:sha\d*|md5|b2|b3)sum|shasum|sha\d+|rhash"
_GPG = r"gpg[12]?"
_CHECK = (
    (_SUMS, r"--check|-\w*c\w*"),
    (_GPG, r"--verify(?:-files)?|--decrypt(?:-files)?|-[a-z]*d"),
    (r"gpgv[12]?", r""),
    (r"openssl", r"verify|cms|smime|-\w*verify"),
    (r"cosign", r"verify.*"),
    (r"minisign", r"-\w*V\w*"),
)
"""Programs, and what one of their arguments is where they check something; of nothing, none is needed."""
_PRINT = (
    (_SUMS, r""),
    (_GPG, r"--(?:with-)?fingerprint|--(?:show|list)-keys|import-show|show-only"),
    (r"openssl", r"dgst|(?:sha|md5|blake2).*"),
)
"""The same of those that print what others may compare."""
_ENDS = frozenset({"}", "done", "fi", "esac"})


def is_anything_checked(pipelines: Sequence[Pipeline]) -> bool:
    """Return whether one of these commands checks a file, or prints a checksum where its output goes on.

    pipelines: all that a script runs, what is nested included.
    """
    checks = any(_is_called(call, _CHECK) for call in invocations(pipelines))
    return checks or any(_is_called(invocation(command), _PRINT) for command in _sent_on(pipelines))


def _is_called(call: Invocation, programs: Iterable[tuple[str, str]]) -> bool:
    return any(
        re.fullmatch(program, call.program) and any(re.fullmatch(argument, text) for text in (*call.texts, ""))
        for program, argument in programs
    )


def _sent_on(pipelines: Sequence[Pipeline]) -> Iterator[Command]:
    """Yield the commands whose output goes into a pipe, a file, or the words of another command."""
    for pipeline in pipelines:
        for place, command in enumerate(pipeline.commands, 1):
            inside = tuple(inner for word in command.words for inner in word.nested)
            if place < len(pipeline.commands) or any(not file.startswith("/dev/") for file in command.writes):
                if command.words and command.words[0].text in _ENDS:
                    # What a loop or braces print: where they began is not known.
                    yield from (any_command for one in pipelines for any_command in one.commands)
                    return
                inside = (Pipeline((command,)),)
            yield from (found for inner in every_pipeline(inside) for found in inner.commands)
