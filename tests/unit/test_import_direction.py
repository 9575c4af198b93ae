"""Imports go one way: errors <- values <- engine, shock, store <- steps <- cli. This holds it."""

import ast
import graphlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import skyport_wf

PACKAGE = Path(skyport_wf.__file__).parent
ROOT = PACKAGE.parent

VALUES = {
    "reference", "yaml_document", "spec", "images_yaml", "records", "record_files", "output_file", "attributes",
    "receipts", "awe", "image", "lint", "wording", "address",
}  # fmt: skip
RANKS = {
    "errors": 0, **dict.fromkeys(VALUES, 1), "engine": 2, "shock": 2, "store": 2, "remote": 2, "steps": 3, "cli": 4,
}  # fmt: skip
"""How high each module of the package, or folder of modules, stands; it may import what stands lower."""
STORE_RANKS = {"wsgi": 1, "serving": 2}
"""The same inside the store: its modules, then its HTTP interface, then the server around that."""

NETWORK = {"requests", "urllib3", "http", "socket", "docker", "urllib.request"}
MAY_USE_NETWORK = {
    "requests": ("shock/", "engine/connection.py", "store/wsgi/transport.py", "remote/", "steps/connect.py"),
    "urllib3": ("shock/", "engine/connection.py", "store/wsgi/transport.py", "steps/download.py"),
    "docker": ("engine/",),
    "http": ("store/wsgi/",),
    "socket": ("store/serving/",),
    "urllib.request": (),
}
"""Who may import what talks over a network; of others only types."""
BORROWED = {"image/context.py": {"docker.utils.build"}}
"""Patterns of .dockerignore: no talking."""


def modules(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.py")) if not {"rules", "workflows"} & set(path.parts[:-1]))


def imported(source: str, *, types: bool = True) -> Iterator[str]:
    """Yield the full name of all that is imported anywhere in the source.

    types: whether what only a type checker sees counts, too.
    """
    tree = ast.parse(source)
    skipped = set() if types else set(_only_for_types(tree))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _only_for_types(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for child in node.body:
                yield from ast.walk(child)


def place(name: str) -> str:
    """Return where in the package something stands: `shock` of `skyport_wf.shock.client.ShockClient`."""
    return name.split(".")[1]


def wrong_imports(name: str, source: str) -> list[str]:
    """Return what a module may not import; `name` is its path in the package."""
    home = Path(name).parts[0].removesuffix(".py")
    if home in ("__init__", "__main__"):
        return []
    ours = [
        other for other in imported(source) if other.startswith("skyport_wf.") and other != "skyport_wf.__version__"
    ]
    return [f"{name} imports {other}" for other in ours if _is_wrong(name, home, other)]


def _is_wrong(name: str, home: str, other: str) -> bool:
    if place(other) == home == "store":
        return store_rank(other.split(".")[2:]) > store_rank(Path(name).parts[1:])
    return (
        place(other) != home and RANKS[place(other)] >= RANKS[home] and not (place(other) in VALUES and home in VALUES)
    )


def store_rank(below: Sequence[str]) -> int:
    """Return how high something stands in the store. below: the names that lead to it from there."""
    return STORE_RANKS.get(below[0], 0) if below else 0


def sources() -> dict[str, str]:
    return {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in modules(PACKAGE)}


def test_every_module_has_its_place():
    homes = {Path(name).parts[0].removesuffix(".py") for name in sources()} - {"__init__", "__main__"}
    assert homes <= set(RANKS), "say in this test's table how high it stands"


@pytest.mark.parametrize("name", sources())
def test_imports_go_one_way(name):
    assert wrong_imports(name, sources()[name]) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("errors.py", "import skyport_wf.reference"),
        ("spec.py", "from skyport_wf import steps"),
        ("awe.py", "from skyport_wf.shock.node import Node"),
        ("shock/client.py", "def f():\n    from skyport_wf.store.wsgi.app import ShockApp"),
        ("store/wsgi/app.py", "from skyport_wf.engine import build"),
        ("store/nodes.py", "from skyport_wf.store.wsgi.documents import node_document"),
        ("store/opening.py", "def f():\n    from skyport_wf.store.serving import server"),
        ("store/wsgi/app.py", "from skyport_wf.store.serving.server import serve"),
        ("engine/build.py", "if TYPE_CHECKING:\n    from skyport_wf.shock.client import ShockClient"),
        ("image/context.py", "try:\n    import skyport_wf.engine.images as x\nexcept ImportError: pass"),
        ("steps/plan.py", "from skyport_wf.cli.main import main"),
        ("shock/client.py", "class A:\n    from skyport_wf.steps.plan import plan_images"),
    ],
)
def test_a_wrong_import_is_found_wherever_it_stands(name, source):
    assert len(wrong_imports(name, source)) == 1


def test_a_right_import_is_not_taken_for_a_wrong_one():
    for name, source in {
        "steps/connect.py": "from skyport_wf.store.wsgi.app import ShockApp",
        "shock/client.py": "from skyport_wf.shock.node import Node",
        "records.py": "from skyport_wf.image.contents import Layer",
        "store/wsgi/app.py": "from skyport_wf import __version__\nfrom skyport_wf.store.opening import Store",
        "store/serving/gateway.py": "from skyport_wf.store.wsgi.app import ShockApp",
        "cli/serve.py": "from skyport_wf.store.serving.server import serve",
    }.items():
        assert wrong_imports(name, source) == []


def test_no_module_imports_itself_by_way_of_others():
    names = {"skyport_wf." + name.removesuffix(".py").replace("/", "."): source for name, source in sources().items()}
    graph = {
        name: {other for found in imported(source, types=False) if (other := _module(found, names)) not in (None, name)}
        for name, source in names.items()
    }
    try:
        order = list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(map(str, reversed(error.args[1]))))
    assert len(order) >= len(names)


def _module(name: str, modules: dict[str, str]) -> str | None:
    return next((known for known in (name, name.rpartition(".")[0]) if known in modules), None)


@pytest.mark.parametrize("name", sources())
def test_only_few_talk_over_the_network(name):
    found = {
        root
        for other in imported(sources()[name], types=False)
        for root in NETWORK
        if f"{other}.".startswith(f"{root}.")
        and not any(f"{other}.".startswith(f"{lib}.") for lib in BORROWED.get(name, ()))
    }
    allowed = {root for root, homes in MAY_USE_NETWORK.items() if name.startswith(homes)}
    assert found <= allowed


def prints(source: str) -> list[str]:
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Call) and ast.unparse(node.func) == "print")
        or (isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr", "sys.__stdout__"))
    ]


@pytest.mark.parametrize("name", [name for name in sources() if not name.startswith("cli/")])
def test_only_the_command_line_prints(name):
    assert prints(sources()[name]) == []


def test_printing_is_found():
    assert prints("def f():\n    print(1)\n    sys.stderr.write('x')") == ["print(1)", "sys.stderr"]


def workflow_files() -> list[Path]:
    found = [path for folder in ("rules", "workflows") for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]
    return [*found, ROOT / "Snakefile"]


@pytest.mark.parametrize("path", workflow_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_rules_and_cwl_tools_import_nothing_of_the_package(path):
    assert not re.search(r"^\s*(import|from)\s+skyport_wf\b", path.read_text(), re.MULTILINE)


def test_there_are_rules():
    assert ROOT / "rules/publish.smk" in workflow_files()
