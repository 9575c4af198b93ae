"""Mistakes in a workflow and its lists: each is said in one sentence, before anything runs."""

import json
import shutil

import pytest

from tests.support.pipeline import INCLUDE, LOCKED, Pipeline, module, own, steps, write_images

pytestmark = pytest.mark.slow

LONG = f"lab/{'x' * 140}:{'1' * 128}"


def test_mistakes_are_said_before_anything_runs(pipeline: Pipeline) -> None:
    """One sentence each, with the names there are."""
    names = "lab/x:1, lab/y:1"
    cases = {
        module("a", config='{"image": "x.yaml"}'): "there is no setting `image`; did you mean `images`?",
        module("a", config='{"skyport": "x.yaml"}'): "there is 'x.yaml', and settings are expected: images, lock",
        module("a", config='{"lock": "led.json"}'): "the lock file led.json cannot be written, and lacks lab/x:1",
        module("a", config='{"lock": "-l.json"}'): "`lock` is '-l.json'. Name a file without `-`",
        module("a", config='{"images": "-a/images.yaml"}'): "`images` is '-a/images.yaml'. Name a file without `-`",
        module("a", more=["pathvars:", '    results="-d"']): "the pathvar `results` is '-d': commands take",
        module("a", more=['prefix: "-p"']): "'-p/results/skyport'. Name a `prefix`, or `replace_prefix`, without `-`",
        module("a", more=['replace_prefix: {"logs/": "-l/"}']): "'-l/skyport'. Name a `prefix`",
        module("a", more=['prefix: "{a}"']): "'{a}/results/skyport'. Name a `prefix`",
        module("a", more=['prefix: "s3://b"']): "'s3://b/results/skyport'. Name a `prefix`",
        module("a", more=["pathvars:", '    results="s3://b/x"']): "the pathvar `results` is 's3://b/x', an address.",
        module("a", more=["pathvars:", '    logs="a/" + 256 * "x"']): "Name a folder without NUL, and names of more",
        module("a", more=['prefix: "a\\0b"']): "'a\\x00b/results/skyport'. Name a `prefix`",
        module("a", config='{"lock": "s3://b/l.json"}'): "`lock` is 's3://b/l.json'. Name a file without `://`",
        module("a", config='{"images": "https://b/x"}'): "`images` is 'https://b/x'. Name a file without `://`",
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
        "skyport_wf.receipt('lab/x:1', results=config.get('out'))",
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
