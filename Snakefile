"""`snakemake publish_all` publishes this repository's own images."""


include: "workflows/Snakefile"


rule all:
    default_target: True
    input:
        rules.publish_all.input,
