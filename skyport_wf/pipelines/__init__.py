"""The images of a list in somebody's Snakemake pipeline: what the rules and the functions of a Snakefile ask."""
