"""Use images that others have published: nothing is built, nothing is sent.

Inputs:   a lock file that was committed (`images.lock.json`), and the Shock that it names
Outputs:  <results>/skyport/KEY/receipt.json, checked against the lock file;
          fetched.tar and image.sif beside it for rules that ask for them

Settings, as for publish.smk: lock, conda, cluster; `images`, if there is a list that is not beside the lock file.
"""

from skyport_wf.pipelines.opening import open_lock as _skyport_open

_skyport = _skyport_open(workflow, config)


if _skyport.makes("steps"):

    include: "publish/receive.smk"
    include: "publish/sif.smk"

    if _skyport.is_known:

        include: "publish/refuse.smk"


if _skyport.defines("use_all"):

    rule use_all:
        """Every image of the lock file, found where it says."""
        input:
            _skyport.files("receipt.json"),
        container:
            None


_skyport.leave(workflow)
