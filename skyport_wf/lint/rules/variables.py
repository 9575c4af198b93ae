"""SKY08x: variables that have no value where a Dockerfile uses them."""

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping

import msgspec

from skyport_wf.image.instructions import Heredoc, Instruction
from skyport_wf.image.variables import bad_substitution, unknown_names
from skyport_wf.lint.findings import Finding, Rule
from skyport_wf.lint.known_values import declared_variables
from skyport_wf.lint.rules.refused import REFUSED

UNDEFINED = Rule("SKY081", "warning")
PERHAPS_UNDEFINED = Rule("SKY082", "info")
RULES = (UNDEFINED, PERHAPS_UNDEFINED)

_WITH_VARIABLES = frozenset({"ADD", "ARG", "COPY", "ENV", "EXPOSE", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"})
"""In others, a shell reads the variables once the image runs."""
_LIKE_ANOTHER = 0.8
_QUOTES = frozenset("\"'")
_AS_BLANKS = str.maketrans(dict.fromkeys(_QUOTES, " "))


def check_variables(
    instruction: Instruction,
    known: Mapping[str, str],
    *,
    is_declared_elsewhere: Callable[[str], bool],
    outside: Collection[str],
    is_base_known: bool,
) -> Iterator[Finding]:
    """Yield the variables of an instruction that nothing above it declares.

    known: those that have been declared in this stage, or in the one that it starts from.
    is_declared_elsewhere: whether another stage declares a name.
    outside: those that are declared before the first stage, or by BuildKit.
    is_base_known: whether the base image cannot have declared others.
    """
    if instruction.name not in _WITH_VARIABLES:
        return
    here = declared_variables(instruction, {})
    for name in unknown_names(instruction.value, known):
        # Every image has PATH, set or not.
        if name == "PATH":
            continue
        if not name.isidentifier():
            # Of `$1` and `$@`, no image has a value.
            what = f"`${name}` is empty: nothing declares it"
            yield UNDEFINED.at(instruction.line, what, f"`\\${name}` if what reads it is to see it")
        elif name in outside:
            what = "is declared outside of the stages, and has a value in those only that declare it again"
            yield UNDEFINED.at(instruction.line, f"`${name}` is empty: it {what}", f"`ARG {name}` above, in this stage")
        elif name in here and not is_base_known:
            # As in `ENV LD_LIBRARY_PATH=/x:$LD_LIBRARY_PATH`: what is meant can only be the base image's.
            yield _perhaps_undefined(instruction, name)
        elif is_declared_elsewhere(name):
            what = "nothing above in this stage declares it"
            yield UNDEFINED.at(instruction.line, f"`${name}` is empty: {what}", f"`ARG {name}` above, in this stage")
        else:
            like = next(iter(difflib.get_close_matches(name, known, n=1, cutoff=_LIKE_ANOTHER)), "")
            if is_base_known:
                instead = f"`${like}`" if like else f"`ARG {name}` above, with a value"
                yield UNDEFINED.at(instruction.line, f"`${name}` is empty: nothing declares it", instead)
            else:
                yield _perhaps_undefined(instruction, name, like)


def check_variables_of_heredocs(
    instruction: Instruction, known: Mapping[str, str], check: Callable[..., Iterator[Finding]]
) -> Iterator[Finding]:
    """Yield the variables in the texts of `COPY <<EOF` and `ADD <<EOF` that nothing above declares, each once.

    known: as for `check_variables`.
    check: does what that does.
    """
    if instruction.name not in _WITH_VARIABLES:
        return
    for heredoc in _with_variables(instruction):
        seen: set[str] = set()
        for line, text in enumerate(heredoc.text.split("\n"), heredoc.line):
            # In the text, quotes mean nothing to the builder, and backslashes what they mean elsewhere.
            names = unknown_names(text.translate(_AS_BLANKS), known)
            for name in (name for name in names if name not in seen):
                seen.add(name)
                there = msgspec.structs.replace(instruction, value=f"${{{name}}}", line=line, heredocs=())
                instead = f'`<<"{heredoc.name}"` if what reads the file is to see it'
                for finding in check(there):
                    otherwise = f"; or {finding.instead}" if name.isidentifier() else ""
                    yield msgspec.structs.replace(finding, instead=instead + otherwise)


def check_substitutions(instruction: Instruction) -> Iterator[Finding]:
    """Yield what a builder cannot read of an instruction's `${...}`, and of those in the texts of `COPY <<EOF`."""
    if instruction.name not in (*_WITH_VARIABLES, "FROM"):
        return
    offset, bad = bad_substitution(instruction.value)
    if bad:
        instead = "`${NAME}` with `:-`, `:+`, `:?`, `#`, `%` or `/.../...` behind the name"
        yield _bad_substitution(bad, instruction.line_at(offset), instead)
    for heredoc in _with_variables(instruction):
        offset, bad = bad_substitution(heredoc.text.translate(_AS_BLANKS))
        if bad:
            line = heredoc.line + heredoc.text.count("\n", 0, offset)
            yield _bad_substitution(bad, line, f'`<<"{heredoc.name}"` if what reads the file is to see it')


def _with_variables(instruction: Instruction) -> Iterator[Heredoc]:
    """Yield the texts in which a builder replaces variables: where the word has quotes, the text stays as it is."""
    return (doc for doc in instruction.heredocs if not _QUOTES.intersection(doc.written))


def _bad_substitution(bad: str, line: int, instead: str) -> Finding:
    return REFUSED.at(line, f"`{bad}`: builders know no such substitution, and the build fails", instead)


def _perhaps_undefined(instruction: Instruction, name: str, like: str = "") -> Finding:
    """Return the finding about a variable that the base image may declare, as many declare names that are alike.

    like: the name of another variable, which may be meant.
    """
    what = f"`${name}` is empty unless the base image declares it: nothing above does"
    instead = f"`${like}`, if that is meant" if like else f"`ARG {name}` above, with a value, or `${{{name}:-}}`"
    return PERHAPS_UNDEFINED.at(instruction.line, what, instead)


def check_variables_of_from(instruction: Instruction, arguments: Mapping[str, str | None]) -> Iterator[Finding]:
    """Yield the variables of a `FROM` that no `ARG` above the first `FROM` declares."""
    for name in unknown_names(instruction.value, arguments):
        what = f"`${name}` is empty: a FROM has only what an `ARG` declares above the first one"
        yield UNDEFINED.at(instruction.line, what, f"`ARG {name}=...` above the first FROM")
