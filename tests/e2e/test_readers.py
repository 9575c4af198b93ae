"""One lab publishes; colleagues with other tokens, and readers with none, run the same pipeline from a fresh clone."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.shock.client import ShockClient
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from tests.support.engine import own_namespace, write_image_context
from tests.support.lab import Lab, ServedShock
from tests.support.project import jobs

SNAKEFILE = """
import skyport_wf

include: skyport_wf.snakefile("publish")

rule analyse:
    input:
        receipt=skyport_wf.receipt("{name}"),
    output:
        "analysis.txt",
    shell:
        "skyport-wf verify && grep -o '\\"node\\": .*' {{input.receipt}} > {{output}}"
"""
RUN = ("--cores", "2", "--nocolor", "publish_all", "analyse")


class Site:
    """A Shock over HTTP, and what one of its users published there by Snakemake."""

    def __init__(self, folder: Path, url: str, admin: str, name: str) -> None:
        self.folder, self.url, self.name = folder, url, name
        self._admin = ShockClient(url, token=admin)
        self.receipt = b""

    def nodes(self) -> list[dict[str, Any]]:
        """Return all that the Shock has, as documents, and who may do what with each."""
        found = self._admin._ask("GET", "/node", params={"limit": "1000"})
        return [node | {"acl": self._admin._ask("GET", f"/node/{node['id']}/acl/")} for node in found]

    def clone(self, name: str, token: str) -> Lab:
        """Return a fresh clone of the project, and who works there; nothing that the tools made is in it."""
        lab = Lab(self.folder / name, token, SHOCK_URL=self.url)
        for file in ("images.yaml", "Snakefile", "images.lock.json"):
            shutil.copy(self.folder / "project" / file, lab.folder)
        shutil.copytree(self.folder / "project/image", lab.folder / "image")
        return lab


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Iterator[tuple[Site, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("site")
    with open_store(folder / "store") as store:
        tokens = {name: add_user(store.database, name) for name in ("anna", "ben")}
        admin = add_user(store.database, "root", admin=True)
    with own_namespace() as namespace, ServedShock(folder / "store") as server:
        name = f"{namespace}/tool:1.0"
        author = Lab(folder / "project", tokens["anna"], SHOCK_URL=server.url)
        write_image_context(folder / "project/image")
        author.write_list(f"name: '{name}', dockerfile: image/Dockerfile", shock=f"url: '{server.url}'")
        (folder / "project/Snakefile").write_text(SNAKEFILE.format(name=name))
        done = author.run_program("snakemake", *RUN)
        assert done.code == 0, done.log
        made = Site(folder, server.url, admin, name)
        made.receipt = receipt_of(author).read_bytes()
        yield made, {"colleague": tokens["ben"], "reader": ""}


def receipt_of(lab: Lab) -> Path:
    (found,) = (lab.folder / "results/skyport").glob("*/receipt.json")
    return found


@pytest.mark.parametrize("who", ["colleague", "reader"])
def test_a_fresh_clone_runs_and_writes_nothing_to_shock(site: tuple[Site, dict[str, str]], who: str) -> None:
    published, tokens = site
    lab = published.clone(who, tokens[who])
    before = published.nodes()
    assert len(before) == 1
    lock = (lab.folder / "images.lock.json").read_bytes()
    # Nobody but the author has an engine.
    no_engine = {"DOCKER_HOST": f"unix://{lab.folder}/none.sock"}
    for command in (["status"], ["publish", "--all", "--dry-run"]):
        assert lab.run(*command, **no_engine).code == 0
    done = lab.run_program("snakemake", *RUN, **no_engine)
    assert done.code == 0, done.log
    assert "analyse" in jobs(done.out + done.log)
    assert published.nodes() == before
    assert receipt_of(lab).read_bytes() == published.receipt
    assert (lab.folder / "images.lock.json").read_bytes() == lock
    assert json.loads(published.receipt)["node"] in (lab.folder / "analysis.txt").read_text()
    # publish, too, does nothing and says so.
    assert lab.run("publish", "--all", **no_engine).code == 0
    assert published.nodes() == before
