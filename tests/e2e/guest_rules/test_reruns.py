"""Which jobs run again after what has changed or failed, and what they take from the main process."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from skyport_wf.decoding import decode_json
from skyport_wf.digests import digest_of
from skyport_wf.records.encoding import encode_json
from skyport_wf.records.plan import PlannedImage
from skyport_wf.records.receipt import LockedImage
from tests.support.commands import CHECKOUT
from tests.support.pipeline import LOCKED, Pipeline, module, own, steps, write_images
from tests.support.project import jobs

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("modules", "ran"),
    [
        ([module("a")], {"a_lock_images", "a_publish_all"}),
        ([module("b", config='{"images": "b", "lock": "images.lock.json"}'), module("a")], {"a_lock_images"}),
    ],
)
def test_a_lock_file_that_was_reset_gets_its_images_again(
    pipeline: Pipeline, modules: list[str], ran: set[str]
) -> None:
    """By the one short job, and by no other in the run after that; also where another list owns the file."""
    write_images(pipeline.folder / "b", "lab/z:1")
    targets = [f"{text.split()[1].rstrip(':')}_publish_all" for text in modules]
    pipeline.write_snakefile(*modules)
    pipeline.snakemake(*targets)
    lock = pipeline.folder / "images.lock.json"
    whole = lock.read_bytes()
    older = json.loads(whole)
    del older["images"]["lab/y:1"]
    lock.write_text(json.dumps(older))
    assert pipeline.snakemake("--dry-run", *targets) >= ran
    for _ in range(2):
        lock.write_text(json.dumps(older))
        assert pipeline.snakemake(*targets) >= ran
        assert lock.read_bytes() == whole
    assert pipeline.snakemake(*targets) == set()


def test_a_lock_file_that_was_reset_while_receipts_are_in_a_storage(pipeline: Pipeline, tmp_path: Path) -> None:
    """No receipt is on this disk, and what the rules have written there is noted."""
    pipeline.write_snakefile(module("a"))
    storage = ("--default-storage-provider", "fs", "--default-storage-prefix", str(tmp_path / "far"))
    run = ("a_publish_all", *storage)
    pipeline.snakemake(*run)
    lock = pipeline.folder / "images.lock.json"
    whole = lock.read_bytes()
    for _ in range(2):
        lock.write_text('{"images": {}, "record": "skyport-wf lock 1"}')
        assert pipeline.snakemake(*run) == {"a_lock_images", "a_publish_all"}
        assert lock.read_bytes() == whole
    assert pipeline.snakemake(*run) == set()


def test_what_the_list_says_is_noted_after_a_run_in_which_that_failed(pipeline: Pipeline) -> None:
    """Snakemake puts back a lock file whose job failed, and forgets what it was made from."""
    pipeline.write_snakefile(module("a"))
    pipeline.snakemake("a_publish_all")
    images = pipeline.folder / "images.yaml"
    images.write_text(images.read_text().replace("lab_x_1.tar,", "lab_x_1.tar, description: said anew,"))
    failed = pipeline.run_snakemake("a_publish_all", SKYPORT_DATA="/dev/null")
    assert (failed.code, jobs(failed.out + failed.log)) == (1, {"a_lock_images"})

    assert pipeline.snakemake("a_publish_all") == {"a_lock_images", "a_publish_all"}
    assert pipeline.snakemake("a_publish_all") == set()


def test_an_analysis_runs_after_a_run_in_which_its_new_image_failed(pipeline: Pipeline) -> None:
    """If the receipt is asked for, too, as in the guide: Snakemake takes an old result for up to date otherwise."""
    asked = 'rule all:\n    default_target: True\n    input: "own.txt", skyport_wf.receipt("lab/x:1")\n'
    pipeline.write_snakefile(module("a", config='{"steps": "stream"}'), asked, own("lab/x:1"))
    write_images(pipeline.folder, "lab/x:1", fields="replace: true")
    pipeline.snakemake()
    (pipeline.folder / "lab_x_1.tar").write_bytes(b"no archive")
    assert pipeline.run_snakemake().code == 1
    write_images(pipeline.folder, "lab/x:1", fields="replace: true")

    assert pipeline.snakemake() == {"a_publish_image x", "mine", "all"}


def test_the_lock_file_says_of_the_registry_what_the_receipts_say(pipeline: Pipeline) -> None:
    """Once it is set, changed or taken out; and a lock file that says otherwise of the same node is mended."""
    pipeline.write_snakefile(module("a"))
    lock = pipeline.folder / "images.lock.json"

    def told_registry() -> str | None:
        receipt = pipeline.receipt("results/skyport/lab_x_1/receipt.json")
        told = receipt["use"].get("oci", "").partition("/")[0] or None
        assert json.loads(lock.read_bytes())["images"]["lab/x:1"].get("registry") == told
        return told

    for registry in (None, "old.example.org", "new.example.org", None):
        shock = "url: embedded" + (f", registry: {registry}" if registry else "")
        write_images(pipeline.folder, "lab/x:1", shock=shock)
        assert "a_lock_images" in pipeline.snakemake("a_publish_all")
        assert told_registry() == registry
        assert pipeline.snakemake("a_publish_all") == set()

    whole = lock.read_bytes()
    wrong = json.loads(whole)
    wrong["images"]["lab/x:1"]["registry"] = "old.example.org"
    lock.write_text(json.dumps(wrong))
    assert pipeline.snakemake("a_publish_all") == {"a_lock_images", "a_publish_all"}
    assert lock.read_bytes() == whole
    assert pipeline.snakemake("a_publish_all") == set()

    # Published anew by somebody else: the receipt here is the older one.
    wrong["images"]["lab/x:1"]["node"] = LOCKED["node"]
    lock.write_text(json.dumps(wrong))
    assert pipeline.snakemake("a_publish_all") == set()


def test_what_a_lock_file_says_besides_the_node_reruns_nothing(pipeline: Pipeline) -> None:
    """Nor does a version before, which took the digest of the whole entry."""
    pipeline.do("publish", "--all", "--lock", "images.lock.json")
    (pipeline.folder / "images.yaml").unlink()
    lock = pipeline.receipt("images.lock.json")
    pipeline.write_snakefile(module("a", rules="use"), own("lab/x:1"))

    def ran(**fields: Any) -> set[str]:
        lock["images"]["lab/x:1"] |= fields
        (pipeline.folder / "images.lock.json").write_text(json.dumps(lock))
        return pipeline.snakemake("--dry-run")

    assert pipeline.snakemake() == {"a_receive_image x", "mine"}
    assert ran(registry="images.example.org", source_digest=None) == set()
    assert ran(manifest_digest="sha256:" + "1" * 64, archive_sha256=None) == set()
    assert ran(md5="0" * 32) == {"a_receive_image x", "mine"}

    (plan,) = (pipeline.folder / ".snakemake/skyport").glob("*.json")
    entry = LockedImage(**lock["images"]["lab/x:1"])
    older = decode_json(plan.read_bytes(), list[PlannedImage])
    whole = digest_of(encode_json(entry))
    plan.write_bytes(msgspec.json.encode([msgspec.structs.replace(older[0], digest=whole), older[1]]))
    ran()
    assert decode_json(plan.read_bytes(), list[PlannedImage])[0].digest == whole
    ran(registry="new.example.org")
    assert decode_json(plan.read_bytes(), list[PlannedImage]) == older


def test_an_upgrade_of_the_rules_need_not_run_the_analysis_again(pipeline: Pipeline) -> None:
    """As the guide says: rules that call another command run again, unless Snakemake is told to touch the files."""
    shutil.copytree(CHECKOUT / "rules", pipeline.folder / "copy")
    pipeline.write_snakefile('include: "copy/publish.smk"\n', own("lab/x:1"))
    pipeline.snakemake("publish_all", "own.txt")
    rule = pipeline.folder / "copy/publish/steps.smk"
    rule.write_text(rule.read_text().replace("skyport-wf build", "skyport-wf build --no-progress"))
    assert pipeline.snakemake("--dry-run", "own.txt") == steps("x") | {"mine"}

    pipeline.snakemake("--touch", "publish_all", "own.txt")

    assert pipeline.snakemake("publish_all", "own.txt") == set()


def test_a_comment_of_the_list_that_ignores_a_finding_counts_for_lint(pipeline: Pipeline) -> None:
    (pipeline.folder / "s.sh").write_text("true\n")
    entry = "- name: lab/a:1\n  {}\n  snapshot: {{base: 'debian:12', script: s.sh}}\n"

    def write(comment: str) -> None:
        (pipeline.folder / "images.yaml").write_text(f"images:\n{entry.format(comment)}")

    pipeline.write_snakefile(module("a", rules="lint", config='{"lint_level": "info"}'))
    write("# hadolint ignore=SKY002")
    assert pipeline.snakemake("a_lint_all") == {"a_lint_image a", "a_lint_all"}
    assert pipeline.snakemake("a_lint_all") == set()
    write("# why")
    failed = pipeline.run_snakemake("a_lint_all")
    assert (failed.code, "images.yaml:4: info SKY002" in failed.out + failed.log) == (1, True)


def test_jobs_take_what_the_main_process_planned(pipeline: Pipeline) -> None:
    """On a cluster, the list is half-edited by the time that jobs start; of another list, they know its images."""
    write_images(pipeline.folder / "b", "lab/z:1")
    pipeline.write_snakefile(
        module("a", config='{"cluster": True}'),
        module("b", config='{"images": "b", "cluster": True, "steps": "stream"}'),
        own("lab/x:1", "lab/z:1"),
    )
    (pipeline.folder / "submit").write_text(
        '#!/bin/bash\necho "half-edited: [" > images.yaml\nbash "$@" >> jobs.txt 2>&1\necho 1\n'
    )
    (pipeline.folder / "submit").chmod(0o755)
    submit = ("--executor", "cluster-generic", "--cluster-generic-submit-cmd", "./submit")

    done = pipeline.run_snakemake(*submit, "--jobs", "2", "--seconds-between-status-checks", "1")

    assert done.code == 0, done.out + done.log
    assert "Error" not in done.out + done.log + (pipeline.folder / "jobs.txt").read_text()
    assert "half-edited" in (pipeline.folder / "images.yaml").read_text()
    assert pipeline.receipt("results/skyport/lab_x_1/receipt.json")["name"] == "lab/x:1"
    assert "lab/x:1" in (pipeline.folder / "images.lock.json").read_text()
    assert done.log.count("Submitted group job") == 1, "one job for all that needs no engine"
    assert {"localrule a_build_image:", "localrule a_save_image:", "rule mine:"} <= {*done.log.splitlines()}
