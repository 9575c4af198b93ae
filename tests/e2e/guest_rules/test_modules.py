"""Several image lists in a workflow, and the rules as modules: of other folders, of modules, in parts."""

import json
import shutil
import subprocess

import pytest

from tests.support.commands import CHECKOUT
from tests.support.pipeline import INCLUDE, LOCKED, Pipeline, module, own, steps, write_images
from tests.support.project import jobs

pytestmark = pytest.mark.slow


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
