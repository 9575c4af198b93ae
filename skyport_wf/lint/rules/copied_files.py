"""SKY07x: files that an instruction names and the build context lacks, and names that docker reads otherwise."""

import json
import posixpath
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from skyport_wf.image.context import BuildContext, ignore_file_name, resolve_inside
from skyport_wf.image.dockerfile import blank_separated, copy_arguments, mounted_source
from skyport_wf.image.ignoring.go_patterns import BadPatternError, check_glob, glob_matcher, path_matcher
from skyport_wf.image.instructions import Instruction, json_words, raw_words, read_options
from skyport_wf.image.variables import expand, has_open_quote, unquote
from skyport_wf.input_file import exists
from skyport_wf.lint.findings import Finding, Rule
from skyport_wf.lint.rules.downloads import URL
from skyport_wf.lint.rules.git_clones import is_added_repository, without_secrets

NOT_THERE = Rule("SKY071", "error")
IGNORED = Rule("SKY072", "error")
BAD_IGNORE_FILE = Rule("SKY073", "error")
NOTHING_MATCHES = Rule("SKY074", "warning")
QUOTED_BLANK = Rule("SKY075", "error")
LEADS_OUT = Rule("SKY077", "warning")
RULES = (NOT_THERE, IGNORED, BAD_IGNORE_FILE, NOTHING_MATCHES, QUOTED_BLANK, LEADS_OUT)
_INSTEAD = "a path as it is seen from the context's folder"


def check_quotes(instruction: Instruction) -> Iterator[Finding]:
    """Yield a `COPY`, `ADD` or `VOLUME` with a blank between quotes, at which docker splits it all the same."""
    if instruction.name not in ("COPY", "ADD", "VOLUME") or not _has_split_quotes(instruction):
        return
    _, end = read_options(instruction.value)
    options, rest = instruction.value[:end], instruction.value[end:]
    meant = [unquote(word) for word in raw_words(rest)]
    instead = "paths without blanks and quotes"
    # In the JSON form, quotes and backslashes count a second time; and heredocs are none.
    if not (has_open_quote(rest) or instruction.heredocs or any(char in word for word in meant for char in "\\\"'")):
        shown = [without_secrets(word) if URL.match(word) else word for word in meant]
        instead = f"`{instruction.name} {options}{json.dumps(shown, ensure_ascii=False)}`"
    what = (
        f"a quote does not end: {instruction.name} is split at each blank, whatever the quotes say, and the build fails"
    )
    yield QUOTED_BLANK.at(instruction.line, what, instead)


def _has_split_quotes(instruction: Instruction) -> bool:
    text = instruction.value[read_options(instruction.value)[1] :]
    return json_words(text) is None and any(map(has_open_quote, blank_separated(text)))


def check_copied_files(
    instruction: Instruction, values: Mapping[str, str], context: BuildContext, files: Collection[str]
) -> Iterator[Finding]:
    """Yield the sources of a `COPY` or `ADD` that no file of the context matches.

    files: the paths in the context, of folders too.
    """
    root = context.root
    options, paths = copy_arguments(instruction.value)
    if any(option.startswith("--from=") for option in options) or _has_split_quotes(instruction):
        return
    parents = not {"--parents", "--parents=true"}.isdisjoint(options)
    patterns: dict[str, str] = {}
    for written in paths[:-1]:
        source = expand(written, values, unknown=True)
        if "$" in source or source.startswith("<<") or URL.match(source) or is_added_repository(source):
            continue
        # All paths are seen from the context's folder, and none leads out of it.
        path = posixpath.normpath("/" + source).lstrip("/")
        is_pattern = path not in files and any(char in path for char in "*?[\\")
        if posixpath.normpath(source).split("/")[0] == ".." and (not path or path in files or is_pattern):
            yield _outside(instruction.line, written, path or ".")
        if not path or _is_below_link(root, path):
            continue
        if path in files:
            # With `--parents`, a link is copied as one.
            if not parents and not _leads_into_context(root, path, files):
                yield _link_to_nothing(instruction.line, written)
        elif is_pattern:
            patterns[written] = path
        else:
            yield _missing(instruction.line, written, path, context, files)
    has_others = len(patterns) < len(set(paths[:-1]))
    yield from _check_patterns(instruction, patterns, root, files, parents=parents, has_others=has_others)


