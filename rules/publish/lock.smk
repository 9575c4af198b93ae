"""The lock file of the images, and what is said of those that are none: for publish.smk."""


rule lock_images:
    """Note which image each name stands for, in a file made to be committed, and what the list says of the images.

    A new description changes no image: it reaches the node here, and what takes the receipt as input does not run again.
    """
    input:
        receipts=_skyport.files("receipt.json"),
    output:
        lock=[local(update(path)) for path in _skyport.lock.outputs],
        done=touch(_skyport.lock.done),
    log:
        _skyport.at(f"<logs>/skyport/{_skyport.lock.log_name}.log"),
    benchmark:
        _skyport.at(f"<benchmarks>/skyport/{_skyport.lock.log_name}.tsv")
    localrule: True
    conda:
        _skyport.conda
    container:
        None
    params:
        images=_skyport.images_path,
        lock=_skyport.lock.path_param,
        keep=_skyport.lock.kept_names,
        notes=_skyport.notes(),
        lost=_skyport.lock.lost(),
        noted=_skyport.lock.noted,
    shell:
        _skyport.say_if_killed + _skyport.lock.noting + r"""
        say_if_killed skyport-wf lock {input.receipts:q} \
            --images {params.images:q} \
            --lock {params.lock:q} \
            {params.keep:q} \
            --log {log:q}
        """
