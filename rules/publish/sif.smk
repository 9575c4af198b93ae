"""Published images as files, for nodes without an engine, and for `container:`; for publish.smk and use.smk."""


rule fetch_image:
    """Download the archive, and check it; what a thin image lacks comes with it."""
    input:
        receipt=_skyport.at("<results>/skyport/{skyport_key}/receipt.json"),
    output:
        archive=temp(_skyport.output("fetched.tar")),
    log:
        _skyport.at("<logs>/skyport/{skyport_key}/fetch.log"),
    benchmark:
        _skyport.at("<benchmarks>/skyport/{skyport_key}/fetch.tsv")
    localrule: _skyport.settings.is_local
    conda:
        _skyport.conda
    container:
        None
    resources:
        shock=1,
    params:
        images=_skyport.images_option,
    shell:
        _skyport.say_if_killed + r"""
        say_if_killed skyport-wf pull \
            --receipt {input.receipt:q} \
            --output {output.archive:q} \
            {params.images:q} \
            --log {log:q}
        """


rule sif_image:
    """Make the image that apptainer runs; `skyport_wf.container` names it."""
    input:
        archive=_skyport.at("<results>/skyport/{skyport_key}/fetched.tar"),
    output:
        sif=_skyport.output("image.sif"),
    log:
        _skyport.at("<logs>/skyport/{skyport_key}/sif.log"),
    benchmark:
        _skyport.at("<benchmarks>/skyport/{skyport_key}/sif.tsv")
    localrule: _skyport.settings.is_local
    conda:
        _skyport.conda
    container:
        None
    shell:
        _skyport.say_if_killed + r"""
        program=$(command -v apptainer || command -v singularity) ||
            {{ echo "skyport-wf: neither apptainer nor singularity is in PATH" | tee {log:q} >&2; exit 1; }}
        say_if_killed "$program" build --force {output.sif:q} docker-archive:{input.archive:q} >{log:q} 2>&1 ||
            {{ code=$?; cat {log:q} >&2; exit $code; }}
        """