def check_mounted_files(
    instruction: Instruction, values: Mapping[str, str], context: BuildContext, files: Collection[str]
) -> Iterator[Finding]:
    """Yield what a `RUN --mount` shows of the context, by type=bind, and the context lacks.

    files: the paths in the context, of folders too.
    """
    for option, offset in ((text, at) for at, text in read_options(instruction.value)[0].items()):
        source = mounted_source(option)
        path = posixpath.normpath("/" + expand(source, values, unknown=True)).lstrip("/")
        if path and "$" not in path and path not in files and not _is_below_link(context.root, path):
            yield _missing(instruction.line_at(offset), source, path, context, files)


def _missing(line: int, written: str, path: str, context: BuildContext, files: Collection[str]) -> Finding:
    """Return the finding about a path that is not in the context.

    written: as the Dockerfile has it.
    """
    if not exists(context.root / path):
        same = next((other for other in files if other.lower() == path.lower()), None)
        instead = f"`{same}`" if same else _INSTEAD
        return NOT_THERE.at(line, f"`{written}` is not in the context: the build fails", instead)
    what = f"`{written}` is no part of the context, as"
    if any(path == own or path.startswith(f"{own}/") for own in context.without):
        # No exception in an ignore file brings it back.
        why = "publishing writes it, and each run would make another image"
        return IGNORED.at(line, f"{what} {why}: the build fails", "a copy of it under another name")
    name = ignore_file_name(context)
    return IGNORED.at(line, f"{what} `{name}` excludes it: the build fails", f"`!{path}` at the end of `{name}`")


def _outside(line: int, written: str, path: str) -> Finding:
    """Return the finding about a path that leads out of the context. path: what BuildKit makes of it."""
    what = f"`{written}` leads out of the context: BuildKit takes `{path}` in it, the classic builder fails"
    return LEADS_OUT.at(line, what, f"`{path}`, or as `context` the folder that has the file")


def _link_to_nothing(line: int, written: str) -> Finding:
    what = f"`{written}` is a link that leads to nothing in the context: the build fails"
    return NOT_THERE.at(line, what, "the file that it is to lead to")


def _check_patterns(
    instruction: Instruction, patterns: Mapping[str, str], root: Path, files: Collection[str], *,
    parents: bool, has_others: bool,
) -> Iterator[Finding]:  # fmt: skip
    """Yield the malformed patterns, those that match nothing where nothing else is copied, and links to nothing.

    patterns: each as it is seen from the context's folder, by what is written.
    parents: whether they are as in `.dockerignore`, which `--parents` makes of them: `**` is any number of folders.
    has_others: whether the instruction has other sources.
    """
    is_any_found = False
    without_match: list[str] = []
    for written, path in patterns.items():
        try:
            if parents:
                check_glob(path)
            matches = path_matcher(path, old=False) if parents else glob_matcher(path)
            found = list(filter(matches, files))
        except BadPatternError:
            what = f"the pattern `{written}` is malformed, so that no file of the context matches it"
            yield NOTHING_MATCHES.at(instruction.line, what, "a pattern such as `[a-z]*`; `[[]` is a bracket")
            continue
        is_any_found |= bool(found)
        without_match += [] if found else [written]
        # `found` may be all files of a large context: only of links it is asked where they lead.
        links = [] if parents else [file for file in found if (root / file).is_symlink()]
        astray = (file for file in links if not _leads_into_context(root, file, files))
        yield from (_link_to_nothing(instruction.line, file) for file in astray)
    # The classic builder fails only if all sources together give no file: it takes `package.json yarn.lock* ./`.
    for written in () if has_others or is_any_found else without_match:
        what = f"no file of the context matches `{written}`: BuildKit copies nothing, the classic builder fails"
        yield NOTHING_MATCHES.at(instruction.line, what, _INSTEAD)


def _leads_into_context(root: Path, path: str, files: Collection[str]) -> bool:
    """Tell whether a path of the context is no link, or one to another path there."""
    found = resolve_inside(root, path)
    return found is not None and (found == root or found.relative_to(root).as_posix() in files)


def _is_below_link(root: Path, path: str) -> bool:
    """Tell whether a folder on the way is a link, which the engine follows inside the context."""
    folders = path.split("/")[:-1]
    return any((root / "/".join(folders[: depth + 1])).is_symlink() for depth in range(len(folders)))
