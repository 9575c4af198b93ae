"""The steps of publishing an image, a job each: for publish.smk.

They run where Snakemake runs, as build and save need the engine. With the setting `cluster`, the three that follow go
elsewhere as one job.
"""


rule build_image:
    """Build the image, or find that Shock has it.

    The build context counts by its digest, one of the params: a folder among the inputs would miss
    changes further down, and a list of files would run again when one is touched. So does an archive, unless a rule
    of the workflow can make it.
    """
    input:
        needs=lambda wildcards: _skyport.files("build.json", _skyport.needs(wildcards)),
        archive=lambda wildcards: [
            local(ancient(path) if _skyport.archives.counts_by_content(path) else path)
            for path in _skyport.archive(wildcards)
        ],
    output:
        record=_skyport.output("build.json"),
    log:
        _skyport.at("<logs>/skyport/{skyport_key}/build.log"),
    benchmark:
        _skyport.at("<benchmarks>/skyport/{skyport_key}/build.tsv")
    localrule: True
    conda:
        _skyport.conda
    container:
        None
    resources:
        docker=1,
    params:
        images=_skyport.images_path,
        name=_skyport.name,
        digest=_skyport.step_digest,
    shell:
        _skyport.say_if_killed + r"""
        say_if_killed skyport-wf build {params.name:q} \
            --images {params.images:q} \
            --record {output.record:q} \
            --log {log:q}
        """


rule save_image:
    """Write the image to a canonical archive."""
    input:
        build=_skyport.at("<results>/skyport/{skyport_key}/build.json"),
    output:
        archive=temp(_skyport.output("image.tar.gz")),
        record=_skyport.output("save.json"),
    log:
        _skyport.at("<logs>/skyport/{skyport_key}/save.log"),
    benchmark:
        _skyport.at("<benchmarks>/skyport/{skyport_key}/save.tsv")
    localrule: True
    conda:
        _skyport.conda
    container:
        None
    resources:
        docker=1,
    params:
        digest=_skyport.step_digest,
    shell:
        _skyport.say_if_killed + r"""
        say_if_killed skyport-wf save {input.build:q} \
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
        archive=_skyport.at("<results>/skyport/{skyport_key}/image.tar.gz"),
        save=_skyport.at("<results>/skyport/{skyport_key}/save.json"),
    output:
        record=_skyport.output("upload.json"),
    log:
        _skyport.at("<logs>/skyport/{skyport_key}/upload.log"),
    benchmark:
        _skyport.at("<benchmarks>/skyport/{skyport_key}/upload.tsv")
    group:
        _skyport.settings.group
    localrule: _skyport.settings.is_local
    conda:
        _skyport.conda
    container:
        None
    resources:
        shock=1,
    params:
        digest=_skyport.step_digest,
    shell:
        _skyport.say_if_killed + r"""
        say_if_killed skyport-wf upload {input.save:q} \
            --record {output.record:q} \
            --log {log:q}
        """


rule register_image:
    """Publish the upload under its name; a thin image after the one whose layers it lacks.

    The lock file gets its entry at once: a pipeline that takes a receipt as input may never ask for the whole list.
    """
    input:
        upload=_skyport.at("<results>/skyport/{skyport_key}/upload.json"),
        base=lambda wildcards: _skyport.files("receipt.json", _skyport.base(wildcards)),
    output:
        receipt=_skyport.output("receipt.json"),
    log:
        _skyport.at("<logs>/skyport/{skyport_key}/register.log"),
    benchmark:
        _skyport.at("<benchmarks>/skyport/{skyport_key}/register.tsv")
    group:
        _skyport.settings.group
    localrule: _skyport.settings.is_local
    conda:
        _skyport.conda
    container:
        None
    resources:
        shock=1,
    params:
        digest=_skyport.step_digest,
        lock=_skyport.lock.option,
    shell:
        _skyport.say_if_killed + r"""
        say_if_killed skyport-wf register {input.upload:q} \
            --record {output.receipt:q} \
            {params.lock:q} \
            --log {log:q}
        """


rule list_packages:
    """List the packages in the published image, as CycloneDX: the receipt's side file.

    After the receipt, which stays and counts whatever becomes of this.
    """
    input:
        receipt=_skyport.at("<results>/skyport/{skyport_key}/receipt.json"),
    output:
        packages=_skyport.output("packages.cdx.json"),
    log:
        _skyport.at("<logs>/skyport/{skyport_key}/packages.log"),
    benchmark:
        _skyport.at("<benchmarks>/skyport/{skyport_key}/packages.tsv")
    group:
        _skyport.settings.group
    localrule: _skyport.settings.is_local
    conda:
        _skyport.conda
    container:
        None
    resources:
        shock=1,
    params:
        images=_skyport.images_path,
    shell:
        _skyport.say_if_killed + r"""
        say_if_killed skyport-wf sbom {input.receipt:q} \
            --images {params.images:q} \
            --record {output.packages:q} \
            --log {log:q}
        """
