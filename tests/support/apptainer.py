"""The apptainer of the root beside the engine of today, for tests of what runs by it."""

import os
from pathlib import Path

import pytest


def path_with_apptainer(folder: Path) -> str:
    """Return a PATH with apptainer, also as singularity; skip the test where there is none.

    folder: where to put both; it is made.
    """
    named = os.environ.get("SKYPORT_TEST_ENGINES", "").split()
    hosts = [host.removeprefix("unix://") for _, _, host in (engine.partition("=") for engine in named)]
    found = [path for host in hosts if (path := Path(host).parent / "bin/apptainer").exists()]
    if not found:
        reason = "there is no apptainer; `make test` has one, in a root of Debian sid"
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
    folder.mkdir()
    for name in ("apptainer", "singularity"):
        # In a sandbox, root lacks a capability that apptainer would give to the container.
        (folder / name).write_text(
            '#!/bin/bash\nwords=()\nfor word; do words+=("$word"); [[ $word == exec ]] && words+=(--no-privs); done\n'
            f'exec {found[0]} "${{words[@]}}"\n'
        )
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"
