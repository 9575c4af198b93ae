"""Rules and workflows that the package brings: beside it in a checkout, inside of it where it is installed."""

from pathlib import Path

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


def is_shipped(path: Path) -> bool:
    """Return whether a Snakefile is one of the package's own."""
    folders = [root / name for root in _ROOTS for name in ("rules", "workflows")]
    return any(path.resolve().parent == folder.resolve() for folder in folders)
