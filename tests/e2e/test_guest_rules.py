"""The rules in pipelines of others: they take nothing that is not theirs, and say what is wrong before it runs."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
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
from tests.support.pipeline import Pipeline, module, write_images
from tests.support.project import jobs

pytestmark = pytest.mark.slow

STEPS = ("build_image", "save_image", "upload_image", "register_image")
LONG = f"lab/{'x' * 140}:{'1' * 128}"
LOCKED = {
    "image_id": "sha256:" + "0" * 64,
    "shock": "embedded",
    "node": "05c58076-9887-4dd6-8bb1-62e695164c0d",
    "size": 1,
    "md5": "0" * 32,
    "archive_sha256": None,
    "source_digest": None,
}
INCLUDE = 'include: skyport_wf.snakefile("publish")\n'
OWN = """
rule mine:
    input:
        {inputs}
    output:
        "own.txt",
    container: None
    shell:
        "md5sum {{input}} /dev/null > {{output}}"
"""


def own(*images: str, **where: str) -> str:
    """Return the pipeline's own rule, which takes the receipts of these images."""
    results = where.get("results", "results")
    return OWN.format(inputs=", ".join(f'skyport_wf.receipt("{image}", results="{results}")' for image in images))


def steps(*images: str, prefix: str = "") -> set[str]:
    return {f"{prefix}{step} {image}" for step in STEPS for image in images}


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    made = Pipeline(tmp_path / "pipeline")
    write_images(made.folder, "lab/x:1", "lab/y:1")
    return made


@pytest.fixture
def deployment(tmp_path: Path) -> str:
    """Return a PATH with a conda and an apptainer that Snakemake finds, and that can make no environment."""
    folder = tmp_path / "bin"
    folder.mkdir()
    versions = {"conda": "conda 25.1.0", "singularity": "apptainer version 1.4.5"}
    for name, version in versions.items():
        (folder / name).write_text(
            "#!/bin/bash\ncase $1 in\n--version) echo '" + version + "' ;;\n"
            """info) echo '{"conda_prefix": "/nowhere", "platform": "linux-64"}' ;;\n"""
            """config) echo '{"get": {"channel_priority": "strict"}}' ;;\n*) exit 9 ;;\nesac\n"""
        )
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_included_rules_leave_the_pipeline_alone(pipeline: Pipeline, deployment: str) -> None:
    (pipeline.folder / "data.tsv").write_text("precious\n")
    (pipeline.folder / "samples.json").write_text("precious, too\n")
    pipeline.write_snakefile(
        'container: "docker://nowhere.example/x:1"\njson = plan = "mine"\nbefore = {*globals()}\n',
        INCLUDE,
        INCLUDE,
        'include: skyport_wf.snakefile("show")\ninclude: skyport_wf.snakefile("lint")\n',
        'assert json == plan == "mine"\n'
        'new = {name for name in globals() if not name.startswith("__")} - before - {"before"}\n'
        'assert new == {"_skyport", "_skyport_open"}, new\n',
        'rule mine:\n    output: "own.txt"\n    container: None\n    shell: "touch {output}"\n',
        config="images: data.tsv\nlock: samples.json\nlint_level: none\nconda: my.yaml\nresults: elsewhere\n",
    )
    deploy = ("--software-deployment-method", "conda", "apptainer", "--")

    assert pipeline.snakemake(*deploy, PATH=deployment) == {"mine"}
    ran = pipeline.snakemake(*deploy, "publish_all", "show_all", "lint_all", PATH=deployment)

    assert ran >= steps("x", "y") | {"show_image x", "lint_image y", "lock_images", "publish_all", "show_all"}
    assert (pipeline.folder / "data.tsv").read_text() == "precious\n"
    assert (pipeline.folder / "samples.json").read_text() == "precious, too\n"
    assert pipeline.do("verify")["images"]
    made = {path.name for path in pipeline.folder.iterdir()}
    assert made - {"Snakefile", "config.yaml", "data.tsv", "samples.json", "images.yaml", "store", ".snakemake"} == {
        *("lab_x_1.tar", "lab_y_1.tar", "own.txt", "images.lock.json", "results", "logs", "benchmarks")
    }
    assert [path.name for path in (pipeline.folder / "results").iterdir()] == ["skyport"]


