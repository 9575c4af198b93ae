from pathlib import Path

import pytest

from skyport_wf.cli.main import main
from skyport_wf.cli.publish_queue import Ended, PublishQueue, failed, publish_in_turn, summarise
from skyport_wf.errors import SkyportError, TemporaryError
from skyport_wf.image_list.images_yaml import read_image_list
from skyport_wf.sources.resolution import ResolvedImage, resolve_images
from tests.support.docker_archives import Image, canonical, layer_tar
from tests.support.sample_records import receipt

BUILT_ON = {"a": "debian", "b": "lab/a:1", "c": "lab/b:1", "x": "debian", "y": "lab/x:1"}


@pytest.fixture
def images(tmp_path: Path) -> list[ResolvedImage]:
    lines = ["images:"]
    for name, base in BUILT_ON.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(f"FROM {base}\n")
        lines.append(f"- {{name: 'lab/{name}:1', dockerfile: {name}/Dockerfile}}")
    (tmp_path / "images.yaml").write_text("\n".join(lines))
    return list(resolve_images(read_image_list(tmp_path / "images.yaml"), tmp_path).values())


def published(image: ResolvedImage) -> Ended:
    return Ended(image.spec.name, "published", receipt())


def take_all(queue: PublishQueue) -> list[ResolvedImage]:
    return list(iter(queue.take, None))


def short(images: list[ResolvedImage]) -> str:
    return "".join(sorted(image.spec.name[4] for image in images))


def test_what_a_later_build_lacks_is_said_before_anything_is_published(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine")
    (tmp_path / "a.tar").write_bytes(canonical(Image((layer_tar({"a": b"content"}),)), "lab/a:1"))
    (tmp_path / "Dockerfile").write_text("FROM debian\n")
    (tmp_path / "images.yaml").write_text(
        "images:\n- {name: 'lab/a:1', archive: a.tar}\n"
        "- {name: 'lab/b:1', dockerfile: Dockerfile, secrets: {key: {file: nosuch}}}\n"
    )
    publish = ["publish", "--all", "--images", str(tmp_path / "images.yaml")]
    for more in ([], ["--jobs", "2"]):
        assert main([*publish, *more]) == 2
        told = capsys.readouterr()
        assert f"image lab/b:1: there is no file {tmp_path}/nosuch for the build secret 'key'" in told.err
        assert "published" not in told.out
    main([*publish, "--keep-going"])
    assert "lab/a:1  published" in capsys.readouterr().out


def test_an_image_waits_for_the_one_that_it_is_built_on(images):
    queue = PublishQueue(images, keep_going=False)
    a, x = sorted(take_all(queue), key=lambda image: image.spec.name)
    assert short([a, x]) == "ax"
    queue.put(published(x))
    (y,) = take_all(queue)
    assert short([y]) == "y"
    queue.put(published(a))
    (b,) = take_all(queue)
    queue.put(published(b))
    assert short(take_all(queue)) == "c"
    assert (queue.taken, queue.total) == (5, 5)


@pytest.mark.parametrize(("keep_going", "tried"), [(False, "a"), (True, "axy")])
def test_what_is_built_on_an_image_that_failed_is_not_tried(images, keep_going, tried):
    queue = PublishQueue(images, keep_going=keep_going)
    seen = []

    def publish(image: ResolvedImage, number: int) -> Ended:
        seen.append(image)
        assert number == len(seen)
        if image.spec.name == "lab/a:1":
            raise TemporaryError("no answer")
        return published(image)

    images.sort(key=lambda image: image.spec.name)
    publish_in_turn(queue, publish)
    assert short(seen) == tried
    assert queue.ended["lab/a:1"] == Ended("lab/a:1", "failed", None, "no answer", 75)
    if keep_going:
        assert queue.ended["lab/b:1"].why == "it is built on lab/a:1, which is not published"
        assert queue.ended["lab/c:1"].why == "it is built on lab/b:1, which is not published"
        assert queue.ended["lab/y:1"].state == "published"
    else:
        assert {ended.state for name, ended in queue.ended.items() if name != "lab/a:1"} == {"not tried"}


def test_the_summary_has_everything_and_the_worst_exit_code():
    all_ended = [
        Ended("lab/a:1", "published", receipt()),
        Ended("lab/b:1", "there already", receipt()),
        Ended("lab/o:1", "opened", receipt()),
        failed("lab/c:1", SkyportError("it is broken")),
        failed("lab/d:1", TemporaryError("no answer")),
        Ended("lab/e:1", "not tried", why="it is built on lab/d:1, which is not published"),
    ]
    outcome = summarise(all_ended)
    assert outcome.exit_code == 75
    assert outcome.value == {
        "published": [receipt(), receipt(), receipt()],
        "there_already": ["lab/b:1", "lab/o:1"],
        "opened": ["lab/o:1"],
        "closed": [],
        "failed": {"lab/c:1": "it is broken", "lab/d:1": "no answer"},
        "not_tried": {"lab/e:1": "it is built on lab/d:1, which is not published"},
        "error": "3 images of 6 not published",
        "exit_code": 75,
    }
    told, sentence = outcome.text
    assert sentence == "3 images of 6 not published"
    assert [" ".join(line.split()[:3]) for line in str(told).splitlines()[1:]][3:] == [
        "lab/c:1 failed -", "lab/d:1 failed -", "lab/e:1 not tried",
    ]  # fmt: skip


def test_all_published_is_no_failure():
    outcome = summarise([Ended("lab/a:1", "published", receipt())])
    assert (outcome.exit_code, outcome.value) == (
        0,
        {"published": [receipt()], "there_already": [], "opened": [], "closed": []},
    )
