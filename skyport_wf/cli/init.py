"""`skyport-wf init`."""

import argparse
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from skyport_wf.cli.outcome import Outcome
from skyport_wf.errors import SkyportError

_FILES = {
    "images.yaml": """\
# What `snakemake publish_all` and `skyport-wf publish --all` publish.
shock:
  url: embedded              # a store on this disk; or https://shock.example.org
  token_env: KB_AUTH_TOKEN   # the variable that holds the token, never the token itself
  public: true               # readable by everyone once registered
images:
  - name: my-lab/hello:1.0   # REPO:TAG; a published name stays what it is
    description: An example to replace
    dockerfile: images/hello/Dockerfile
    # or from elsewhere: https://example.org/hello/Dockerfile
    # or a folder of a git repository: https://example.org/lab/tools.git#COMMIT:images/hello
""",
    "images/hello/Dockerfile": """\
FROM debian:bookworm
COPY hello /usr/local/bin/hello
CMD ["hello"]
""",
    "images/hello/hello": """\
#!/bin/bash
echo "Hello from an image that AWE can run: it has bash."
""",
    "Snakefile": '''\
"""`snakemake publish_all --cores 2` publishes the images of images.yaml."""

import skyport_wf


include: skyport_wf.snakefile("publish")


# An analysis that needs an image takes its receipt as input: skyport_wf.receipt("my-lab/hello:1.0")
''',
}


EXAMPLES = ("skyport-wf init my-images",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="DIR", help="where to (default: here)")


def run(args: argparse.Namespace) -> Outcome:
    """Write a project to start from; no file that is there is touched."""
    from skyport_wf.records.encoding import check_unicode

    # A link that leads nowhere is somebody's, too.
    if there := [str(args.folder / name) for name in _FILES if os.path.lexists(args.folder / name)]:
        raise SkyportError(f"there is {', '.join(there)} already, nothing was written. Choose another folder.")
    written = [check_unicode(str(args.folder / name)) for name in _FILES]
    _write_all(dict(zip(map(Path, written), _FILES.values(), strict=True)))
    text = "\n".join((*(f"wrote {path}" for path in written), "next: snakemake publish_all --cores 2"))
    return Outcome({"written": written}, text)


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