@pytest.mark.parametrize(("conda", "files"), [("", ["env.yaml"]), ('"conda": "ours.yaml"', ["env.yaml", "ours.yaml"])])
def test_a_pipeline_is_put_into_a_container_and_linted_with_the_rules_in_it(
    pipeline: Pipeline, deployment: str, conda: str, files: list[str]
) -> None:
    for name in ("env.yaml", "ours.yaml"):
        (pipeline.folder / name).write_text(f"dependencies: [samtools=1.20] # {name}\n")
    mine = OWN.format(inputs="").replace("container: None", 'conda: "env.yaml"\n    log: "own.log"')
    pipeline.write_snakefile(module("a", rules="show", config=f"{{{conda}}}"), module("b", rules="lint"), mine)
    done = pipeline.run_snakemake("--containerize", PATH=deployment)
    assert done.code == 0, done.log
    assert [line.rpartition(" ")[2] for line in done.out.splitlines() if "source: " in line] == files
    linted = pipeline.run_snakemake("--lint", PATH=deployment)
    said = linted.out + linted.log
    assert "image" not in said, "no lint is about a rule of ours"
    assert ".smk" not in said, "nor about a file of ours"


def test_two_lists_as_modules_twice_each(pipeline: Pipeline) -> None:
    """Each beside the other, with `show` on top, and receipts of both as inputs."""
    write_images(pipeline.folder / "b", "lab/z:1")
    shutil.copy(pipeline.folder / "b/lab_z_1.tar", pipeline.folder)
    (pipeline.folder / "c.yaml").write_text("images: [{name: 'lab/w:1', archive: lab_z_1.tar}]\n")
    pipeline.write_snakefile(
        module("a"),
        module("b", config='{"images": "b/images.yaml"}', more=["pathvars:", '    results="out"']),
        module("c", config='{"images": "c.yaml"}'),
        module("shown", rules="show"),
        module("checked", rules="lint", config='{"images": "b/images.yaml"}'),
        own("lab/x:1", "lab/w:1"),
    )

    assert pipeline.snakemake() == steps("x", prefix="a_") | steps("w", prefix="c_") | {"mine"}
    locked = json.loads((pipeline.folder / "images.lock.json").read_text())["images"]
    assert {*locked} == {"lab/w:1", "lab/x:1"}, "the lock file is written though nobody asked for it"

    # With one failure, what is published is in the lock file.
    (pipeline.folder / "lab_y_1.tar").write_text("no archive")
    failed = pipeline.run_snakemake("--keep-going", "a_publish_all", "b_publish_all", "c_publish_all", "shown_show_all")
    assert failed.code == 1
    assert {*json.loads((pipeline.folder / "b/images.lock.json").read_text())["images"]} == {"lab/z:1"}
    assert (pipeline.folder / "out/skyport/lab_z_1/receipt.json").exists()

    write_images(pipeline.folder, "lab/x:1", "lab/y:1")
    every = ("a_publish_all", "b_publish_all", "c_publish_all", "shown_show_all", "checked_lint_all")
    assert pipeline.snakemake(*every) >= steps("y", prefix="a_") | {"shown_show_image x", "checked_lint_image z"}
    assert pipeline.snakemake(*every) == set()
    locked = json.loads((pipeline.folder / "images.lock.json").read_text())["images"]
    assert {*locked} == {"lab/w:1", "lab/x:1", "lab/y:1"}, "two lists share it"
    assert all(image["ok"] for image in pipeline.do("verify")["images"])

    # An image that left its list leaves the lock file, and those of the other list stay.
    write_images(pipeline.folder, "lab/x:1")
    assert pipeline.snakemake("a_publish_all") == {"a_lock_images", "a_publish_all"}
    assert {*json.loads((pipeline.folder / "images.lock.json").read_text())["images"]} == {"lab/w:1", "lab/x:1"}


