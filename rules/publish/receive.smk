"""Receipts of images that others have published: for use.smk."""


rule receive_image:
    """Read the receipt off the node that the lock file names, and see that it holds that image."""
    output:
        receipt=_skyport.output("receipt.json"),
    log:
        _skyport.at("<logs>/skyport/{skyport_key}/receive.log"),
    benchmark:
        _skyport.at("<benchmarks>/skyport/{skyport_key}/receive.tsv")
    localrule: _skyport.settings.is_local
    conda:
        _skyport.conda
    container:
        None
    resources:
        shock=1,
    params:
        name=_skyport.name,
        lock=_skyport.lock.path_param,
        images=_skyport.images_option,
        digest=_skyport.digest,
    shell:
        _skyport.say_if_killed + r"""
        say_if_killed skyport-wf receipt {params.name:q} \
            --locked {params.lock:q} \
            {params.images:q} \
            --record {output.receipt:q} \
            --log {log:q}
        """
