"""Rules that run in published images: by apptainer, on nodes without an engine, and with what others published."""

import json
import os
import shutil
from pathlib import Path

import pytest

from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.publication.connection import open_shock
from tests.support.apptainer import path_with_apptainer
from tests.support.engine import docker, write_image_context
from tests.support.pipeline import Pipeline, module, write_images

pytestmark = pytest.mark.slow

ANALYSIS = """
rule shell_rule:
    input:
        sif=skyport_wf.sif("{image}"),
    output:
        "shell.txt",
    container:
        skyport_wf.container("{image}")
    shell:
        "cat /data/deep/file > {{output}}; ls /bin/busybox >> {{output}}"


rule script_rule:
    input:
        sif=skyport_wf.sif("{image}"),
        text="shell.txt",
    output:
        "script.txt",
    container:
        skyport_wf.container("{image}")
    script:
        "script.sh"
"""


@pytest.fixture
def apptainer(tmp_path: Path) -> str:
    return path_with_apptainer(tmp_path / "bin")


def test_rules_run_in_the_published_image_by_snakemakes_own_apptainer(
    tmp_path: Path, namespace: str, apptainer: str
) -> None:
    """Published with an engine, used without one; a new image reruns what uses it, and nothing else."""
    pipeline = Pipeline(tmp_path / "pipeline")
    image = f"{namespace}/tool:1.0"
    write_image_context(pipeline.folder / "tool", data="in the image")
    pipeline.write_list(f"name: '{image}', dockerfile: tool/Dockerfile, replace: true", shock="url: embedded")
    (pipeline.folder / "script.sh").write_text(
        'sed s/^/script:/ "${snakemake_input[text]}" >"${snakemake_output[0]}"\n'
    )
    other = 'rule other:\n    output: "other.txt"\n    shell: "touch {output}"\n'
    pipeline.write_snakefile(module("a", config='{"steps": "stream"}'), ANALYSIS.format(image=image), other)
    targets = ("--software-deployment-method", "apptainer", "--", "script_rule", "other")
    pipeline.snakemake("a_publish_all")
    engineless = {"DOCKER_HOST": "unix:///nonexistent/docker.sock", "PATH": apptainer, "HOME": str(tmp_path)}

    ran = pipeline.snakemake(*targets, **engineless)

    assert ran == {"a_fetch_image tool", "a_sif_image tool", "shell_rule", "script_rule", "other"}
    assert (pipeline.folder / "script.txt").read_text() == "script:in the image/bin/busybox\n"
    assert pipeline.snakemake(*targets, **engineless) == set()
    assert not [*pipeline.folder.rglob("fetched.tar")], "the archive is not kept"

    (pipeline.folder / "tool/data/deep/file").write_text("edited")
    pipeline.snakemake("a_publish_all")
    assert pipeline.snakemake(*targets, **engineless) == ran - {"other"}
    assert (pipeline.folder / "script.txt").read_text() == "script:edited/bin/busybox\n"


USE = """
rule mine:
    input:
        receipt=skyport_wf.receipt("lab/x:1"),
        archive="results/skyport/lab_y_1/fetched.tar",
    output:
        "own.txt",
    shell:
        "tar --list --file {input.archive} > {output}"
"""


@pytest.fixture
def consumer(tmp_path: Path) -> Pipeline:
    """Return a pipeline that has the lock file of images that somebody else has published."""
    publisher = Pipeline(tmp_path / "publisher", SKYPORT_DATA=str(tmp_path / "store"))
    write_images(publisher.folder, "lab/x:1", "lab/y:1")
    publisher.do("publish", "--all")
    made = Pipeline(tmp_path / "consumer", SKYPORT_DATA=str(tmp_path / "store"))
    shutil.copy(publisher.folder / "images.lock.json", made.folder)
    made.write_snakefile(module("shared", rules="use"), USE)
    return made