def test_lists_say_nothing_of_images_of_another(pipeline: Pipeline) -> None:
    """Each has rules that refuse what it has not, and another may come later; also one without images."""
    write_images(pipeline.folder / "b", "lab/z:1")
    for folder, images in {"few": ["lab/v:1"], "none": []}.items():
        (pipeline.folder / folder).mkdir()
        (pipeline.folder / folder / "lock.json").write_text(
            json.dumps({"images": dict.fromkeys(images, LOCKED), "record": "skyport-wf lock 1"})
        )
    pipeline.write_snakefile(
        module("a"),
        module("b", config='{"images": "b"}'),
        *(module(name, rules="use", config=f'{{"lock": "{name}/lock.json"}}') for name in ("few", "none")),
        own("lab/x:1", "lab/z:1", "lab/v:1"),
    )
    strict = ("--strict-dag-evaluation", "functions", "cyclic-graph", "periodic-wildcards")
    done = pipeline.run_snakemake("--dry-run", *strict)
    assert done.code == 0, done.log
    assert jobs(done.out) == steps("x", prefix="a_") | steps("z", prefix="b_") | {"few_receive_image v", "mine"}
    assert "has no image" not in done.out + done.log
    files = ("results/skyport/lab_z_1/packages.cdx.json", "results/skyport/lab_v_1/image.sif")
    done = pipeline.run_snakemake("--dry-run", *strict, "--", *files)
    assert (done.code, "has no image" in done.out + done.log) == (0, False), done.log
    assert {"b_list_packages z", "few_fetch_image v", "few_sif_image v"} <= jobs(done.out)
    for file in ("receipt.json", "image.sif", "fetched.tar", "packages.cdx.json"):
        said = pipeline.refused("--quiet", "all", "--", f"results/skyport/lab_w_1/{file}")
        assert "has no image with the key lab_w_1" in said, "also with this, which hides Snakemake's own errors"


def test_names_that_make_one_file_name_in_folders_of_their_own(pipeline: Pipeline) -> None:
    """Of two lists: as each image has its files, nothing is wrong. Of the checks, the same holds for one name."""
    write_images(pipeline.folder, "lab/x:1")
    write_images(pipeline.folder / "b", "lab_x:1")
    write_images(pipeline.folder / "c", "lab/x:1")
    more = ["pathvars:", '    results="out"']
    pipeline.write_snakefile(
        module("a"),
        module("b", config='{"images": "b"}', more=more),
        module("c", rules="lint", config='{"images": "c"}', more=more),
        module("d", rules="lint"),
    )
    targets = ("a_publish_all", "b_publish_all", "c_lint_all", "d_lint_all")
    assert pipeline.snakemake(*targets) >= {"a_build_image x", "b_build_image x", "c_lint_image x", "d_lint_image x"}
    assert pipeline.receipt("results/skyport/lab_x_1/receipt.json")["name"] == "lab/x:1"
    assert pipeline.receipt("out/skyport/lab_x_1/receipt.json")["name"] == "lab_x:1"


@pytest.mark.parametrize(("suffix", "of"), [(".gz", ""), (".tar", ".tar.gz"), (".sif", ".tar")])
def test_rules_of_the_pipeline_that_convert_any_file(pipeline: Pipeline, suffix: str, of: str) -> None:
    """None makes a file of ours out of another of ours, so that Snakemake need not choose; and each works."""
    write_images(pipeline.folder, "lab/x:1")
    pipeline.write_snakefile(
        module("a"),
        f'rule convert:\n    input: "results/{{name}}{of}"\n    output: "results/{{name}}{suffix}"\n'
        '    shell: "cp {input} {output}"\n',
        f'rule mine:\n    output: "results/mine{of}"\n    shell: "touch {{output}}"\n',
    )
    own = f"results/mine{suffix}"
    for asked in (("a_publish_all", own), ("--dry-run", "a_publish_all", "results/skyport/lab_x_1/image.sif")):
        done = pipeline.run_snakemake(*asked)
        assert done.code == 0, done.out + done.log
    assert (pipeline.folder / own).exists()


