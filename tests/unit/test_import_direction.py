"""Imports go one way, as docs/architecture.md has it; this holds it, also between the folders inside folders."""

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import skyport_wf

PACKAGE = Path(skyport_wf.__file__).parent
ROOT = PACKAGE.parent

ORDER = (
    (
        "byte_streams",
        "cache",
        "child_environment",
        "decoding",
        "digests",
        "errors",
        "formatting",
        "http_session",
        "input_file",
        "near_words",
        "output_file",
        "progress",
        "retries",
        "side_reader",
        "user_folders",
    ),
    ("image_list",),
    ("image",),
    ("records",),
    ("engine", "shock", "store", "serving"),
    ("sources",),
    ("publication",),
    ("transfer",),
    ("lint",),
    ("steps",),
    ("inspection",),
    ("pipelines",),
    ("registry",),
    ("pages",),
    ("cli",),
)
"""The rooms of the package, the lowest floor first: a room may import what stands on lower floors.

The modules of the ground may import each other."""
FLOORS = {room: floor for floor, rooms in enumerate(ORDER) for room in rooms}

NETWORK = {"requests", "urllib3", "http", "socket", "docker", "urllib.request"}
MAY_USE_NETWORK = {
    "requests": (
        "http_session.py",
        "shock/",
        "engine/connection.py",
        "store/wsgi/transport.py",
        "sources/remote/",
    ),
    "urllib3": (
        "http_session.py",
        "shock/",
        "engine/connection.py",
        "store/wsgi/transport.py",
        "transfer/download.py",
        "sources/remote/",
    ),
    "docker": ("engine/",),
    "http": ("store/wsgi/",),
    "socket": ("serving/",),
    "urllib.request": (),
}
"""Who may import what talks over a network; of others only types."""


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
    return [f"{name} imports {other}" for other in ours if _is_wrong(home, place(other))]


def _is_wrong(home: str, other: str) -> bool:
    return other != home and FLOORS[other] >= FLOORS[home] and not FLOORS[other] == FLOORS[home] == 0


def sources() -> dict[str, str]:
    return {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in modules(PACKAGE)}


def test_every_module_has_its_place():
    homes = {Path(name).parts[0].removesuffix(".py") for name in sources()} - {"__init__", "__main__"}
    assert homes <= set(FLOORS), "say in this test's table how high it stands"


@pytest.mark.slow
def test_imports_go_one_way():
    assert [wrong for name, source in sources().items() for wrong in wrong_imports(name, source)] == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("errors.py", "import skyport_wf.image_list.reference"),
        ("image_list/spec.py", "from skyport_wf import steps"),
        ("records/records.py", "from skyport_wf.shock.node import Node"),
        ("shock/client.py", "def f():\n    from skyport_wf.store.wsgi.app import ShockApp"),
        ("store/wsgi/app.py", "from skyport_wf.engine import build"),
        ("store/wsgi/app.py", "from skyport_wf.serving.server import serve"),
        ("serving/gateway.py", "from skyport_wf.store.wsgi.app import ShockApp"),
        ("engine/build.py", "if TYPE_CHECKING:\n    from skyport_wf.shock.client import ShockClient"),
        ("image/context.py", "try:\n    import skyport_wf.engine.images as x\nexcept ImportError: pass"),
        ("steps/build.py", "from skyport_wf.cli.main import main"),
        ("shock/client.py", "class A:\n    from skyport_wf.sources.order import plan_images"),
    ],
)
def test_a_wrong_import_is_found_wherever_it_stands(name, source):
    assert len(wrong_imports(name, source)) == 1


def test_a_right_import_is_not_taken_for_a_wrong_one():
    for name, source in {
        "publication/connect.py": "from skyport_wf.store.wsgi.app import ShockApp",
        "shock/client.py": "from skyport_wf.shock.node import Node",
        "records/records.py": "from skyport_wf.image.contents import Layer",
        "store/wsgi/app.py": "from skyport_wf import __version__\nfrom skyport_wf.store.opening import Store",
        "serving/gateway.py": "from skyport_wf.serving.reading import RequestBody",
        "cli/serve.py": "from skyport_wf.serving.server import serve",
    }.items():
        assert wrong_imports(name, source) == []


