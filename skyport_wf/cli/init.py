"""`skyport-wf init`."""

import argparse
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
    paths = [args.folder / name for name in _FILES]
    if there := [str(path) for path in paths if path.exists()]:
        raise SkyportError(f"there is {', '.join(there)} already, nothing was written. Choose another folder.")
    for path, text in zip(paths, _FILES.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (args.folder / "images/hello/hello").chmod(0o755)
    written = [str(path) for path in paths]
    text = "\n".join((*(f"wrote {path}" for path in written), "next: snakemake publish_all --cores 2"))
    return Outcome({"written": written}, text)
