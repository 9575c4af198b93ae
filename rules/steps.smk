"""The steps of publishing an image, and the lock file: for publish.smk.

They run where Snakemake runs, as build and save need the engine. With the setting `cluster`, the three that follow go
elsewhere as one job.
"""


rule build_image:
    """Build the image, or find that Shock has it.

    The build context counts by its digest, one of the params: a folder among the inputs would miss
    changes further down, and a list of files would run again when one is touched.
    """
    input:
        needs=lambda wildcards: expand("<results>/skyport/{key}/build.json", key=_skyport.needs(wildcards)),
        archive=lambda wildcards: [local(path) for path in _skyport.archive(wildcards)],
    output:
        record="<results>/skyport/{skyport_key}/build.json",
    log:
        "<logs>/skyport/{skyport_key}/build.log",
    benchmark:
        "<benchmarks>/skyport/{skyport_key}/build.tsv"
    wildcard_constraints:
        skyport_key=_skyport.constraint,
    localrule: True
    conda:
        _skyport.conda
    container:
        None
    resources:
        docker=1,
    params:
        images=_skyport.images,
        name=_skyport.name,
        digest=_skyport.digest,
    shell:
        _skyport.say_if_killed + r"""
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
    wildcard_constraints:
        skyport_key=_skyport.constraint,
    localrule: True
    conda:
        _skyport.conda
    container:
        None
    resources:
        docker=1,
    params:
        digest=_skyport.digest,
    shell:
        _skyport.say_if_killed + r"""
        skyport-wf save {input.build:q} \
            --archive {output.archive:q} \
            --record {output.record:q} \
            --log {log:q}
        """


rule upload_image:
    """Send the archive to Shock, hidden."""
    input:
        archive="<results>/skyport/{skyport_key}/image.tar.gz",
        save="<results>/skyport/{skyport_key}/save.json",
    output:
        record="<results>/skyport/{skyport_key}/upload.json",
    log:
        "<logs>/skyport/{skyport_key}/upload.log",
    benchmark:
        "<benchmarks>/skyport/{skyport_key}/upload.tsv"
    wildcard_constraints:
        skyport_key=_skyport.constraint,
    group:
        _skyport.group
    localrule: _skyport.is_local
    conda:
        _skyport.conda
    container:
        None
    resources:
        shock=1,
    params:
        digest=_skyport.digest,
    shell:
        _skyport.say_if_killed + r"""
        skyport-wf upload {input.save:q} \
            --record {output.record:q} \
            --log {log:q}
        """


rule register_image:
    """Publish the upload under its name; a thin image after the one whose layers it lacks.

    The lock file gets its entry at once: a pipeline that takes a receipt as input may never ask for the whole list.
    """
    input:
        upload="<results>/skyport/{skyport_key}/upload.json",
        base=lambda wildcards: expand("<results>/skyport/{key}/receipt.json", key=_skyport.base(wildcards)),
    output:
        receipt="<results>/skyport/{skyport_key}/receipt.json",
    log:
        "<logs>/skyport/{skyport_key}/register.log",
    benchmark:
        "<benchmarks>/skyport/{skyport_key}/register.tsv"
    wildcard_constraints:
        skyport_key=_skyport.constraint,
    group:
        _skyport.group
    localrule: _skyport.is_local
    conda:
        _skyport.conda
    container:
        None
    resources:
        shock=1,
    params:
        digest=_skyport.digest,
        lock=_skyport.lock_option,
    shell:
        _skyport.say_if_killed + r"""
        skyport-wf register {input.upload:q} \
            --record {output.receipt:q} \
            {params.lock:q} \
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
    wildcard_constraints:
        skyport_key=_skyport.constraint,
    group:
        _skyport.group
    localrule: _skyport.is_local
    conda:
        _skyport.conda
    container:
        None
    resources:
        shock=1,
    params:
        images=_skyport.images,
    shell:
        _skyport.say_if_killed + r"""
        skyport-wf sbom {input.receipt:q} \
            --images {params.images:q} \
            --record {output.packages:q} \
            --log {log:q}
        """


rule lock_images:
    """Note which image each name stands for, in a file made to be committed, and what the list says of the images.

    A new description changes no image: it reaches the node here, and what takes the receipt as input does not run again.
    """
    input:
        receipts=expand("<results>/skyport/{skyport_key}/receipt.json", skyport_key=_skyport.keys),
    output:
        local(update(_skyport.locked)) if _skyport.owns_lock else touch(_skyport.locked),
    log:
        f"<logs>/skyport/{_skyport.lock_name}.log",
    benchmark:
        f"<benchmarks>/skyport/{_skyport.lock_name}.tsv"
    localrule: True
    conda:
        _skyport.conda
    container:
        None
    params:
        images=_skyport.images,
        lock=_skyport.lock,
        keep=_skyport.kept_names,
        notes=_skyport.notes(),
    shell:
        _skyport.say_if_killed + r"""
        skyport-wf lock {input.receipts:q} \
            --images {params.images:q} \
            --lock {params.lock:q} \
            {params.keep:q} \
            --log {log:q}
        """


rule refuse_image:
    """Say of an image that is not in the list that it is not: nothing else could make its receipt."""
    input:
        _skyport.refuse,
    output:
        "<results>/skyport/{skyport_key}/receipt.json",
    log:
        "<logs>/skyport/{skyport_key}/refuse.log",
    wildcard_constraints:
        skyport_key=_skyport.unlisted,
    localrule: True
    conda:
        _skyport.conda
    container:
        None
    shell:
        "exit 1"