def test_a_pipeline_uses_what_others_have_published(consumer: Pipeline) -> None:
    lock = (consumer.folder / "images.lock.json").read_bytes()
    nodes = consumer.do("ls")
    offline = {"DOCKER_HOST": "unix:///nonexistent/docker.sock", "SHOCK_URL": ""}

    assert consumer.snakemake("--dry-run", **offline) >= {"shared_receive_image x", "mine"}
    assert consumer.snakemake(**offline) == {
        "shared_receive_image x", "shared_receive_image y", "shared_fetch_image y", "mine",
    }  # fmt: skip

    assert "manifest.json" in (consumer.folder / "own.txt").read_text()
    assert consumer.snakemake(**offline) == set()
    assert consumer.do("ls") == nodes
    assert (consumer.folder / "images.lock.json").read_bytes() == lock
    # What is built on a receipt is the same whether one has published the image or found it.
    receipt = consumer.folder / "results/skyport/lab_x_1/receipt.json"
    published = consumer.folder.parent / "publisher/receipt.json"
    consumer.do("publish", "lab/x:1", "--images", "../publisher/images.yaml", "--record", str(published))
    assert published.read_bytes() == receipt.read_bytes()


CONTAINERS = """
with open("told", "w") as file:
    for wanted in (None, True, False):
        print(skyport_wf.container("lab/x:1", registry=wanted), file=file)
"""


def test_a_container_of_a_registry_and_who_gets_it(consumer: Pipeline) -> None:
    """Who uses a committed lock file, gets the address; who publishes, only when asking for it."""
    locked = json.loads((consumer.folder / "images.lock.json").read_text())["images"]["lab/x:1"]
    address, file = f"docker://r.org/lab/x@{locked['manifest_digest']}", "results/skyport/lab_x_1/image.sif"
    publisher = Pipeline(consumer.folder.parent / "publisher", SKYPORT_DATA=consumer.variables["SKYPORT_DATA"])
    for pipeline, rules, first in ((consumer, "use", address), (publisher, "publish", file)):
        pipeline.write_snakefile(module("a", rules=rules), CONTAINERS)
        pipeline.snakemake("--dry-run", "--quiet", "all", SKYPORT_REGISTRY="r.org")
        assert (pipeline.folder / "told").read_text().split() == [first, address, file]
    assert "images.lock.json names no registry that has lab/x:1." in consumer.refused("--dry-run")


def test_a_lock_file_that_is_not_right_is_said(consumer: Pipeline) -> None:
    lock = consumer.folder / "images.lock.json"
    good = lock.read_text()
    lock.unlink()
    assert "there is no lock file images.lock.json. It comes with the images" in consumer.refused()
    lock.write_text(good[:100])
    assert "Take it anew from version control, or from whoever publishes the images." in consumer.refused()
    lock.write_text(good)
    where = "http://shock.example.org"
    assert f"images.lock.json is about embedded, and the variable SHOCK_URL says {where}." in (
        consumer.refused(SHOCK_URL=where)
    )
    (consumer.folder / "images.yaml").write_text(
        "images: [{name: 'lab/new:1', archive: x}, {name: 'lab/x:1', archive: x}]"
    )
    assert "the lock file images.lock.json lacks lab/new:1, which images.yaml has." in consumer.refused()
    (consumer.folder / "images.yaml").unlink()
    consumer.write_snakefile(module("shared", rules="use"), USE.replace("lab/x:1", "lab/z:1"))
    assert "images.lock.json has lab/x:1, lab/y:1." in consumer.refused()

    # What only Shock can tell fails the job.
    consumer.write_snakefile(module("shared", rules="use"), USE)
    edited = json.loads(good)
    edited["images"]["lab/x:1"]["md5"] = edited["images"]["lab/y:1"]["md5"]
    lock.write_text(json.dumps(edited))
    failed = consumer.run_snakemake()
    assert failed.code == 1
    assert "lab/x:1 is not the image of images.lock.json: the MD5 is " in failed.log
    lock.write_text(good)
    consumer.do("retire", "lab/x:1")
    failed = consumer.run_snakemake()
    assert failed.code == 1
    assert "lab/x:1" in failed.log
    assert not (consumer.folder / "results/skyport/lab_x_1/receipt.json").exists()