def import_graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Return which module imports which, as the program runs; modules by their dotted names below the package."""
    names = {"skyport_wf." + name.removesuffix(".py").replace("/", "."): source for name, source in sources.items()}
    return {
        name: {other for found in imported(source, types=False) if (other := _module(found, names)) not in (None, name)}
        for name, source in names.items()
    }


def circle(graph: dict[str, set[str]]) -> str:
    """Return a circle of the graph in words, an empty text if there is none."""
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        return " -> ".join(map(str, reversed(error.args[1])))
    return ""


def between_siblings(graph: dict[str, set[str]], folder: str) -> dict[str, set[str]]:
    """Return which of the modules and folders right below a folder import which others of them."""
    depth = folder.count(".") + 2
    inside = [name for name in graph if name.startswith(f"{folder}.")]

    def child(name: str) -> str:
        return ".".join(name.split(".")[:depth])

    found: dict[str, set[str]] = {child(name): set() for name in inside}
    for name in inside:
        found[child(name)] |= {child(other) for other in graph[name] if other in inside} - {child(name)}
    return found


@pytest.mark.slow
def test_no_module_or_folder_imports_itself_by_way_of_others():
    graph = import_graph(sources())
    folders = {name.rpartition(".")[0] for name in graph}
    assert len(folders) > 10
    assert circle(graph) == ""
    assert {folder: found for folder in sorted(folders) if (found := circle(between_siblings(graph, folder)))} == {}


def test_a_circle_of_folders_is_found():
    graph = import_graph(
        {
            "image/a/one.py": "import skyport_wf.image.b.two",
            "image/a/three.py": "",
            "image/b/two.py": "from skyport_wf.image.a.three import x",
        }
    )
    assert circle(graph) == ""
    assert circle(between_siblings(graph, "skyport_wf.image")) in (
        "skyport_wf.image.a -> skyport_wf.image.b -> skyport_wf.image.a",
        "skyport_wf.image.b -> skyport_wf.image.a -> skyport_wf.image.b",
    )


def _module(name: str, modules: dict[str, str]) -> str | None:
    return next((known for known in (name, name.rpartition(".")[0]) if known in modules), None)


@pytest.mark.slow
def test_only_few_talk_over_the_network():
    found = {
        (name, root)
        for name, source in sources().items()
        for other in imported(source, types=False)
        for root in NETWORK
        if f"{other}.".startswith(f"{root}.")
    }
    assert {(name, root) for name, root in found if not name.startswith(MAY_USE_NETWORK.get(root, ()))} == set()


def prints(source: str) -> list[str]:
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Call) and ast.unparse(node.func) == "print")
        or (isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr", "sys.__stdout__"))
    ]


@pytest.mark.slow
def test_only_the_command_line_prints():
    assert {
        name: found for name, source in sources().items() if (found := prints(source)) and not name.startswith("cli/")
    } == {}


def test_printing_is_found():
    assert prints("def f():\n    print(1)\n    sys.stderr.write('x')") == ["print(1)", "sys.stderr"]


def workflow_files() -> list[Path]:
    found = [path for folder in ("rules", "workflows") for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]
    return [*found, ROOT / "Snakefile"]


@pytest.mark.parametrize("path", workflow_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_rules_and_cwl_tools_import_nothing_of_the_package_but_what_reads_the_list(path):
    """Jobs call the command line; what is decided when a workflow is parsed must not cost the start of a command."""
    found = re.findall(r"^ *(?:import|from)\s+skyport_wf\b.*", path.read_text(), re.MULTILINE)
    line = "from skyport_wf.pipelines.opening import {} as _skyport_open"
    reads_the_list = {"plan.smk": [line.format("open_rules")], "use.smk": [line.format("open_lock")]}
    assert found == reads_the_list.get(path.name, [])


def test_there_are_rules():
    assert ROOT / "rules/publish.smk" in workflow_files()
