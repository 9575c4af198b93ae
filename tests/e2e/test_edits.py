"""What an edit of the image list makes run: each field in turn, as the table of the guide has it."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from skyport_wf.image_list.spec import ImageSpec, ShockSettings
from skyport_wf.publication.connection import open_shock
from tests.support.commands import CHECKOUT
from tests.support.engine import docker, write_image_context
from tests.support.pipeline import Pipeline, module, write_images

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("Snakemake")]

NOTHING, NODE, STEPS, ANEW = "nothing", "the node says so", "the steps run, the receipt stays", "it is published anew"
USE = """
rule use:
    input:
        lambda wildcards: skyport_wf.receipt(f"{namespace}/{{wildcards.image}}:1.0"),
    output:
        "out/{{image}}.txt",
    shell:
        "cp {{input}} {{output}}"
"""
BUILT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # Before, and after.
    "dockerfile": ({}, {"dockerfile": "images/built/Dockerfile.copy"}),
    "context": ({}, {"context": "images/other"}),
    "build_args": ({}, {"build_args": {"SAYS": "it"}}),
    "target": ({}, {"target": "first"}),
    "platform": ({}, {"platform": "linux/amd64"}),
    "network": ({}, {"network": "none"}),
    "builder": ({}, {"builder": "classic"}),
    "secrets": ({}, {"secrets": {"key": {"env": "HOME"}}}),
    "ssh": ({}, {"ssh": ["default"]}),
    "pull": ({}, {"pull": True}),
    "no_cache": ({}, {"no_cache": True}),
    "labels": ({}, {"labels": {"lab": "new"}}),
    "flatten": ({}, {"flatten": True}),
    "base": ({}, {"base": "{namespace}/description:1.0"}),
    "public": ({}, {"public": False}),
    "replace": ({"replace": False}, {}),
    "description": ({}, {"description": "said anew"}),
}
OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "image": ({"image": "{namespace}/had:1"}, {"image": "{namespace}/had:2"}),
    "archive": ({"archive": "one.tar"}, {"archive": "two.tar"}),
    "snapshot": (
        {"snapshot": {"base": "{namespace}/had:1", "script": "one.sh"}},
        {"snapshot": {"base": "{namespace}/had:1", "script": "two.sh"}},
    ),
    "commit": (
        {"snapshot": {"base": "{namespace}/had:1", "script": "one.sh"}},
        {"snapshot": {"base": "{namespace}/had:1", "script": "one.sh"}, "commit": {"author": "me"}},
    ),
}
SHOCK = {
    "token_env": "OTHER_TOKEN", "auth": "Bearer", "ca_bundle": "/etc/ssl/certs/ca-certificates.crt",
    "parts_above": 1, "part_size": 2, "connections": 1,
}  # fmt: skip
FIELDS = (*BUILT, *OTHERS)


def table() -> dict[str, str]:
    """Return what the guide says happens after an edit of each field."""
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|$", (CHECKOUT / "docs/guide/snakemake.md").read_text(), re.MULTILINE)
    outcomes = (NOTHING, NODE, STEPS, ANEW)
    return {
        field: then
        for fields, told in rows
        for then in outcomes
        if told.startswith(then)
        for field in re.findall(r"`(.*?)`", fields)
    }


def test_the_guide_has_every_field() -> None:
    fields = {*ImageSpec.__struct_fields__, *(f"shock.{field}" for field in ShockSettings.__struct_fields__)}
    assert {*table()} == fields


class Edited(Pipeline):
    """A pipeline with an image for each field."""

    def __init__(self, folder: Path, namespace: str) -> None:
        super().__init__(folder)
        self.namespace = namespace
        for name in ("built", "other", "had"):
            # One edit is `no_cache`: layers of that build, which go with it, must be none that others build on.
            write_image_context(folder / "images" / name, data=f"{namespace} {name}", own_layers=True)
        dockerfile = folder / "images/built/Dockerfile"
        text = dockerfile.read_text().replace("FROM scratch", "FROM scratch AS first", 1)
        dockerfile.write_text(f"{text}FROM first\nARG SAYS=nothing\nLABEL says=$SAYS\n")
        (folder / "images/built/Dockerfile.copy").write_text(dockerfile.read_text())
        for number in (1, 2):
            docker("build", "--network", "host", "--tag", f"{namespace}/had:{number}", str(folder / "images/had"))
        for script in ("one", "two"):
            (folder / f"{script}.sh").write_text(f"echo {script} >/{script}\n")
            docker("save", "--output", str(folder / f"{script}.tar"), f"{namespace}/had:1")
        config = '{"steps": "stream"}'
        self.write_snakefile(module("a", config=config), USE.format(namespace=namespace))
        self.outputs = [f"out/{field}.txt" for field in FIELDS]

    def list_images(self, *, after: bool, **shock: Any) -> None:
        """Write the list as it is before all edits, or after them."""
        dockerfile = {"dockerfile": "images/built/Dockerfile"}
        entries = [
            {"name": f"{{namespace}}/{field}:1.0", "replace": True, **given, **(edits[1] if after else edits[0])}
            for given, fields in ((dockerfile, BUILT), ({}, OTHERS))
            for field, edits in fields.items()
        ]
        text = json.dumps({"shock": {"url": "embedded", **shock}, "images": entries})
        (self.folder / "images.yaml").write_text(text.replace("{namespace}", self.namespace))

    def ran(self, *targets: str) -> dict[str, set[str]]:
        """Run `snakemake`; return which rules ran, and for the images of which fields."""
        done = self.run_snakemake(*targets)
        assert done.code == 0, done.out + done.log
        ran: dict[str, set[str]] = {}
        for rule, told in re.findall(r"^(?:local)?rule (\w+):\n((?: .*\n)+)", done.log, re.MULTILINE):
            images = re.findall(r"wildcards: (?:skyport_key|image)=(\S+)", told)
            fields = {image.removeprefix(f"{self.namespace}_").removesuffix("_1.0") for image in images}
            ran[rule] = ran.get(rule, set()) | fields
        return ran

    def file(self, field: str) -> Path:
        return self.folder / "results/skyport" / f"{self.namespace}_{field}_1.0/receipt.json"

    def states(self) -> dict[str, tuple[bytes, int]]:
        return {field: (self.file(field).read_bytes(), self.file(field).stat().st_mtime_ns) for field in FIELDS}


def test_each_field_in_turn(tmp_path: Path, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Edited(tmp_path, namespace)
    pipeline.list_images(after=False)
    targets = ("a_publish_all", *pipeline.outputs)
    pipeline.ran(*targets)
    before = pipeline.states()

    # How Shock is asked, and how images are sent there, is nobody's business but Shock's.
    pipeline.list_images(after=False, **SHOCK)
    assert pipeline.ran(*targets) == {}

    pipeline.list_images(after=True, public_url="https://shock.example.org", registry="images.example.org")
    ran = pipeline.ran(*targets)

    assert {*ran} == {"a_publish_image", "a_lock_images", "a_publish_all", "use"}
    now, told = pipeline.states(), table()
    for field in FIELDS:
        runs = told[field] in (STEPS, ANEW)
        assert (field in ran["a_publish_image"], field in ran["use"]) == (runs, runs), field
        assert (before[field][1] == now[field][1]) == (not runs), f"{field}: the time of the receipt"
        old, new = (msgspec.json.decode(state[field][0]) for state in (before, now))
        assert new["download_url"].startswith("https://shock.example.org/"), "links are brought up to date"
        assert new["use"]["oci"].startswith("images.example.org/")
        links = {"download_url": "", "use": ""}
        assert ({**old, **links} == {**new, **links}) == (told[field] != ANEW), field
    monkeypatch.setenv("SKYPORT_DATA", pipeline.variables["SKYPORT_DATA"])
    with open_shock(ShockSettings()) as shock:
        node = shock.user.find(json.loads(now["description"][0])["node"])
        assert node and (node.attributes or {})["skyport_wf"]["description"] == "said anew"
    assert pipeline.ran(*targets) == {}


@pytest.mark.parametrize("steps", ["each", "stream"])
def test_paths_in_the_settings_say_nothing_of_the_images(tmp_path: Path, steps: str) -> None:
    pipeline = Pipeline(tmp_path / "pipeline")
    write_images(pipeline.folder, "lab/x:1")
    rule = (
        'rule use:\n    input: skyport_wf.receipt("lab/x:1")\n    output: "x.txt"\n    shell: "cp {input} {output}"\n'
    )
    pipeline.write_snakefile('include: skyport_wf.snakefile("show")\n', rule)
    targets = ("x.txt", "publish_all", "show_all")

    def ran(**settings: str) -> set[str]:
        (pipeline.folder / "config.yaml").write_text(json.dumps({"skyport": {"steps": steps, **settings}}))
        return pipeline.snakemake(*targets)

    assert ran() >= {"use", "lock_images", "show_image x"}
    assert ran(images="./images.yaml", lock="./images.lock.json") == set()
    assert ran(images=str(pipeline.folder / "images.yaml")) == set()
    assert ran(images="../pipeline") == set()
    assert ran(lock="my.lock.json") == {"lock_images", "publish_all"}
    assert pipeline.receipt("my.lock.json") == pipeline.receipt("images.lock.json")
    (pipeline.folder / "images.yaml").rename(pipeline.folder / "list.yaml")
    assert ran(images="list.yaml", lock="my.lock.json") == set()


def test_a_folder_that_is_moved_has_the_same_images(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path / "pipeline")
    before, after = pipeline.folder / "before", pipeline.folder / "after"
    before.mkdir()
    (before / "Dockerfile").write_text("FROM debian:12.5\n")
    (before / "images.yaml").write_text("images: [{name: 'lab/x:1', dockerfile: Dockerfile}]\n")
    rules = module("a", rules="lint", config='{"images": config["images"], "lint_level": "none"}')
    pipeline.write_snakefile(rules, config="images: before")
    assert pipeline.snakemake("a_lint_all") == {"a_lint_image x", "a_lint_all"}
    before.rename(after)
    pipeline.write_snakefile(rules, config="images: after")
    assert pipeline.snakemake("a_lint_all") == set()
