"""Lines to copy are right for the image: thin, private, with or without a registry, with names that need quotes."""

import shlex

import msgspec
import pytest
import yaml

from skyport_wf.pages.usage import usage_of
from skyport_wf.records.receipt import PullRequirement
from skyport_wf.records.source import ThinBase
from tests.support.sample_records import receipt


def pulled(pinned):
    """Return a receipt that names what pulls the image."""
    found = receipt()
    pull = {"DockerRequirement": PullRequirement(pinned)}
    return msgspec.structs.replace(found, use=msgspec.structs.replace(found.use, cwl_pull=pull, oci=pinned))


def texts(found, registry=""):
    return {snippet.key: snippet.text for snippet in usage_of(found, registry=registry)}


def test_without_a_registry_the_archive_is_loaded():
    found = texts(receipt())
    assert found["docker"] == "curl -fsS 'http://127.0.0.1:7445/node/n1?download' | docker load"
    assert "apptainer" not in found
    assert "skyport_wf.container" in found["snakemake"]


def test_with_one_it_is_pulled_by_digest_where_it_has_to_stay_the_same():
    pinned = f"shock.example:7445/skyport/velvet@sha256:{'a' * 64}"
    lines = texts(pulled(pinned), "shock.example:7445")
    assert lines["docker"] == "docker pull shock.example:7445/skyport/velvet:1.2.10"
    assert lines["apptainer"] == "apptainer pull docker://shock.example:7445/skyport/velvet:1.2.10"
    assert lines["snakemake"] == f'container:\n    "docker://{pinned}"'
    assert yaml.safe_load(lines["cwl-pull"]) == {"requirements": {"DockerRequirement": {"dockerPull": pinned}}}


def test_a_private_image_takes_a_token():
    private = msgspec.structs.replace(receipt(), readable_by="listed users")
    assert '-H "Authorization: OAuth $KB_AUTH_TOKEN"' in texts(private)["docker"]


def test_each_way_to_fetch_a_private_image_says_how_it_is_let_in():
    private = msgspec.structs.replace(pulled(f"shock.example/a/b@sha256:{'a' * 64}"), readable_by="listed users")
    notes = {snippet.key: snippet.note for snippet in usage_of(private, registry="shock.example")}
    for key in ("docker", "apptainer", "snakemake", "cwl-pull"):
        assert "docker login" in notes[key], key
    assert notes["cwl"] == (
        "It is private, and cwltool and toil send no token: pull the image into the runner's engine first."
    )
    public = {snippet.key: snippet.note for snippet in usage_of(pulled("shock.example/a/b"), registry="shock.example")}
    assert not any(public.values())


def test_nobody_is_advised_to_load_a_thin_archive():
    thin = msgspec.structs.replace(receipt(), thin_on=ThinBase("lab/base:1"))
    assert "docker" not in texts(thin)


def test_a_thin_image_takes_its_base_wherever_it_runs():
    thin = msgspec.structs.replace(receipt(), thin_on=ThinBase("lab/base:1"))
    notes = {snippet.key: snippet.note for snippet in usage_of(thin, registry="")}
    assert notes["awe"] == (
        "The archive is thin: load its base into each worker's engine first, with `skyport-wf pull lab/base:1`."
    )
    assert notes["cwl"] == "The archive is thin: pull the image into the runner's engine first."
    assert not {snippet.key: snippet.note for snippet in usage_of(receipt(), registry="")}["awe"]


@pytest.mark.parametrize(
    "name", ["lab/tool:1", "12:30", "lab/$(touch x):1", "lab/'quoted':1", "lab/# comment:1", 'lab/"x": y:1']
)
def test_what_is_copied_is_one_value_whatever_the_name(name):
    found = receipt()
    cwl = {"DockerRequirement": msgspec.structs.replace(found.use.cwl["DockerRequirement"], docker_image_id=name)}
    named = msgspec.structs.replace(found, name=name, use=msgspec.structs.replace(found.use, cwl=cwl))
    snippets = texts(named)
    assert yaml.safe_load(snippets["cwl"])["requirements"]["DockerRequirement"]["dockerImageId"] == name
    assert shlex.split(snippets["skyport"]) == ["skyport-wf", "pull", name]