@pytest.mark.parametrize(
    ("config", "more", "folder", "ran", "lock"),
    [
        ('{"lock": "other.json"}', (), "results", {"b_lock_images", "b_publish_all"}, "other.json"),
        (
            "{}",
            ('prefix: "sub"',),
            "sub/results",
            steps("x", prefix="b_") | {"b_lock_images", "b_publish_all"},
            "images.lock.json",
        ),
        (
            "{}",
            ("pathvars:", '    results="out"'),
            "out",
            steps("x", prefix="b_") | {"b_lock_images", "b_publish_all"},
            "images.lock.json",
        ),
        ('{"images": ".", "lock": "./images.lock.json"}', (), "results", set(), "images.lock.json"),
    ],
)
def test_one_list_in_two_modules(
    pipeline: Pipeline, config: str, more: tuple[str, ...], folder: str, ran: set[str], lock: str
) -> None:
    write_images(pipeline.folder, "lab/x:1")
    pipeline.write_snakefile(module("a"), module("b", config=config, more=more))
    assert pipeline.snakemake("a_publish_all") >= steps("x", prefix="a_") | {"a_lock_images"}
    assert {job for job in pipeline.snakemake("b_publish_all") if "list_packages" not in job} == ran
    assert (pipeline.folder / folder / "skyport/lab_x_1/receipt.json").exists()
    assert {*json.loads((pipeline.folder / lock).read_text())["images"]} == {"lab/x:1"}
    assert pipeline.snakemake("a_publish_all", "b_publish_all") == set()


ALL = "use rule * from a as a_*"
CHANGED = "use rule {0} from a as a_{0} with:\n    priority: 7"
REST = "use rule * from a exclude {0} as a_*"


@pytest.mark.parametrize(
    ("rules", "target", "statements", "changed"),
    [
        ("publish", "publish_all", [ALL, CHANGED.format("build_image")], {"build_image x", "build_image y"}),
        (
            "publish",
            "publish_all",
            [CHANGED.format("upload_image"), REST.format("upload_image")],
            {"upload_image x", "upload_image y"},
        ),
        ("publish", "publish_all", [REST.format("lock_images"), CHANGED.format("lock_images")], {"lock_images"}),
        (
            "publish",
            "publish_all",
            [
                "use rule build_image, save_image, upload_image, register_image from a as a_*",
                "use rule lock_images, list_packages, publish_all from a as a_*",
            ],
            set(),
        ),
        ("publish", "publish_all", [ALL, ALL.replace("a_*", "b_*")], set()),
        ("show", "show_all", [ALL, CHANGED.format("list_images")], {"list_images"}),
        ("lint", "lint_all", [ALL, CHANGED.format("lint_image")], {"lint_image x", "lint_image y"}),
        ("use", "use_all", [ALL, CHANGED.format("receive_image")], {"receive_image x"}),
    ],
)
def test_a_module_in_several_statements(
    pipeline: Pipeline, rules: str, target: str, statements: list[str], changed: set[str]
) -> None:
    """Each takes the rules that it names, and its changes count; the same rules twice, under two names, make no two."""
    if rules == "use":
        (pipeline.folder / "images.yaml").unlink()
        (pipeline.folder / "images.lock.json").write_text(
            json.dumps({"images": {"lab/x:1": LOCKED}, "record": "skyport-wf lock 1"})
        )
    declared = module("a", rules=rules).partition(f"{ALL}\n")[0]
    pipeline.write_snakefile(declared, *(f"{statement}\n" for statement in statements))
    done = pipeline.run_snakemake("--dry-run", f"a_{target}")
    assert done.code == 0, done.out + done.log
    with_priority = {job for part in done.out.split("\n[") if "priority: 7" in part for job in jobs(part)}
    assert with_priority == {f"a_{job}" for job in changed}


