import subprocess
import sys
from pathlib import Path

import pytest

import skyport_wf
from skyport_wf.errors import UsageError
from tests.support.timing import PATIENCE


def test_the_rules_are_found():
    path = Path(skyport_wf.snakefile("publish"))
    assert path == Path(skyport_wf.snakefile())
    assert path.is_absolute()
    assert "rule publish_all:" in path.read_text()


@pytest.mark.parametrize("name", ["publsh", "../Snakefile", ""])
def test_rules_that_are_not_there(name):
    with pytest.raises(ValueError) as caught:
        skyport_wf.snakefile(name)
    assert str(caught.value).startswith(f"skyport-wf has no rules called {name!r}, it has: lint, plan, publish")


def test_the_receipt_of_an_image():
    assert skyport_wf.receipt("skyport/velvet:1.2.10") == "results/skyport/skyport_velvet_1.2.10/receipt.json"
    assert skyport_wf.receipt("a/b:1", results="out/x") == "out/x/skyport/a_b_1/receipt.json"


@pytest.mark.parametrize("function", [skyport_wf.receipt, skyport_wf.sif, skyport_wf.container])
def test_the_folder_of_results_may_be_a_path_and_not_empty(function, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert function("a/b:1", results=Path("out/x")) == function("a/b:1", results="out/x/")
    with pytest.raises(UsageError, match=r"^`results` is empty\. Write `\.` for the working directory\.$"):
        function("a/b:1", results="")


def test_the_receipt_of_a_name_that_cannot_be_published():
    with pytest.raises(UsageError, match="the tag `latest` cannot be published"):
        skyport_wf.receipt("a/b:latest")


def test_the_cwl_documents_are_found():
    assert Path(skyport_wf.workflow("publish-images.cwl")).read_text().startswith("#!/usr/bin/env cwl-runner")
    assert Path(skyport_wf.workflow("tools/pull.cwl")).is_file()
    for name in ("publish.cwl", "../rules/publish.smk", ""):
        with pytest.raises(ValueError, match=r"has no workflow called .*, it has: publish-image.cwl"):
            skyport_wf.workflow(name)


def test_what_a_snakefile_imports_is_light():
    program = (
        "import sys, skyport_wf; skyport_wf.snakefile(); print(*{'yaml', 'docker', 'requests'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "")
