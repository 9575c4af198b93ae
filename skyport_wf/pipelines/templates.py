"""The files that a project or a pipeline begins with, by their paths."""

from skyport_wf.image_list.schema import SCHEMA_FILE, make_schema
from skyport_wf.records.encoding import encode_json

_TARGET, _TARGET_OF_MODULE = "publish_all", "skyport_publish_all"
"""What publishes all images: of a project, and of a pipeline that has the rules under a prefix."""
IMAGES = {
    "images.yaml": """\
# yaml-language-server: $schema=images.schema.json
# What `snakemake {target}` and `skyport-wf publish --all` publish.
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
}
"""An image list, and an image to replace."""
PROJECT = {
    "Snakefile": '''\
"""`snakemake publish_all --cores 2` publishes the images of images.yaml."""

import skyport_wf


include: skyport_wf.snakefile("publish")


# An analysis that needs an image takes its receipt as input: skyport_wf.receipt("my-lab/hello:1.0")
''',
}
"""A workflow that publishes the images, and does nothing else."""
RULES = '''\
"""The images of this pipeline: `snakemake skyport_publish_all` publishes them."""

import skyport_wf


module skyport:
    snakefile:
        skyport_wf.snakefile("publish")
    config:
        config.get("skyport", {})


use rule * from skyport as skyport_*


# A rule that needs an image takes its receipt as input: skyport_wf.receipt("my-lab/hello:1.0")
'''
"""The rules that a pipeline includes, or has in its Snakefile."""
PROFILE = "profiles/default"
"""The profile that Snakemake takes by itself: in the folder it is called in, or else beside the Snakefile."""
_PROFILE = """\
# Snakemake takes these for its command line by itself.
rerun-incomplete: true # a step that was killed is run again
resources: # how many steps at once may keep the engine busy, or Shock
  docker: 2
  shock: 2
"""
AROUND = {
    ".gitignore": """\
.snakemake/
results/
logs/
benchmarks/
""",
    "tests/test_images.sh": """\
#!/bin/bash
# The image list is right, its Dockerfiles are clean, and Snakemake knows what to do. No engine and no Shock is asked.
set -euo pipefail
cd "$(dirname "$0")/.."
skyport-wf plan
skyport-wf lint
snakemake {target} --dry-run --quiet all >/dev/null
""",
    ".github/workflows/images.yml": """\
# Checks the images with every push; what they are published with is not needed.
name: images
on: [push, pull_request]
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {{python-version: "3.12"}}
      # Where your lab has skyport-wf, as pip takes it: git+https://..., or the address of a wheel. It is a variable of
      # the repository (Settings, Secrets and variables, Actions).
      - run: pip install "${{{{ vars.SKYPORT_WF }}}}"
      - run: tests/test_images.sh
""",
}
"""The files around them: names that git leaves alone, a test, and its run in continuous integration."""


def list_files(target: str = _TARGET) -> dict[str, str]:
    """Return an image list with an image to replace, and the schema that editors check the list with.

    target: what Snakemake is asked for to publish the list.
    """
    return {
        **{path: text.replace("{target}", target) for path, text in IMAGES.items()},
        SCHEMA_FILE: encode_json(make_schema()).decode(),
    }


def project_files() -> dict[str, str]:
    """Return the files of a project that publishes images."""
    return {**list_files(), **PROJECT, **_around(_TARGET, PROFILE)}


def pipeline_files(rules: str, profile: str) -> dict[str, str]:
    """Return the files that a pipeline needs beside its own, to publish images.

    rules: the path of the rules to include.
    profile: the folder of the profile that Snakemake takes.
    """
    return {**list_files(_TARGET_OF_MODULE), rules: RULES, **_around(_TARGET_OF_MODULE, profile)}


def _around(target: str, profile: str) -> dict[str, str]:
    texts = {path: text.format(target=target) for path, text in AROUND.items()}
    return {f"{profile}/config.yaml": _PROFILE, **texts}