@pytest.mark.parametrize("inner", [INCLUDE, module("skyport")])
def test_a_pipeline_with_our_rules_that_is_a_module_in_several_statements(pipeline: Pipeline, inner: str) -> None:
    (pipeline.folder / "inner.smk").write_text(
        f"import skyport_wf\n\n{inner}{own('lab/x:1')}\n"
        'rule next:\n    input: "own.txt"\n    output: "next.txt"\n    shell: "cp {input} {output}"\n'
    )
    pipeline.write_snakefile(
        'module a:\n    snakefile: "inner.smk"\n',
        "use rule mine from a as changed with:\n    threads: 2\n",
        "use rule * from a exclude mine as a_*\n",
    )
    prefix = "a_" if inner == INCLUDE else "a_skyport_"
    assert pipeline.snakemake("--dry-run", "next.txt") == steps("x", prefix=prefix) | {"changed", "a_next"}


def test_one_name_for_two_modules(pipeline: Pipeline) -> None:
    """One after the other: each has its own list."""
    write_images(pipeline.folder / "b", "lab/z:1")
    again = module("a", config='{"images": "b"}').replace("as a_*", "as b_*")
    pipeline.write_snakefile(module("a"), again, own("lab/x:1", "lab/z:1"))
    assert pipeline.snakemake("--dry-run") == steps("x", prefix="a_") | steps("z", prefix="b_") | {"mine"}


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


@pytest.mark.parametrize("where", ['"copy/rules/publish.smk"', '"copy/workflows/Snakefile"', "gitfile"])
def test_rules_from_elsewhere_take_the_config_of_their_module(pipeline: Pipeline, where: str) -> None:
    """As those of a submodule, or of a catalogue of workflows, are not beside the package."""
    copy = pipeline.folder / "copy"
    for folder in ("rules", "workflows"):
        shutil.copytree(CHECKOUT / folder, copy / folder)
    if where == "gitfile":
        git = ("git", "-C", str(copy), "-c", "user.name=a", "-c", "user.email=a@b.c")
        for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=all"], ["tag", "v1"]):
            subprocess.run([*git, *command], check=True)
        where = f'gitfile("{copy}", path="rules/publish.smk", tag="v1")'
    write_images(pipeline.folder / "tools", "lab/t:1")

    def write(config: str) -> None:
        text = module("a", config=config).replace('skyport_wf.snakefile("publish")', where)
        pipeline.write_snakefile(text, own("lab/t:1"))

    write('{"images": "tools"}')
    assert pipeline.snakemake("--dry-run") == steps("t", prefix="a_") | {"mine"}
    write('{"imags": "tools"}')
    assert "there is no setting `imags`; did you mean `images`?" in pipeline.refused("--dry-run")


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


@pytest.fixture
def read_only(pipeline: Pipeline) -> Iterator[Path]:
    """Return a folder with an image list where nobody may write, not even root."""
    folder = pipeline.folder / "central"
    write_images(folder, "lab/x:1")
    mounts = (["mount", "--bind", folder, folder], ["mount", "-o", "remount,bind,ro", folder])
    done = [subprocess.run(command, capture_output=True, text=True, check=False) for command in mounts]
    if any(one.returncode for one in done):
        reason = f"cannot mount a folder read-only, which takes root: {done[-1].stderr}"
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


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
    pipeline.write_snakefile(
        module("a", config=config % ', "lock": "mine.json"', more=["pathvars:", '    results="central"'])
    )
    assert "the folder central cannot be written to. Name another in the pathvar `results`." in pipeline.refused()


