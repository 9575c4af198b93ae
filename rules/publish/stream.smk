"""Publishing an image as one job, as a stream from the engine to Shock: for publish.smk, with the setting `steps: stream`.

No archive comes to lie on the disk, and one process starts in the place of five; after a failure, all begins anew.
"""


rule publish_image:
    """Publish the image, or find that Shock has it, and list the packages in it.

    The build context and an archive count by their digests, as for build_image.
    """
    input:
        needs=lambda wildcards: _skyport.files("receipt.json", _skyport.needs(wildcards)),
        archive=lambda wildcards: [
            local(ancient(path) if _skyport.archives.counts_by_content(path) else path)
            for path in _skyport.archive(wildcards)
        ],
    output:
        receipt=_skyport.output("receipt.json"),
        packages=_skyport.output("packages.cdx.json"),
    log:
        _skyport.at("<logs>/skyport/{skyport_key}/publish.log"),
    benchmark:
        _skyport.at("<benchmarks>/skyport/{skyport_key}/publish.tsv")
    localrule: True
    conda:
        _skyport.conda
    container:
        None
    resources:
        docker=1,
        shock=1,
    params:
        images=_skyport.images_path,
        name=_skyport.name,
        digest=_skyport.step_digest,
        lock=_skyport.lock.option,
    shell:
        _skyport.say_if_killed + r"""
        say_if_killed skyport-wf publish {params.name:q} \
            --images {params.images:q} \
            --record {output.receipt:q} \
            --sbom {output.packages:q} \
            {params.lock:q} \
            --log {log:q}
        """
