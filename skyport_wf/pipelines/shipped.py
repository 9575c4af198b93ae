"""Rules and workflows that the package brings: beside it in a checkout, inside of it where it is installed."""

import os
from pathlib import Path
from typing import Any

from skyport_wf.input_file import is_file

_PACKAGE = Path(__file__).parents[1]
_ROOTS = (_PACKAGE, _PACKAGE.parent)


def find_shipped(path: str) -> Path:
    """Return where a file is that the package brings.

    path: such as `rules/publish.smk`.
    Raises FileNotFoundError if there is no such file.
    """
    inside = Path(path)
    for root in _ROOTS:
        if ".." not in inside.parts and is_file(root / inside):
            return root / inside
    raise FileNotFoundError(path)


def list_shipped(pattern: str) -> list[Path]:
    """Return the files that match a pattern such as `rules/*.smk`, by name."""
    return sorted((path for root in _ROOTS for path in root.glob(pattern)), key=lambda path: path.name)


def find_rules(name: str) -> Path:
    """Return where the rules called `name` are.

    Raises ValueError, with the names there are, if there are none.
    """
    try:
        return find_shipped(f"rules/{name}.smk")
    except FileNotFoundError:
        there = [path.stem for path in list_shipped("rules/*.smk")]
        raise ValueError(f"skyport-wf has no rules called {name!r}, it has: {', '.join(there)}") from None


def list_workflows() -> list[Path]:
    """Return the CWL documents that the package brings, those of single steps last."""
    return [path for pattern in ("*.cwl", "tools/*.cwl") for path in list_shipped(f"workflows/{pattern}")]


def workflow_names() -> list[str]:
    """Return the names of the CWL documents, as `find_workflow` takes them."""
    return [path.name if path.parent.name == "workflows" else f"tools/{path.name}" for path in list_workflows()]


def find_workflow(name: str) -> Path:
    """Return where a CWL document is, such as `publish-images.cwl` or `tools/pull.cwl`.

    Raises ValueError, with the names there are, if there is none.
    """
    try:
        return find_shipped(f"workflows/{name}")
    except FileNotFoundError:
        there = ", ".join(workflow_names())
        raise ValueError(f"skyport-wf has no workflow called {name!r}, it has: {there}") from None


def comes_with(snakefile: Any, rules: Any) -> bool:
    """Return whether a Snakefile comes with a file of rules: in this package, in a copy of it, or at an address.

    snakefile: its path or address, or what Snakemake makes of that.
    rules: the file that is being parsed, as Snakemake has it.
    """
    names = [*(f"rules/{path.name}" for path in list_shipped("rules/*.smk")), "workflows/Snakefile"]
    folder = rules.get_basedir()
    return _place_of(snakefile) in {_place_of(folder.join(f"../{name}")) for name in names}


def _place_of(snakefile: Any) -> str:
    """Return the real path of a Snakefile, or its address."""
    is_text = isinstance(snakefile, str | os.PathLike)
    place = str(snakefile if is_text else snakefile.get_path_or_uri(secret_free=True))
    return place if "://" in place else os.path.realpath(place)
