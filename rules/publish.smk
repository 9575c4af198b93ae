"""Publish the images of an image list to Shock: build -> save -> upload -> register.

Inputs:   the image list (`images.yaml`) and what it names
Outputs:  <results>/skyport/KEY/{build,save,upload,receipt}.json, packages.cdx.json beside each receipt,
          and images.lock.json beside the list

KEY is an image's name with every character outside A-Za-z0-9.- made `_`.

Settings, all optional, as the module's own config or below `skyport` in the config of a workflow that
includes this file:

    images:   the image list                      (images.yaml)
    lock:     the lock file                       (images.lock.json beside the list)
    conda:    the environment of the rules: a file, a name, or true for the one of this package   (none)
    steps:    `each` in a job of its own, or all as one `stream`                                  (each)
    cluster:  whether those that need no engine may go to a cluster                               (false)
"""


include: "plan.smk"


if _skyport.makes("steps"):

    include: "publish/stream.smk" if _skyport.settings.streams else "publish/steps.smk"
    include: "publish/sif.smk"

    if _skyport.is_known:

        include: "publish/refuse.smk"


if _skyport.makes_lock():

    include: "publish/lock.smk"


if _skyport.defines("publish_all"):

    rule publish_all:
        """Every image of the list, published, with the packages that are in it."""
        input:
            _skyport.files("receipt.json"),
            _skyport.files("packages.cdx.json"),
            [local(path) for path in _skyport.lock.outputs],
            _skyport.lock.done,
        container:
            None


_skyport.leave(workflow)
