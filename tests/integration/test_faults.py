"""Publishing through a network that fails: connections are dropped, reset, cut, slowed, and answered with errors."""

import random
import re
from pathlib import Path

import pytest

from skyport_wf.publication.attributes import CLAIM_TYPE, UPLOAD_TYPE
from skyport_wf.publication.connection import open_shock
from skyport_wf.records.files import read_record
from skyport_wf.records.records import SaveRecord
from skyport_wf.shock.client import ShockClient
from skyport_wf.steps.register import register
from skyport_wf.steps.upload import upload
from tests.support.fault_proxy import Fault, FaultProxy, Kind
from tests.support.lab import MIB, Lab, big_layer, incompressible_layer, served, the_published_node

KINDS: tuple[Kind, ...] = ("drop", "reset", "truncate", "lose answer", "cut answer", "delay", "throttle", "error")
HARMLESS = {"delay", "throttle"}


def test_a_large_image_survives_twenty_faults(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab):
        image = lab.write(incompressible_layer(190 * MIB), big_layer(20 * MIB))
        digests = lab.save(server.url)
        assert digests["size"] > 200_000_000
        chance = random.Random(7)
        faults = [
            Fault(KINDS[number % len(KINDS)], (number * digests["size"] + chance.randrange(digests["size"])) // 20)
            for number in range(20)
        ]
        with FaultProxy(server.url, faults) as proxy:
            sent, registered = lab.upload(proxy.url, "--verbose"), lab.register(proxy.url)
        assert (sent.code, registered.code) == (0, 0), sent.log + registered.log
        assert len(proxy.struck) == 20
        assert proxy.sent <= 1.3 * digests["size"], f"{proxy.sent / digests['size']:.2f} times the bytes"
        assert 2 <= proxy.most_connections <= 5
        breaking = sum(fault.kind not in HARMLESS for fault in faults)
        assert len(re.findall(r"Trying again in \d+\.\d s \(attempt \d+\)", sent.log)) >= breaking
        the_published_node(server.url, image, digests)
        assert left_over(server.url, lab) == []


def left_over(url: str, lab: Lab) -> list[str]:
    """Return the hidden nodes that are still there."""
    client = ShockClient(url, token=lab.variables["KB_AUTH_TOKEN"])
    return [node.id for kind in (UPLOAD_TYPE, CLAIM_TYPE) for node in client.query({"type": kind})]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("lose answer", "parts_above: 0, part_size: 1"),
        ("reset", "parts_above: 0, part_size: 1"),
        ("lose answer", "parts_above: 64"),
    ],
    ids=["lost answers to parts", "resets of parts", "lost answers to one piece"],
)
def test_every_single_request_may_fail_once(
    tmp_path: Path, settings: str, kind: Kind, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path) as (server, lab):
        image = lab.write(incompressible_layer(2 * MIB), settings=settings)
        digests = lab.save(server.url)
        save = read_record(lab.folder / "save.json", SaveRecord)
        monkeypatch.setenv("KB_AUTH_TOKEN", lab.variables["KB_AUTH_TOKEN"])
        for number in range(1, 100):
            caplog.clear()
            with FaultProxy(server.url, request_fault=(number, kind)) as proxy:
                monkeypatch.setenv("SHOCK_URL", proxy.url)
                with open_shock(save.build.shock) as shock:
                    record = upload(save, lab.folder / "image.tar.gz", shock, progress_file=tmp_path / "progress")
                    receipt = register(record, shock)
            assert ("Trying again" in caplog.text) == bool(proxy.struck)
            assert the_published_node(server.url, image, digests).id == receipt.node
            assert left_over(server.url, lab) == []
            ShockClient(server.url, token=lab.variables["KB_AUTH_TOKEN"]).delete(receipt.node)
            if not proxy.struck:
                break
        assert number > 15


def test_a_stream_that_breaks_starts_again_from_its_source(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab):
        image = lab.write(incompressible_layer(20 * MIB))
        faults = [Fault("reset", 8 * MIB), Fault("truncate", 18 * MIB), Fault("error", 30 * MIB)]
        with FaultProxy(server.url, faults) as proxy:
            done = lab.run("publish", "--all", SHOCK_URL=proxy.url)
        assert done.code == 0, done.log
        assert len(proxy.struck) == 3
        assert proxy.sent > 45 * MIB
        (node,) = ShockClient(server.url).query({"type": "dockerimage"})
        assert (node.attributes or {})["id"] == image.image_id
        assert (node.attributes or {})["skyport_wf"]["archive"]["md5"] == node.file.checksum.md5
        assert left_over(server.url, lab) == []


def test_a_stream_whose_answer_is_lost_is_not_sent_again(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab):
        lab.write(incompressible_layer(20 * MIB))
        with FaultProxy(server.url, [Fault("lose answer", 10 * MIB)]) as proxy:
            done = lab.run("publish", "--all", SHOCK_URL=proxy.url)
        assert done.code == 0, done.log
        assert proxy.struck
        assert proxy.sent < 21 * MIB
        assert len(ShockClient(server.url).query({"type": "dockerimage"})) == 1
        assert left_over(server.url, lab) == []


def test_a_network_that_never_works_is_given_up(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab):
        lab.write(incompressible_layer(2 * MIB), settings="parts_above: 0, part_size: 1")
        lab.save(server.url)
        with FaultProxy(server.url, [Fault("reset", MIB + number) for number in range(1000)]) as proxy:
            done = lab.run(
                "upload", "save.json", "--record", "upload.json", SHOCK_URL=proxy.url, SKYPORT_RETRY_SECONDS="1"
            )
        assert done.code == 75, done.log
        assert "cannot be reached" in done.log
        assert not (lab.folder / "upload.json").exists()
        assert lab.upload(server.url).code == 0


def test_a_refusal_is_not_repeated(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab), FaultProxy(server.url) as proxy:
        lab.write(incompressible_layer(2 * MIB), settings="parts_above: 0")
        lab.save(server.url)
        done = lab.run(
            "upload", "save.json", "--record", "upload.json", SHOCK_URL=proxy.url, KB_AUTH_TOKEN="someone-elses"
        )
        assert done.code == 1
        assert "Trying again" not in done.log
        assert proxy.sent < 2000


def test_a_server_that_restarts_meanwhile(tmp_path: Path) -> None:
    with served(tmp_path) as (server, lab):
        image = lab.write(incompressible_layer(60 * MIB), settings="parts_above: 10")
        digests = lab.save(server.url)

        def restart() -> None:
            server.kill()
            server.start()

        with FaultProxy(server.url, [Fault("call", at * MIB, restart) for at in (15, 40)]) as proxy:
            done = lab.upload(proxy.url)
            assert done.code == 0, done.log
            assert len(proxy.struck) == 2
            # Both times the four parts under way are lost, and with them what the client sent to nobody.
            assert proxy.sent < digests["size"] + 2 * 5 * 4 * MIB
            assert lab.register(proxy.url).code == 0
        the_published_node(server.url, image, digests)
