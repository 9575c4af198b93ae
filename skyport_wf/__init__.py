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
    from pathlib import Path

    package = Path(__file__).parent
    for folder in (package / "rules", package.parent / "rules"):
        if (found := folder / f"{name}.smk").is_file():
            return str(found)
    there = sorted(path.stem for path in (*package.glob("rules/*.smk"), *package.parent.glob("rules/*.smk")))
    raise ValueError(f"skyport-wf has no rules called {name!r}, it has: {', '.join(there)}")


def receipt(image: str, *, results: str = "results") -> str:
    """Return the path of the receipt of `image`, REPO:TAG: the file to take as input where the image has to be there.

    results: the pathvar `results` of the workflow.
    Raises UsageError for a name that cannot be published.
    """
    from skyport_wf.image_list.reference import parse_reference

    return f"{results}/skyport/{parse_reference(image).key}/receipt.json"
