"""The CWL documents themselves: valid, as AWE can take them, each with a job to start from. No engine is needed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import skyport_wf
from tests.support import cwl_validation
from tests.support.commands import CHECKOUT, COMMANDS
from tests.support.cwl_project import DOCUMENTS

# The documents are validated once, in one process.
pytestmark = pytest.mark.xdist_group("CWL documents")

OURS = [path for path in DOCUMENTS if path.parts[0] == "workflows"]


def read(path: Path) -> dict:
    return yaml.safe_load((CHECKOUT / path).read_text())


class Validated(NamedTuple):
    """What cwltool makes and says of the documents."""

    packed: dict[Path, Path]
    """What `cwltool --pack` makes of each document."""
    said: dict[str, dict[str, Any]]
    """Exit code and log of `cwltool --validate`, by path, of the documents and of what they are packed into."""


FOR_ONE_DISK = Path("workflows/publish-images.cwl")
"""It runs the four steps of each image as a workflow, which AWE cannot: it has publish-images.awe.cwl."""


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> Validated:
    folder = tmp_path_factory.mktemp("packed")
    command = [sys.executable, "-m", cwl_validation.__name__, str(folder), *map(str, DOCUMENTS)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Validated({path: folder / f"{path.name}.json" for path in DOCUMENTS}, json.loads(done.stdout))


@pytest.fixture
def packed(validated: Validated) -> dict[Path, Path]:
    return validated.packed


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
@pytest.mark.parametrize("form", ["as it is", "packed"])
def test_valid_without_a_warning(path: Path, form: str, validated: Validated) -> None:
    said = validated.said[str(validated.packed[path] if form == "packed" else path)]
    assert said["code"] == 0, said["log"]
    assert "is valid CWL" in said["log"]
    assert "WARNING" not in said["log"]
    assert "ERROR" not in said["log"]


def lint(*files: Path | str) -> tuple[int, str]:
    command = [str(COMMANDS / "skyport-wf"), "lint", "--cwl", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_awe_loses_nothing_of_them_packed_or_not(packed: dict[Path, Path]) -> None:
    files = [CHECKOUT / path for path in DOCUMENTS]
    files += [document for path, document in packed.items() if path != FOR_ONE_DISK]
    assert lint(*files) == (0, f"{len(files)} documents: nothing that AWE would reject or lose\n")


def test_what_is_not_for_awe_says_so_until_it_is_packed(packed: dict[Path, Path]) -> None:
    code, told = lint(packed[FOR_ONE_DISK])
    assert code == 3
    (line, summary) = told.splitlines()
    assert ": failure: " in line
    assert line.endswith("AWE fails at a `scatter` over a workflow. Scatter in that workflow")
    assert summary == "1 document: 1 failure, 0 losses"


def test_what_is_for_awe_packs_into_one_graph(packed: dict[Path, Path]) -> None:
    document = packed[Path("workflows/publish-images.awe.cwl")]
    command = [str(COMMANDS / "skyport-wf"), "lint", "--packed", "--cwl", str(document)]
    assert subprocess.run(command, check=False).returncode == 0
    assert {process["id"] for process in json.loads(document.read_text())["$graph"]} == {
        "#main",
        "#publish-image.tool.cwl",
    }


@pytest.mark.parametrize("path", OURS, ids=str)
def test_says_what_it_is(path: Path) -> None:
    document = read(path)
    assert document["cwlVersion"] == "v1.0"
    assert document["label"]
    assert document["doc"]
    assert document["s:license"] == "https://spdx.org/licenses/MIT"
    assert all(value["label"] for field in ("inputs", "outputs") for value in document[field].values())
    if document["class"] == "CommandLineTool":
        software = document["hints"]["SoftwareRequirement"]["packages"]["skyport-wf"]
        assert software["version"] == [skyport_wf.__version__]


@pytest.mark.parametrize("path", OURS, ids=str)
def test_has_a_job_that_gives_what_it_needs(path: Path) -> None:
    inputs = read(path)["inputs"]
    job = read(path.with_suffix(".job.yml"))
    needed = {name for name, value in inputs.items() if "default" not in value and not value["type"].endswith("?")}
    assert needed <= job.keys() <= inputs.keys()
    for name, value in job.items():
        files = value if isinstance(value, list) else [value]
        assert {file.get("format") for file in files if isinstance(file, dict)} <= {
            None,
            str(inputs[name].get("format")).replace("edam:", "http://edamontology.org/"),
        }


def test_the_token_is_a_secret_wherever_it_is_an_input() -> None:
    with_token = [read(path) for path in DOCUMENTS if "token" in read(path)["inputs"]]
    assert len(with_token) >= 8
    for document in with_token:
        assert document["hints"]["cwltool:Secrets"] == {"secrets": ["token"]}
        assert document["inputs"]["token"] | {"label": 0, "doc": 0} == {
            "type": "string",
            "default": "",
            "label": 0,
            "doc": 0,
        }


def test_a_tool_that_talks_to_the_engine_or_to_shock_is_never_reused() -> None:
    tools = [path for path in OURS if "EnvVarRequirement" in read(path).get("requirements", {})]
    assert len(tools) == 7
    for path in tools:
        assert read(path)["hints"]["cwltool:WorkReuse"] == {"enableReuse": False}
