"""Check Dockerfiles, scripts and the image list before anything is built.

To use beside publish.smk, or alone. For each image:

    <results>/skyport/KEY/lint.json   the findings; only written if none is bad enough to fail

`snakemake lint_all`. An image with findings at or above the level fails its job; its log has all of them.

Settings besides those of publish.smk:

    lint_level:   error, warning, info, style, or none to never fail   (warning)
"""


include: "plan.smk"


if _skyport.makes("lint"):

    rule lint_image:
        """Check what one image is made from.

        As for a build, the files count by their digest, one of the params, and so do comments of the list that ignore
        findings; hadolint's settings hold for all images.
        """
        input:
            settings=[local(name) for name in _skyport.lint_settings],
        output:
            json=_skyport.output("lint.json"),
        log:
            _skyport.at("<logs>/skyport/{skyport_key}/lint.log"),
        benchmark:
            _skyport.at("<benchmarks>/skyport/{skyport_key}/lint.tsv")
        localrule: True
        conda:
            _skyport.conda
        container:
            None
        params:
            images=_skyport.images_path,
            name=_skyport.name,
            level=_skyport.settings.level_option,
            digest=_skyport.lint_digest,
        shell:
            _skyport.say_if_killed + r"""
            code=0
            say_if_killed skyport-wf lint {params.name:q} \
                --images {params.images:q} \
                --report {output.json:q} \
                {params.level:q} \
                >{log:q} 2>&1 || code=$?
            cat {log:q}
            exit $code
            """


if _skyport.defines("lint_all"):

    rule lint_all:
        """Every image of the list, checked."""
        input:
            _skyport.files("lint.json"),
        container:
            None


_skyport.leave(workflow)
