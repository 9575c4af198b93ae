"""Publish Docker images to Shock as a reproducible workflow.

A Snakefile needs two functions: `snakefile` says where the rules are, `receipt` which file stands for a
published image. Everything else is the command `skyport-wf`.
"""

__version__ = "0.1.0"
__all__ = ["__version__", "receipt", "snakefile"]


def snakefile(name: str = "publish") -> str:
    """Return the path of the rules called `name`, for `module` or `include`, in a checkout or installed.

    Raises ValueError, with the names there are, if there are no such rules.
    """
    from skyport_wf.pipelines.shipped import find_shipped, list_shipped

    try:
        return str(find_shipped(f"rules/{name}.smk"))
    except FileNotFoundError:
        there = [path.stem for path in list_shipped("rules/*.smk")]
        raise ValueError(f"skyport-wf has no rules called {name!r}, it has: {', '.join(there)}") from None


def receipt(image: str, *, results: str = "results") -> str:
    """Return the path of the receipt of `image`, REPO:TAG: the file to take as input where the image has to be there.

    results: the pathvar `results` of the rules.
    Raises UsageError for a name that cannot be published, or that no image list has which the rules have read by then.
    """
    from skyport_wf.image_list.reference import parse_reference
    from skyport_wf.pipelines.opening import check_listed

    key = parse_reference(image).key
    check_listed(image, results)
    return f"{results}/skyport/{key}/receipt.json"
