"""A lab's own pipeline uses the rules: by `module` and by `include`, from a checkout and from the installed wheel."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import CHECKOUT
from tests.support.project import Project

MODULE = """
import skyport_wf

configfile: "config.yaml"

module skyport:
    snakefile: skyport_wf.snakefile("publish")
    config: config["skyport"]

use rule * from skyport as skyport_*
"""
INCLUDE = """
import skyport_wf

configfile: "config.yaml"

include: skyport_wf.snakefile("publish")
"""
ANALYSIS = """
rule analyse:
    input:
        receipt=skyport_wf.receipt("{image}"),
    output:
        "analysis.txt",
    shell:
        "grep -o '\\"node\\": .*' {{input.receipt}} > {{output}}"
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, without its dependencies, into a folder of its own, and return the folder."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(CHECKOUT)], check=True)
    (built,) = folder.glob("skyport_wf-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(built)], check=True)
    return folder / "site"


@pytest.fixture(params=["checkout", "wheel"])
def installation(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the variables with which the package is found in the checkout, or installed."""
    if request.param == "checkout":
        return {}
    return {"PYTHONPATH": str(request.getfixturevalue("wheel"))}


@pytest.mark.parametrize("snakefile", [MODULE, INCLUDE], ids=["module", "include"])
def test_an_analysis_takes_a_receipt_as_input(
    tmp_path: Path, namespace: str, installation: dict[str, str], snakefile: str
) -> None:
    project = Project(tmp_path, namespace)
    (tmp_path / "images.yaml").rename(tmp_path / "images" / "list.yaml")
    listed = (tmp_path / "images" / "list.yaml").read_text().replace("dockerfile: images/", "dockerfile: ")
    (tmp_path / "images" / "list.yaml").write_text(listed)
    (tmp_path / "config.yaml").write_text("skyport:\n  images: images/list.yaml\n")
    (tmp_path / "Snakefile").write_text(snakefile + ANALYSIS.format(image=project.name("derived")))
    _check_installation(project, installation)

    ran = project.snakemake("analyse", **installation)

    prefix = "skyport_" if snakefile is MODULE else ""
    chain = {f"{prefix}{step}_image derived" for step in ("build", "save", "upload", "register")}
    assert ran == chain | {f"{prefix}build_image tool", "analyse"}
    assert project.receipt_of("derived")["node"] in (tmp_path / "analysis.txt").read_text()
    assert project.snakemake("analyse", **installation) == set()
    project.snakemake(f"{prefix}publish_all", **installation)
    assert (tmp_path / "images" / "images.lock.json").exists()


def _check_installation(project: Project, installation: dict[str, str]) -> None:
    """See that the rules come from where the test says."""
    code = "import skyport_wf; print(skyport_wf.snakefile())"
    found = project.run_program("python", "-c", code, **installation).out.strip()
    package = f"{installation['PYTHONPATH']}/skyport_wf" if installation else str(CHECKOUT)
    assert found == f"{package}/rules/publish.smk"