def test_mistakes_are_said_before_anything_runs(pipeline: Pipeline) -> None:
    """One sentence each, with the names there are."""
    names = "lab/x:1, lab/y:1"
    cases = {
        module("a", config='{"image": "x.yaml"}'): "there is no setting `image`; did you mean `images`?",
        module("a", config='{"skyport": "x.yaml"}'): "there is 'x.yaml', and settings are expected: images, lock",
        module("a", config='{"lock": "led.json"}'): "the lock file led.json cannot be written, and lacks lab/x:1",
        module("a", config='{"lock": "{a}.json"}'): "`lock` is '{a}.json'. Name a file without braces",
        module("a", config='{"lock": "<logs>/x.json"}'): "`lock` is '<logs>/x.json'. Name a file without `<name>`",
        module("a", config='{"images": "none.yaml"}'): "there is no none.yaml. `skyport-wf init` writes one",
        module("a", config='{"conda": "none.yml"}'): "none.yml, of the setting `conda`. Name the environment's file",
        module("a", config='{"images": "wrong.yaml"}'): "wrong.yaml, line 1, field dockerfil: unknown",
        module("a") + own(""): "image name '': the tag is missing",
        module("a", config='{"lint_level": "fatal"}'): "there is no 'fatal'; it takes error, warning",
        module("a") + own("lab/xx:1"): f"image lab/xx:1 is in no image list that this workflow has read by here. "
        f"Did you mean lab/x:1? images.yaml has {names}.",
        own("lab/xx:1") + module("a"): f"images.yaml has no image with the key lab_xx_1, it has {names}",
        module("a") + module("b", config='{"images": "./copy.yaml"}'): "lab/x:1, lab/y:1 is in two image lists of this "
        "workflow, images.yaml and copy.yaml.",
        module("a") + module("b", config='{"images": "alike"}'): "lab/x:1 of images.yaml and lab_x:1 of "
        "alike/images.yaml make the same file name 'lab_x_1'. Give one of them another name.",
        module("a", rules="lint") + module("b", rules="lint", config='{"images": "copy.yaml"}'): "lab/x:1, lab/y:1 is "
        "in two image lists of this workflow",
        module("a", rules="lint") + module("b", rules="lint", config='{"images": "alike"}'): "lab/x:1 of images.yaml "
        "and lab_x:1 of alike/images.yaml make the same file name",
        module("a", rules="use", config='{"lock": "alike.json"}'): "the lock file alike.json has lab/x:1 and lab_x:1, "
        "which make the same file name 'lab_x_1'. Publish one of them under another name.",
        module("a", more=["pathvars:", '    results="{a}"']): "the pathvar `results` is '{a}'",
        module("a", more=["pathvars:", '    results=""']): "the pathvar `results` is empty. Write `.` for the working",
        module("a", rules="lint", more=["pathvars:", '    logs=""']): "the pathvar `logs` is empty.",
        'pathvars:\n    benchmarks="",\n' + module("a", rules="use"): "the pathvar `benchmarks` is empty.",
        module("a", more=["pathvars:", '    logs="images.yaml"']): "the folder images.yaml cannot be written to. Name "
        "another in the pathvar `logs`.",
        module("a", more=['prefix: "alike"']): "alike/results/skyport/lab_x_1 is where the rules write other "
        "files. Move it away, or name another folder in the pathvar `results`.",
        module("a", config='{"images": "long.yaml"}'): f"{LONG}: its name makes the name of a folder, which has at "
        "most 255 bytes. Give it a shorter one.",
        module("a", config='{"lock": "conflict.json"}'): "conflict.json is not a `skyport-wf lock 1` record: it has "
        "the marks of a merge that has conflicts. Take it anew",
        module("a", config='{"lock": "."}'): "the lock file . is a folder. Name a file in the setting `lock`.",
        module("a", config='{"lock": "./images.yaml"}'): "the lock file images.yaml is an image list.",
        module("a", config='{"lock": "./results"}'): "the lock file results is where the rules write other files.",
        module("a", config='{"lock": "results/skyport/lab_x_1"}'): "results/skyport/lab_x_1 is where the rules write",
        module("a", config='{"lock": "sub/results/skyport/lab_y_1/receipt.json"}', more=['prefix: "sub"']): "the lock "
        "file sub/results/skyport/lab_y_1/receipt.json is where the rules write other files. Name another",
        module("a", config='{"lock": "b/images.yaml"}') + module("b", config='{"images": "b"}'): "b/images.yaml is not "
        "a `skyport-wf lock 1` record",
        module("b", config='{"images": "b"}') + module("a", config='{"lock": "b/images.yaml"}'): "the lock file "
        "b/images.yaml is an image list.",
    }  # fmt: skip
    shutil.copy(pipeline.folder / "images.yaml", pipeline.folder / "copy.yaml")
    write_images(pipeline.folder / "b", "lab/z:1")
    write_images(pipeline.folder / "alike", "lab_x:1")
    (pipeline.folder / "alike/results/skyport").mkdir(parents=True)
    (pipeline.folder / "alike/results/skyport/lab_x_1").touch()
    (pipeline.folder / "long.yaml").write_text(f"images: [{{name: '{LONG}', archive: lab_x_1.tar}}]\n")
    images = '"lab/x:1": {entry}, "lab_x:1": {entry}'.replace("{entry}", json.dumps(LOCKED))
    (pipeline.folder / "alike.json").write_text(f'{{"images": {{{images}}}, "record": "skyport-wf lock 1"}}')
    (pipeline.folder / "wrong.yaml").write_text("images: [{name: 'lab/w:1', dockerfil: x}]\n")
    (pipeline.folder / "led.json").symlink_to(pipeline.folder / "images.yaml/x.json")
    (pipeline.folder / "conflict.json").write_text("<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> theirs\n")
    for snakefile, message in cases.items():
        pipeline.write_snakefile(snakefile)
        assert pipeline.refused().count(message) == 1
    # Nothing is a setting, too; and an image that is asked for before its list comes is found.
    pipeline.write_snakefile(own("lab/x:1"), INCLUDE, config="skyport:\n")
    assert pipeline.snakemake() == steps("x") | {"mine"}


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