def test_a_lock_file_of_others_beside_images_of_ones_own(consumer: Pipeline) -> None:
    """What others have published is on their Shock, whatever list is here."""
    theirs = consumer.folder / "shared/images.lock.json"
    theirs.parent.mkdir()
    (consumer.folder / "images.lock.json").rename(theirs)
    write_images(consumer.folder, "lab/new:1", shock="url: http://127.0.0.1:1")
    config = '{"lock": "shared/images.lock.json"}'
    consumer.write_snakefile(module("shared", rules="use", config=config), USE)
    alone = consumer.snakemake()
    assert {"shared_receive_image x", "shared_fetch_image y", "mine"} <= alone
    shutil.rmtree(consumer.folder / "results")
    (consumer.folder / "own.txt").unlink()
    (consumer.folder / "images.yaml").write_text("- {file: a.tif, stain: DAPI}\n")
    assert consumer.snakemake() == alone, "which is no image list at all"
    write_images(consumer.folder, "lab/new:1")
    consumer.write_snakefile(module("a"), module("shared", rules="use", config=config), USE)
    assert "a_register_image new" in consumer.snakemake("a_publish_all", "mine")
    assert {*json.loads((consumer.folder / "images.lock.json").read_text())["images"]} == {"lab/new:1"}
    write_images(theirs.parent, "lab/z:1")
    assert "the lock file shared/images.lock.json lacks lab/z:1, which shared/images.yaml has." in consumer.refused()


def test_an_image_that_vanished_after_its_receipt_was_written(
    consumer: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer.snakemake("shared_use_all")
    monkeypatch.setenv("SKYPORT_DATA", consumer.variables["SKYPORT_DATA"])
    with open_shock(ShockSettings()) as shock:
        shock.user.delete(consumer.receipt("results/skyport/lab_y_1/receipt.json")["node"])
    failed = consumer.run_snakemake()
    assert failed.code == 1
    assert "lab/y:1: the embedded Shock does not have the node " in failed.log
    assert not (consumer.folder / "own.txt").exists()


def test_a_command_runs_in_the_published_image(tmp_path: Path, namespace: str) -> None:
    pipeline = Pipeline(tmp_path / "project")
    image = f"{namespace}/tool:1.0"
    write_image_context(pipeline.folder / "tool", data="in the image")
    pipeline.write_list(f"name: '{image}', dockerfile: tool/Dockerfile", shock="url: embedded")
    pipeline.do("publish", "--all")
    docker("image", "rm", "--force", image)

    done = pipeline.run(
        "run", image, "--", "bash", "-c", "cat /data/deep/file; ls /sys/class/net; echo x >made; exit 7"
    )
    assert (done.code, done.out) == (7, "in the imagelo\n")
    assert (pipeline.folder / "made").read_text() == "x\n", "the working directory is there"
    assert (pipeline.folder / "made").stat().st_uid == os.getuid()
    assert pipeline.run("run", "--mount", "nothing", image, "--", "true").code == 2
    assert pipeline.run("run", image, "--network", "host").code == 2
    assert pipeline.run("run", "--env", "A=b c", image, "--", "bash", "-c", 'echo "$A$HOME"').out == "b c/tmp\n"
    (pipeline.folder / "at 12:30").mkdir()
    (pipeline.folder / "at 12:30/file").write_text("there\n")
    mounted = ["--mount", "at 12:30", "--mount", "tool/../at 12:30"]
    assert pipeline.run("run", *mounted, image, "--", "cat", "at 12:30/file").out == "there\n"
    assert pipeline.run("run", f"{namespace}/other:1", "--", "true").code == 1
    names = docker("ps", "--all", "--format", "{{.Names}}").split()
    assert not [name for name in names if name.startswith("skyport-wf-run-")]


def test_several_that_want_one_file_download_it_once(consumer: Pipeline) -> None:
    started = [consumer.start("pull", "lab/x:1", "--output", "x.tar.gz", "--json") for _ in range(4)]
    done = [json.loads(command.communicate()[0]) for command in started]
    assert sorted(bool(one["downloaded"]) for one in done) == [False, False, False, True]
    assert [path.name for path in consumer.folder.glob("*.tar.gz*")] == ["x.tar.gz"]
    assert consumer.do("pull", "lab/y:1", "--output", "x.tar.gz")["downloaded"], "it was another image"
    (consumer.folder / "mine.gz").write_text("not to be lost")
    assert "it stays as it is" in consumer.run("pull", "lab/x:1", "--output", "mine.gz").log
    for wrong in ((), ("lab/x:1", "--receipt", "r.json"), ("--receipt", "r.json")):
        assert consumer.run("pull", *wrong).code == 2
    (consumer.folder / "folder").mkdir()
    assert "is a folder" in consumer.run("pull", "lab/x:1", "--output", "folder").log
