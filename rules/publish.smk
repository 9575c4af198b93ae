"""Publish the images of an image list to Shock: build -> save -> upload -> register.

Inputs:   the image list (`images.yaml`) and what it names
Outputs:  <results>/skyport/KEY/{build,save,upload,receipt}.json, packages.cdx.json beside each receipt,
          and images.lock.json beside the list

KEY is an image's name with every character outside A-Za-z0-9.- made `_`.

Settings, all optional, as the module's own config or below `skyport` in the config of a workflow that
includes this file:

    images:   the image list                      (images.yaml)
    lock:     the lock file                       (images.lock.json beside the list)
"""


include: "plan.smk"


wildcard_constraints:
    skyport_key=r"[A-Za-z0-9._-]+",


rule publish_all:
    """Every image of the list, published, with the packages that are in it."""
    input:
        expand(
            "<results>/skyport/{skyport_key}/{file}",
            skyport_key=_skyport_images,
            file=["receipt.json", "packages.cdx.json"],
        ),
        _skyport_lock,


rule build_image:
    """Build the image, or find that Shock has it.

    The build context counts by its digest, one of the params: a folder among the inputs would miss
    changes further down, and a list of files would run again when one is touched.
    """
    input:
        needs=lambda wildcards: expand(
            "<results>/skyport/{key}/build.json",
            key=[_skyport_keys[name] for name in _skyport_images[wildcards.skyport_key]["needs"]],
        ),
        archive=lambda wildcards: [local(path) for path in [_skyport_images[wildcards.skyport_key]["archive"]] if path],
    output:
        record="<results>/skyport/{skyport_key}/build.json",
    log:
        "<logs>/skyport/{skyport_key}/build.log",
    benchmark:
        "<benchmarks>/skyport/{skyport_key}/build.tsv"
    localrule: True
    conda:
        "../workflows/envs/skyport-wf.yaml"
    resources:
        docker=1,
    params:
        images=_skyport_list,
        name=lambda wildcards: _skyport_images[wildcards.skyport_key]["name"],
        digest=_skyport_digest,
    shell:
        r"""
        skyport-wf build {params.name:q} \
            --images {params.images:q} \
            --record {output.record:q} \
            --log {log:q}
        """


rule save_image:
    """Write the image to a canonical archive."""
    input:
        build="<results>/skyport/{skyport_key}/build.json",
    output:
        archive=temp("<results>/skyport/{skyport_key}/image.tar.gz"),
        record="<results>/skyport/{skyport_key}/save.json",
    log:
        "<logs>/skyport/{skyport_key}/save.log",
    benchmark:
        "<benchmarks>/skyport/{skyport_key}/save.tsv"
    localrule: True
    conda:
        "../workflows/envs/skyport-wf.yaml"
    resources:
        docker=1,
    params:
        digest=_skyport_digest,
    shell:
        r"""
        skyport-wf save {input.build:q} \
            --archive {output.archive:q} \
            --record {output.record:q} \
            --log {log:q}
        """


rule upload_image:
    """Send the archive to Shock, hidden, and list the packages in it while it is on this disk.

    The list is none of the outputs: an image that cannot be listed is sent all the same, and `list_packages`, which
    takes the list away, reads the node where there is none.
    """
    input:
        archive="<results>/skyport/{skyport_key}/image.tar.gz",
        save="<results>/skyport/{skyport_key}/save.json",
    output:
        record="<results>/skyport/{skyport_key}/upload.json",
    log:
        "<logs>/skyport/{skyport_key}/upload.log",
    benchmark:
        "<benchmarks>/skyport/{skyport_key}/upload.tsv"
    conda:
        "../workflows/envs/skyport-wf.yaml"
    resources:
        shock=1,
    params:
        digest=_skyport_digest,
        packages=lambda wildcards, output: f"{output.record}.packages",
    shell:
        r"""
        skyport-wf upload {input.save:q} \
            --record {output.record:q} \
            --sbom {params.packages:q} \
            --log {log:q}
        """


rule register_image:
    """Publish the upload under its name; a thin image after the one whose layers it lacks."""
    input:
        upload="<results>/skyport/{skyport_key}/upload.json",
        base=lambda wildcards: expand(
            "<results>/skyport/{key}/receipt.json",
            key=[_skyport_keys[name] for name in [_skyport_images[wildcards.skyport_key]["base"]] if name],
        ),
    output:
        receipt="<results>/skyport/{skyport_key}/receipt.json",
    log:
        "<logs>/skyport/{skyport_key}/register.log",
    benchmark:
        "<benchmarks>/skyport/{skyport_key}/register.tsv"
    conda:
        "../workflows/envs/skyport-wf.yaml"
    resources:
        shock=1,
    params:
        digest=_skyport_digest,
    shell:
        r"""
        skyport-wf register {input.upload:q} \
            --record {output.receipt:q} \
            --log {log:q}
        """


rule list_packages:
    """List the packages in the published image, as CycloneDX: the receipt's side file.

    After the receipt, which stays and counts whatever becomes of this.
    """
    input:
        receipt="<results>/skyport/{skyport_key}/receipt.json",
    output:
        packages="<results>/skyport/{skyport_key}/packages.cdx.json",
    log:
        "<logs>/skyport/{skyport_key}/packages.log",
    benchmark:
        "<benchmarks>/skyport/{skyport_key}/packages.tsv"
    conda:
        "../workflows/envs/skyport-wf.yaml"
    resources:
        shock=1,
    params:
        images=_skyport_list,
        listed=lambda wildcards, input: f"{input.receipt.removesuffix('receipt.json')}upload.json.packages",
    shell:
        r"""
        skyport-wf sbom {input.receipt:q} \
            --images {params.images:q} \
            --record {output.packages:q} \
            --listed {params.listed:q} \
            --log {log:q}
        """


rule lock_images:
    """Note which image each name stands for, in a file made to be committed."""
    input:
        receipts=expand("<results>/skyport/{skyport_key}/receipt.json", skyport_key=_skyport_images),
    output:
        lock=update(_skyport_lock),
    log:
        "<logs>/skyport/lock.log",
    benchmark:
        "<benchmarks>/skyport/lock.tsv"
    localrule: True
    conda:
        "../workflows/envs/skyport-wf.yaml"
    shell:
        r"""
        skyport-wf lock {input.receipts:q} \
            --lock {output.lock:q} \
            --log {log:q}
        """
