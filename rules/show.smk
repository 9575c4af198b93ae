"""Publish the images as publish.smk does, and show what is in them: layers, waste, packages.

To use in the place of publish.smk. Beside what that one makes, for each image:

    <results>/skyport/KEY/show.json      layers, wasted and shared bytes, packages
    <results>/skyport/KEY/layers.svg     the layers as a picture
    <results>/skyport/KEY/findings.json  what hurts in its Dockerfile and scripts

and <results>/skyport/images.html, a table of all images.

`snakemake show_all`, and then `snakemake show_all --report report.html`: the report opens on the table, unless the
pipeline says something of its own there, and has pictures, receipts and lists of packages.
"""


include: "publish.smk"


if not workflow.report_text:

    report: "report/images.rst"


if _skyport.makes("show"):

    rule show_image:
        """Read the published image once, and say what is in it.

        The other images have to be there, as it is compared with them; that they change draws no new picture.
        """
        input:
            receipt=report(
                _skyport.at("<results>/skyport/{skyport_key}/receipt.json"),
                category="Images",
                labels=lambda wildcards: {"image": _skyport.name(wildcards), "file": "receipt"},
            ),
            packages=report(
                _skyport.at("<results>/skyport/{skyport_key}/packages.cdx.json"),
                category="Images",
                labels=lambda wildcards: {"image": _skyport.name(wildcards), "file": "packages"},
            ),
            others=ancient(_skyport.files("receipt.json")),
        output:
            json=_skyport.output("show.json"),
            chart=report(
                _skyport.output("layers.svg"),
                caption="report/layers.rst",
                category="Images",
                labels=lambda wildcards: {"image": _skyport.name(wildcards), "file": "layers"},
            ),
        log:
            _skyport.at("<logs>/skyport/{skyport_key}/show.log"),
        benchmark:
            _skyport.at("<benchmarks>/skyport/{skyport_key}/show.tsv")
        localrule: _skyport.settings.is_local
        conda:
            _skyport.conda
        container:
            None
        resources:
            shock=1,
        params:
            images=_skyport.images_path,
            name=_skyport.name,
        shell:
            _skyport.say_if_killed + r"""
            say_if_killed skyport-wf show {params.name:q} --json \
                --images {params.images:q} \
                --chart {output.chart:q} \
                --log {log:q} \
                >{output.json:q}
            """

    rule find_mistakes:
        """Check what the image is made from, for the table: unlike lint_image, this fails at no finding."""
        input:
            settings=[local(name) for name in _skyport.lint_settings],
        output:
            findings=_skyport.output("findings.json"),
        log:
            _skyport.at("<logs>/skyport/{skyport_key}/findings.log"),
        benchmark:
            _skyport.at("<benchmarks>/skyport/{skyport_key}/findings.tsv")
        localrule: True
        conda:
            _skyport.conda
        container:
            None
        params:
            images=_skyport.images_path,
            name=_skyport.name,
            digest=_skyport.lint_digest,
        shell:
            _skyport.say_if_killed + r"""
            say_if_killed skyport-wf lint {params.name:q} --quiet \
                --images {params.images:q} \
                --report {output.findings:q} \
                --level none \
                --log {log:q}
            """

    rule list_images:
        """Write the table of images, on which the report opens."""
        input:
            receipts=_skyport.files("receipt.json"),
            shown=_skyport.files("show.json"),
            findings=_skyport.files("findings.json"),
        output:
            table=report(
                _skyport.table,
                caption="report/images-caption.rst",
                category="Images",
                labels={"image": "all", "file": "table"},
            ),
        log:
            _skyport.at(f"<logs>/skyport/{_skyport.table_name}.log"),
        benchmark:
            _skyport.at(f"<benchmarks>/skyport/{_skyport.table_name}.tsv")
        localrule: True
        conda:
            _skyport.conda
        container:
            None
        params:
            folders=lambda wildcards, input: [receipt.rpartition("/")[0] for receipt in input.receipts],
        shell:
            _skyport.say_if_killed + r"""
            say_if_killed skyport-wf report {params.folders:q} \
                --output {output.table:q} \
                --log {log:q}
            """


if _skyport.defines("show_all"):

    rule show_all:
        """Every image of the list, with its layers, waste and packages."""
        input:
            _skyport.table,
            _skyport.files("show.json"),
            _skyport.files("layers.svg"),
            _skyport.files("packages.cdx.json"),
        container:
            None


_skyport.leave(workflow)
