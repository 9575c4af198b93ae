"""Check Dockerfiles, scripts and the image list before anything is built.

To use beside publish.smk, or alone. For each image:

    <results>/skyport/KEY/lint.json   the findings; only written if none is bad enough to fail

`snakemake lint_all`. An image with findings at or above the level fails its job; its log has all of them.

Settings besides those of publish.smk:

    lint_level:   error, warning, info, style, or none to never fail   (warning)
"""


include: "plan.smk"


rule lint_all:
    """Every image of the list, checked."""
    input:
        expand("<results>/skyport/{skyport_key}/lint.json", skyport_key=_skyport_images),


rule lint_image:
    """Check what one image is made from.

    As for a build, the files count by their digest, one of the params; hadolint's settings hold for all images.
    """
    input:
        settings=[local(name) for name in [".hadolint.yaml", ".hadolint.yml"] if Path(name).is_file()],
    output:
        json="<results>/skyport/{skyport_key}/lint.json",
    log:
        "<logs>/skyport/{skyport_key}/lint.log",
    benchmark:
        "<benchmarks>/skyport/{skyport_key}/lint.tsv"
    wildcard_constraints:
        skyport_key=r"[A-Za-z0-9._-]+",
    localrule: True
    conda:
        "../workflows/envs/skyport-wf.yaml"
    params:
        images=_skyport_list,
        name=lambda wildcards: _skyport_images[wildcards.skyport_key]["name"],
        level=["--level", str(_skyport_config["lint_level"])] if "lint_level" in _skyport_config else [],
        digest=_skyport_digest,
    shell:
        r"""
        skyport-wf lint {params.name:q} \
            --images {params.images:q} \
            --report {output.json:q} \
            {params.level:q} \
            2>&1 | tee {log:q}
        """
