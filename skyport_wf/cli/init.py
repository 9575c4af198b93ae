"""`skyport-wf init`."""

import argparse
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from skyport_wf.cli.arguments import any_path
from skyport_wf.cli.outcome import Outcome
from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.image_list.place import LIST_NAMES, list_in
from skyport_wf.input_file import exists

_SNAKEFILES = ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")
"""What Snakemake reads: the first of these that is there."""
_RULES = ("images.smk", "skyport.smk")
"""What the rules for a pipeline are called; the second if it has something else of the first name."""

EXAMPLES = ("skyport-wf init my-images", "skyport-wf init --pipeline")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "folder", nargs="?", type=any_path, default=Path(), metavar="DIR", help="where to (default: here)"
    )
    parser.add_argument(
        "--pipeline", action="store_true", help="add what is missing to the Snakemake pipeline that is there"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Write a project to start from, or what a pipeline lacks; no file that is there is touched."""
    from skyport_wf.pipelines.templates import project_files
    from skyport_wf.records.encoding import check_unicode

    if args.pipeline:
        return _add_to_pipeline(args.folder)
    files = project_files()
    # A file of ours would hide what goes by another of these names. A link that leads nowhere is somebody's, too.
    names = dict.fromkeys((*files, *LIST_NAMES, *_SNAKEFILES))
    if there := [name for name in names if os.path.lexists(args.folder / name)]:
        has_pipeline = not set(there).isdisjoint(_SNAKEFILES)
        more = ", or give --pipeline to add to the pipeline that is there" if has_pipeline else ""
        listed = ", ".join(str(args.folder / name) for name in there)
        raise SkyportError(f"there is {listed} already, nothing was written. Choose another folder{more}.")
    written = [check_unicode(str(args.folder / name)) for name in files]
    _write_all(dict(zip(map(Path, written), files.values(), strict=True)))
    text = "\n".join((*(f"wrote {path}" for path in written), "next: snakemake publish_all --cores 2"))
    return Outcome({"written": written}, text)


def _add_to_pipeline(folder: Path) -> Outcome:
    """Write the files that a pipeline needs, but for those that it has; say how its Snakefile takes them in."""
    from skyport_wf.pipelines.templates import PROFILE, list_files, pipeline_files
    from skyport_wf.records.encoding import check_unicode

    try:
        snakefile = next((path for path in _SNAKEFILES if (folder / path).is_file()), None)
    except OSError as error:
        raise UsageError(f"cannot read {folder}: {error.strerror}. Choose another folder.") from error
    if snakefile is None:
        where = "here" if folder == Path() else f"in {folder}"
        raise UsageError(f"there is no Snakefile {where}. Without --pipeline, `init` begins a project of its own.")
    inside = "workflow/" if snakefile.startswith("workflow/") else ""
    rules = _choose_rules(folder, "workflow/rules/" if inside else "")
    files = pipeline_files(rules, inside + PROFILE)
    # Snakemake takes the first that is there, alone: one of ours would switch off the pipeline's own.
    profile = next((name for name in (PROFILE, inside + PROFILE) if exists(folder / name)), None)
    if profile:
        del files[f"{inside}{PROFILE}/config.yaml"]
    names = [profile, *files] if profile else [*files]
    kept = [str(folder / name) for name in names if os.path.lexists(folder / name)]
    if list_in(folder):
        # The image is there to be replaced by the pipeline's own, which it has.
        files = {name: text for name, text in files.items() if name not in list_files()}
    texts = {check_unicode(str(folder / name)): text for name, text in files.items()}
    written = [path for path in texts if path not in kept]
    _write_all({Path(path): texts[path] for path in written})
    included = os.path.relpath(rules, os.path.dirname(snakefile) or ".")  # noqa: PTH120
    include = f'include: "{included}"'
    lines = [f"wrote {path}" for path in written] + [f"kept {path}" for path in kept]
    if not _includes(folder / snakefile, included):
        lines.append(f"next: add the line `{include}` to {folder / snakefile}")
    return Outcome({"written": written, "kept": kept, "include": include}, "\n".join(lines))


def _choose_rules(folder: Path, inside: str) -> str:
    """Return the path of the rules to include: ours if they are there, or else one that nothing has.

    Raises SkyportError if the pipeline has files of its own in the place of all.
    """
    from skyport_wf.pipelines.templates import RULES

    paths = [inside + name for name in _RULES]
    free = [path for path in paths if not os.path.lexists(folder / path)]
    if chosen := [path for path in paths if _is_ours(folder / path)] or free:
        return chosen[0]
    raise SkyportError(
        f"{' and '.join(str(folder / path) for path in paths)} are there, and are others than ours; nothing was "
        f"written. Add these lines to the Snakefile yourself:\n\n{RULES}"
    )


def _is_ours(path: Path) -> bool:
    """Return whether a file of rules is about images, and not something of the pipeline's own that has its name."""
    with suppress(OSError):
        return path.is_file() and b"skyport_wf" in path.read_bytes()
    return False


def _includes(snakefile: Path, path: str) -> bool:
    """Return whether a Snakefile has the line that includes a path."""
    with suppress(OSError):
        line = rf"""^[ \t]*include:\s*["'](\./)?{re.escape(path)}["']"""
        return re.search(line.encode(), snakefile.read_bytes(), re.MULTILINE) is not None
    return False


def _write_all(texts: Mapping[Path, str]) -> None:
    """Write all files; if that fails none is left, and no folder that was made for them."""
    made: list[Path] = []
    try:
        for path, text in texts.items():
            _make_folders(path.parent, made)
            made.append(path)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
            if text.startswith("#!"):
                path.chmod(0o755)
    except OSError as error:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise SkyportError(
            f"cannot write {error.filename or path}: {error.strerror}. Choose another folder."
        ) from error


def _make_folders(folder: Path, made: list[Path]) -> None:
    """Make the folder and those above it, and note each that was not there."""
    if not folder.is_dir():
        _make_folders(folder.parent, made)
        folder.mkdir()
        made.append(folder)
