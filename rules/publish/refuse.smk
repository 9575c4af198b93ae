"""Names that the images do not have: for publish.smk and use.smk, but not in jobs, which have been asked for others."""


rule refuse_image:
    """Say of an image that is not known that it is not: nothing else could make its receipt, or its file."""
    input:
        lambda wildcards: [local(path) for path in _skyport.refuse(wildcards)],
    output:
        _skyport.unlisted(r"receipt\.json|image\.sif|fetched\.tar|packages\.cdx\.json"),
    log:
        _skyport.at("<logs>/skyport/{skyport_key}/refuse-{skyport_file}.log"),
    localrule: True
    conda:
        _skyport.conda
    container:
        None
    shell:
        "exit 1"
