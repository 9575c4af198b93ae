"""Where the image list is read, and where the lock file and the files of images are written."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.pipeline import INCLUDE, Pipeline, module, own, steps, write_images

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("config", "file"), [("{}", "images.yml"), ('{"images": "c"}', "c/images.yaml")])
def test_the_list_is_found_as_the_command_line_finds_it(pipeline: Pipeline, config: str, file: str) -> None:
    (pipeline.folder / "images.yaml").unlink()
    path = pipeline.folder / file
    write_images(path.parent, "lab/x:1")
    (path.parent / "images.yaml").rename(path)
    pipeline.write_snakefile(module("a", config=config))
    assert pipeline.snakemake("a_publish_all") >= steps("x", prefix="a_")
    assert (path.parent / "images.lock.json").exists()
    assert pipeline.do("verify", "--images", file)["images"]


@pytest.mark.parametrize(("config", "file"), [("", "images.yml"), ('"images": "c", ', "c/images.yaml")])
def test_jobs_find_the_list_where_the_main_process_did(pipeline: Pipeline, config: str, file: str) -> None:
    """It is not where they run, and so they cannot look which of several paths it has."""
    path = pipeline.folder / file
    write_images(path.parent, "lab/x:1")
    (path.parent / "images.yaml").rename(path)
    pipeline.write_snakefile(module("a", config=f'{{{config}"cluster": True}}'), own("lab/x:1"))
    gone = path.relative_to(pipeline.folder).parts[0]
    (pipeline.folder / "submit").write_text(
        f'#!/bin/bash\n[ -e away ] || mv {gone} away\nbash "$@" >> jobs.txt 2>&1\necho 1\n'
    )
    (pipeline.folder / "submit").chmod(0o755)
    submit = ("--executor", "cluster-generic", "--cluster-generic-submit-cmd", "./submit")

    done = pipeline.run_snakemake(*submit, "--jobs", "2", "--seconds-between-status-checks", "1")

    assert done.code == 0, done.out + done.log
    assert not path.exists()
    assert "lab/x:1" in (path.parent / "images.lock.json").read_text()


@pytest.mark.parametrize("how", ["prefix", "storage"])
def test_the_lock_file_is_where_the_list_is(pipeline: Pipeline, tmp_path: Path, how: str) -> None:
    write_images(pipeline.folder / "list", "lab/x:1")
    config = '{"images": "list/images.yaml"}'
    more = ['prefix: "elsewhere"'] if how == "prefix" else []
    storage = ("--default-storage-provider", "fs", "--default-storage-prefix", str(tmp_path / "far"))
    pipeline.write_snakefile(module("a", config=config, more=more))
    ran = pipeline.snakemake("a_publish_all", *(storage if how == "storage" else ()))
    assert ran >= steps("x", prefix="a_")
    lock = json.loads((pipeline.folder / "list/images.lock.json").read_text())
    place = pipeline.folder / "elsewhere" if how == "prefix" else tmp_path / "far"
    (receipt,) = place.rglob("receipt.json")
    assert lock["images"]["lab/x:1"]["node"] == json.loads(receipt.read_text())["node"]
    assert pipeline.do("verify", "--images", "list/images.yaml")["images"]
    assert [path.parent.name for path in tmp_path.rglob("images.lock.json")] == ["list"]


RESULTS = ["pathvars:", '    results="out/images/"']


@pytest.mark.parametrize(
    ("more", "results"),
    [(['prefix: "img"'], "img/results"), (['prefix: "img/"', *RESULTS], "img/out/images"), (RESULTS, "out/images")],
)
def test_the_files_of_images_where_a_module_puts_them(pipeline: Pipeline, more: list[str], results: str) -> None:
    """The receipt, and the container: a file, as the lock file knows the image before."""
    pipeline.do("publish", "--all", "--lock", "images.lock.json", SKYPORT_REGISTRY="x.test")
    folder = f"{results}/skyport/lab_x_1"
    registry = "docker://x.test/lab/x@sha256:"
    checks = "".join(
        f"assert skyport_wf.container('lab/x:1', results='{given}') == '{folder}/image.sif'\n"
        f"assert skyport_wf.container('lab/x:1', results='{given}', registry=True).startswith('{registry}')\n"
        for given in (results, f"{results}/", f"./{results}")
    )
    elsewhere = f"the files of image lab/x:1 are not in results, but in {results}: give `results='{results}'`."
    for asked in (own("lab/x:1"), 'skyport_wf.container("lab/x:1")\n', 'skyport_wf.sif("lab/x:1")\n'):
        pipeline.write_snakefile(module("a", more=more), asked)
        assert elsewhere in pipeline.refused(SKYPORT_REGISTRY="x.test")
    pipeline.write_snakefile(module("a", more=more), own("lab/xx:1", results=results))
    assert "image lab/xx:1 is in no image list that this workflow has read by here. Did you" in pipeline.refused()
    pipeline.write_snakefile(module("a", more=more), checks, own("lab/x:1", results=f"{results}/"))
    assert pipeline.snakemake(SKYPORT_REGISTRY="x.test") == steps("x", prefix="a_") | {"mine"}
    assert (pipeline.folder / folder / "receipt.json").exists()


def test_the_paths_of_a_module_that_includes_the_rules(pipeline: Pipeline) -> None:
    """Its prefix moves what it asks for, too, when it is parsed and later."""
    (pipeline.folder / "inner.smk").write_text(
        f"import skyport_wf\n\n{INCLUDE}\n"
        "rule mine:\n"
        "    input:\n"
        '        skyport_wf.receipt("lab/x:1"),\n'
        '        lambda wildcards: skyport_wf.receipt("lab/y:1"),\n'
        '    output: "own.txt"\n'
        '    shell: "cat {input} > {output}"\n'
    )
    pipeline.write_snakefile('module a:\n    snakefile: "inner.smk"\n    prefix: "img"\n\nuse rule * from a\n')
    assert pipeline.snakemake("mine") == steps("x", "y") | {"mine"}
    assert (pipeline.folder / "img/own.txt").exists()


@pytest.mark.parametrize(
    ("more", "config", "run", "written"),
    [
        (
            ["pathvars:", *(f'    {name}="out/{name}",' for name in ("results", "logs", "benchmarks"))],
            "{}",
            ".",
            ["out/results/skyport/k/receipt.json", "out/logs/skyport/k/x.log", "out/benchmarks/skyport/k/x.tsv"],
        ),
        (['prefix: "img"'], "{}", ".", ["img/results/skyport/k/receipt.json", "img/logs/skyport/k/build.log"]),
        ([], '{"lock": "lab.lock.json"}', ".", ["lab.lock.json", "results/skyport/k/receipt.json"]),
        ([], '{"images": "../images.yaml"}', "run1", ["run1/results/skyport/k/receipt.json", "run1/.snakemake/log/x"]),
    ],
)
def test_what_publishing_writes_is_no_part_of_a_context(
    pipeline: Pipeline, more: list[str], config: str, run: str, written: list[str]
) -> None:
    """Neither for the rules nor for commands, wherever it is written, with a Dockerfile beside the list."""
    pipeline.variables["SKYPORT_DATA"] = str(pipeline.folder.parent / "store")
    (pipeline.folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    pipeline.write_list("name: 'lab/x:1', dockerfile: Dockerfile", shock="url: embedded")
    pipeline.write_snakefile(module("a", config=config, more=more))
    dry = ("--dry-run", "--quiet", "--directory", run, "--", "a_publish_all")

    def digest() -> str:
        pipeline.snakemake(*dry)
        (plan,) = (pipeline.folder / run / ".snakemake/skyport").glob("*.json")
        (image,) = json.loads(plan.read_text())
        (listed,) = pipeline.do("plan")["images"]
        assert listed["digest"] == image["digest"]
        return str(image["digest"])

    (pipeline.folder / run).mkdir(exist_ok=True)
    (pipeline.folder / run / "config.yaml").write_text("{}")
    before = digest()
    for name in written:
        path = pipeline.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        empty_lock = '{"images": {}, "record": "skyport-wf lock 1"}'
        path.write_text(empty_lock if path.suffix == ".json" else "x")
    assert digest() == before
    (pipeline.folder / "new").touch()
    assert digest() != before


@pytest.fixture
def read_only(pipeline: Pipeline) -> Iterator[Path]:
    """Return a folder with an image list where nobody may write, not even root."""
    folder = pipeline.folder / "central"
    write_images(folder, "lab/x:1")
    with mounted_read_only(folder):
        yield folder


@contextmanager
def mounted_read_only(path: Path) -> Iterator[None]:
    mounts = (["mount", "--bind", path, path], ["mount", "-o", "remount,bind,ro", path])
    done = [subprocess.run(command, capture_output=True, text=True, check=False) for command in mounts]
    if any(one.returncode for one in done):
        reason = f"cannot mount {path} read-only, which takes root: {done[-1].stderr}"
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def test_a_lock_file_that_may_not_be_written_to(pipeline: Pipeline) -> None:
    """Snakemake runs nothing that would write it; with `--quiet all` it does not say so."""
    pipeline.write_snakefile(module("a"))
    pipeline.do("publish", "lab/x:1", "--lock", "images.lock.json")
    with mounted_read_only(pipeline.folder / "images.lock.json"):
        assert pipeline.refused("--quiet", "all", "--", "a_publish_all") == (
            "skyport-wf: the lock file images.lock.json cannot be written, and lacks lab/y:1. Name another one in the "
            "setting `lock`.\n"
        )
    pipeline.do("publish", "--all", "--lock", "images.lock.json")
    with mounted_read_only(pipeline.folder / "images.lock.json"):
        assert pipeline.snakemake("a_publish_all") >= {"a_lock_images"}


def test_a_list_in_a_folder_that_nobody_may_write_to(pipeline: Pipeline, read_only: Path) -> None:
    config = '{"images": "central/images.yaml"%s}'
    pipeline.write_snakefile(module("a", rules="lint", config=config % ""))
    assert pipeline.snakemake("a_lint_all") == {"a_lint_image x", "a_lint_all"}, "which has no lock file"
    pipeline.write_snakefile(module("a", config=config % ""))
    assert "central/images.lock.json cannot be written, and lacks lab/x:1. Name another one in the setting `lock`." in (
        pipeline.refused("a_publish_all")
    )
    pipeline.write_snakefile(module("a", config=config % ', "lock": "mine.json"'))
    assert pipeline.snakemake("a_publish_all") >= steps("x", prefix="a_")
    assert "lab/x:1" in (pipeline.folder / "mine.json").read_text()
    # One that has all of them already is as good as one that is written.
    subprocess.run(["mount", "-o", "remount,bind,rw", read_only], check=True)
    shutil.copy(pipeline.folder / "mine.json", read_only / "images.lock.json")
    subprocess.run(["mount", "-o", "remount,bind,ro", read_only], check=True)
    pipeline.write_snakefile(module("a", config=config % ""))
    assert pipeline.snakemake("a_publish_all") >= {"a_lock_images"}
    pipeline.write_snakefile(
        module("a", config=config % ', "lock": "mine.json"', more=["pathvars:", '    results="central"'])
    )
    assert "the folder central cannot be written to. Name another in the pathvar `results`." in pipeline.refused()


@pytest.mark.parametrize("rules", ["publish", "lint", "use"])
def test_a_working_directory_that_is_set_after_the_list_was_read(pipeline: Pipeline, rules: str) -> None:
    """Paths of the list lead nowhere then, if they are relative."""
    if rules == "use":
        pipeline.do("publish", "--all", "--lock", "images.lock.json")
    target = f"a_{rules}_all"
    pipeline.write_snakefile(module("a", rules=rules), 'workdir: "run"\n')
    for quiet in ([], ["--quiet", "all"]):
        said = pipeline.refused(*quiet, "--", target)
        assert (
            f"was read in {pipeline.folder}, and the workflow runs in {pipeline.folder}/run: put `workdir:` before"
            in said
        )
    absolute = f'{{"images": "{pipeline.folder}/images.yaml", "lock": "{pipeline.folder}/images.lock.json"}}'
    pipeline.write_snakefile(module("a", rules=rules, config=absolute), 'workdir: "run"\n')
    assert target in pipeline.snakemake(target)
    assert (pipeline.folder / "run/results/skyport/lab_x_1").is_dir()