def test_mistakes_in_a_lock_file_name_the_file(pipeline: Pipeline) -> None:
    pipeline.do("publish", "--all", "--lock", "images.lock.json")
    (pipeline.folder / "images.yaml").unlink()
    lock = pipeline.receipt("images.lock.json")
    entry = lock["images"]["lab/x:1"]
    cases = {
        "the lock file images.lock.json, the shock of lab/x:1: not the URL": {"lab/x:1": {**entry, "shock": "ftp://x"}},
        "the lock file images.lock.json: image name 'lab/A': the tag is missing": {"lab/x:1": entry, "lab/A": entry},
        "images.lock.json has no images.": {},
    }
    pipeline.write_snakefile(module("a", rules="use"), own("lab/x:1"))
    for message, images in cases.items():
        (pipeline.folder / "images.lock.json").write_text(json.dumps({**lock, "images": images}))
        said = pipeline.refused("--quiet", "all")
        assert said.startswith("skyport-wf: ")
        assert message in said


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


@pytest.mark.parametrize(
    "snakefile",
    [
        module("a", config='{"image": "x.yaml"}'),
        module("a") + own("lab/xx:1"),
        own("lab/xx:1", "lab/yy:1") + module("a"),
        own(""),
        module("a") + module("b", config='{"images": "copy.yaml"}'),
        module("a", rules="lint") + module("b", rules="lint", config='{"images": "copy.yaml"}'),
        module("a", rules="publsh"),
        "skyport_wf.container('lab/x:1', registry=True)",
    ],
)
def test_mistakes_are_said_however_quiet_snakemake_is(pipeline: Pipeline, snakefile: str) -> None:
    """The sentence that it says itself otherwise, and nothing else."""
    shutil.copy(pipeline.folder / "images.yaml", pipeline.folder / "copy.yaml")
    pipeline.write_snakefile(snakefile)
    loud, quiet = pipeline.refused(), pipeline.refused("--quiet", "all")
    assert quiet.startswith("skyport-wf: ")
    assert quiet.count("\n") == 1
    assert loud.count(quiet.removeprefix("skyport-wf: ").rstrip()) == 1
    assert "skyport-wf: " not in pipeline.refused("--quiet", "all", "--dry-run"), "which shows errors all the same"


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


