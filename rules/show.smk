"""Publish the images as publish.smk does, and show what is in them: layers, waste, packages.

To use in the place of publish.smk. Beside what that one makes, for each image:

    <results>/skyport/KEY/show.json   layers, wasted and shared bytes, packages
    <results>/skyport/KEY/layers.svg  the layers as a picture, which goes into the report

`snakemake show_all`, and then `snakemake show_all --report report.html` for the pictures.
"""


include: "publish.smk"


if _skyport.makes("show"):

    rule show_image:
        """Read the published image once, and say what is in it.

        The other images have to be there, as it is compared with them; that they change draws no new picture.
        """
        input:
            receipt=_skyport.at("<results>/skyport/{skyport_key}/receipt.json"),
            others=ancient(_skyport.files("receipt.json")),
        output:
            json=_skyport.at("<results>/skyport/{skyport_key}/show.json"),
            chart=report(
                _skyport.at("<results>/skyport/{skyport_key}/layers.svg"),
                category="Images",
                labels=lambda wildcards: {"image": _skyport.name(wildcards)},
            ),
        log:
            _skyport.at("<logs>/skyport/{skyport_key}/show.log"),
        benchmark:
            _skyport.at("<benchmarks>/skyport/{skyport_key}/show.tsv")
        wildcard_constraints:
            skyport_key=_skyport.constraint,
        conda:
            _skyport.conda
        container:
            None
        resources:
            shock=1,
        params:
            images=_skyport.images,
            name=_skyport.name,
        shell:
            _skyport.say_if_killed + r"""
            skyport-wf show {params.name:q} --json \
                --images {params.images:q} \
                --chart {output.chart:q} \
                --log {log:q} \
                >{output.json:q}
            """


if _skyport.defines("show_all"):

    rule show_all:
        """Every image of the list, with its layers, waste and packages."""
        input:
            _skyport.files("show.json"),
            _skyport.files("layers.svg"),
            _skyport.files("packages.cdx.json"),
        container:
            None


_skyport.leave(workflow)
