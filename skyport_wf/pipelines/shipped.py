"""Rules and workflows that the package brings: beside it in a checkout, inside of it where it is installed."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_ROOTS = (_PACKAGE, _PACKAGE.parent)


def find_shipped(path: str) -> Path:
    """Return where a file is that the package brings.

    path: such as `rules/publish.smk`.
    Raises FileNotFoundError if there is no such file.
    """
    inside = Path(path)
    for root in _ROOTS:
        if ".." not in inside.parts and (root / inside).is_file():
            return root / inside
    raise FileNotFoundError(path)


def list_shipped(pattern: str) -> list[Path]:
    """Return the files that match a pattern such as `rules/*.smk`, by name."""
    return sorted((path for root in _ROOTS for path in root.glob(pattern)), key=lambda path: path.name)


def is_shipped(path: Path) -> bool:
    """Return whether a Snakefile is one of the package's own."""
    folders = [root / name for root in _ROOTS for name in ("rules", "workflows")]
    return any(path.resolve().parent == folder.resolve() for folder in folders)