SHELLS = ["", 'shell.prefix("export LAB_TMP=/tmp; ")\n', 'shell.executable("/bin/sh")\n']


@pytest.mark.parametrize("shell", SHELLS)
def test_a_killed_step_says_so_however_quiet_snakemake_is(pipeline: Pipeline, tmp_path: Path, shell: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/skyport-wf").write_text("#!/bin/bash\nkill -9 $$\n")
    (tmp_path / "bin/skyport-wf").chmod(0o755)
    pipeline.write_snakefile(shell, module("a"))
    failed = pipeline.run_snakemake(
        "--quiet", "all", "--", "a_publish_all", PATH=f"{tmp_path}/bin:{os.environ['PATH']}"
    )
    assert failed.code == 1
    assert "skyport-wf: killed by signal 9: skyport-wf build lab/x:1 " in failed.log


def test_a_killed_apptainer_says_so_however_quiet_snakemake_is(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/apptainer").write_text("#!/bin/bash\necho building\nkill -9 $$\n")
    (tmp_path / "bin/apptainer").chmod(0o755)
    pipeline.write_snakefile(module("a"))
    sif = "results/skyport/lab_x_1/image.sif"
    arguments, path = ("--quiet", "all", "--", sif), f"{tmp_path}/bin:{os.environ['PATH']}"
    failed = pipeline.run_snakemake(*arguments, PATH=path)
    assert failed.code == 1
    assert "building\n" in failed.log
    assert f"skyport-wf: killed by signal 9: {tmp_path}/bin/apptainer build --force {sif} " in failed.log

    # So apptainer ends by itself when it fails.
    (tmp_path / "bin/apptainer").write_text("#!/bin/bash\necho 'FATAL: no space left' >&2\nexit 255\n")
    failed = pipeline.run_snakemake(*arguments, PATH=path)
    assert failed.code == 1
    assert "FATAL: no space left\n" in failed.log
    assert "killed by signal" not in failed.log


@pytest.mark.parametrize("shell", SHELLS)
def test_findings_fail_in_the_shell_of_the_pipeline(pipeline: Pipeline, shell: str) -> None:
    """With another shell than bash, or a prefix, Snakemake leaves its options out."""
    (pipeline.folder / "tool").mkdir()
    dockerfile = pipeline.folder / "tool/Dockerfile"
    dockerfile.write_text("FROM debian:12\nRUN git clone https://x.test/a\n")
    pipeline.write_list("name: 'lab/x:1', dockerfile: tool/Dockerfile", shock="url: embedded")
    pipeline.write_snakefile(shell, module("a", rules="lint"))
    failed = pipeline.run_snakemake("a_lint_all")
    assert failed.code == 1
    finding = "tool/Dockerfile:2: warning SKY021:"
    assert finding in failed.out + failed.log
    assert finding in (pipeline.folder / "logs/skyport/lab_x_1/lint.log").read_text()
    assert "bad trap" not in failed.log
    pipeline.write_snakefile(shell, module("a", rules="lint", config='{"lint_level": "none"}'))
    passed = pipeline.run_snakemake("a_lint_all")
    assert (passed.code, finding in passed.out + passed.log) == (0, True)


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


@pytest.mark.parametrize("shell", SHELLS[1:])
def test_images_are_published_in_the_shell_of_the_pipeline(pipeline: Pipeline, shell: str) -> None:
    pipeline.write_snakefile(shell, module("a", rules="show"))
    assert pipeline.snakemake("a_show_all") >= steps("x", "y", prefix="a_") | {"a_show_image x", "a_list_images"}
