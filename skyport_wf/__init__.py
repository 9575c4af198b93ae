"""Publish Docker images to Shock as a reproducible workflow.

What a Snakefile needs: `snakefile` says where the rules are, `receipt` which file stands for a published image,
`container` what a rule runs in. Everything else is the command `skyport-wf`.
"""

import os

__version__ = "0.1.0"
__all__ = ["__version__", "container", "receipt", "sif", "snakefile", "workflow"]


def snakefile(name: str = "publish") -> str:
    """Return the path of the rules called `name`, for `module` or `include`, in a checkout or installed.

    Raises ValueError, with the names there are, if there are no such rules.
    """
    from skyport_wf.pipelines.mistakes import heard
    from skyport_wf.pipelines.shipped import find_rules

    with heard():
        return str(find_rules(name))


def receipt(image: str | os.PathLike[str], *, results: str | os.PathLike[str] = "results") -> str:
    """Return the path of the receipt of `image`, REPO:TAG: the file to take as input where the image has to be there.

    results: the pathvar `results` of the rules, with the prefix of their module if that is not the caller's, too.
    Raises UsageError for a name that cannot be published, or that no image list has which the rules have read by then,
        if the rules that have it write elsewhere, or if `results` is empty.
    """
    return _path(image, results, "receipt.json")


def container(
    image: str | os.PathLike[str], *, results: str | os.PathLike[str] = "results", registry: bool | None = None
) -> str:
    """Return what `image`, REPO:TAG, is for `container:`: an address in a registry, or a file.

    registry: whether it is `docker://HOST/REPO@DIGEST` of the lock file, for nodes that reach the registry, or the file
        that the rule `sif_image` makes; a rule that runs in that takes `sif(image)` as input. If None, the address
        where the lock file has it, unless this workflow publishes the image: the lock file is written only then.
    Raises what `receipt` raises, and UsageError if the address is asked for and unknown.
    """
    from skyport_wf.pipelines.containers import find_address
    from skyport_wf.pipelines.mistakes import heard

    with heard():
        address = None if registry is False else find_address(str(image), _folder(results), required=registry is True)
    return address or sif(image, results=results)


def sif(image: str | os.PathLike[str], *, results: str | os.PathLike[str] = "results") -> str:
    """Return the path of `image` as apptainer runs it: the input of a rule that has `container(image)`."""
    return _path(image, results, "image.sif")


def workflow(name: str) -> str:
    """Return the path of a CWL document that the package brings, such as `publish-images.cwl`.

    Raises ValueError, with the names there are, if there is none.
    """
    from skyport_wf.pipelines.mistakes import heard
    from skyport_wf.pipelines.shipped import find_workflow

    with heard():
        return str(find_workflow(name))


def _path(image: str | os.PathLike[str], results: str | os.PathLike[str], file: str) -> str:
    from skyport_wf.image_list.reference import parse_reference
    from skyport_wf.pipelines.mistakes import heard
    from skyport_wf.pipelines.opening import find_results

    with heard():
        key = parse_reference(str(image)).key
        folder = find_results(str(image), _folder(results))
    return f"{folder}/skyport/{key}/{file}"


def _folder(results: str | os.PathLike[str]) -> str:
    """Return the folder of results as text. Raises UsageError for none: an empty one is the root of all."""
    from skyport_wf.errors import UsageError

    # A pipeline may take it from its config, where it is something else, or missing.
    if not isinstance(results, str | os.PathLike):
        raise UsageError(f"`results` is {results!r}. Write the path of a folder.")
    if folder := os.fspath(results):
        return folder
    raise UsageError("`results` is empty. Write `.` for the working directory.")
