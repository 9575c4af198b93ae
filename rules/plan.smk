"""What there is to publish, for publish.smk: read from the image list when the workflow is parsed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

_skyport_config = config.get("skyport", config)
_skyport_list = str(_skyport_config.get("images", "images.yaml"))
_skyport_lock = str(_skyport_config.get("lock", Path(_skyport_list).parent / "images.lock.json"))

if not shutil.which("skyport-wf"):
    # Snakemake was called by its path, its environment is not activated: the command lies beside its Python.
    os.environ.update(PATH=os.pathsep.join([*os.get_exec_path(), str(Path(sys.executable).parent)]))


def _skyport_plan():
    """Return what there is to build, by KEY; asks neither the engine nor Shock, so a dry run works offline."""
    command = ["skyport-wf", "plan", "--json", "--images", _skyport_list]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise WorkflowError(run.stderr.strip())
    # Such as that an address does not answer, and what it had at an earlier time is used.
    sys.stderr.write(run.stderr)
    return {image["key"]: image for image in json.loads(run.stdout)["images"]}


_skyport_images = _skyport_plan()
_skyport_keys = {image["name"]: key for key, image in _skyport_images.items()}


def _skyport_digest(wildcards):
    """Return what changes with everything that the files and the list say of the image.

    All four rules have it among their params: a build that fails takes its record away, and Snakemake would
    find the receipt of the image before up to date if only the build knew of the change.
    """
    return _skyport_images[wildcards.skyport_key]["digest"]
