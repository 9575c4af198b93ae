"""What each verb shows on a terminal of 80 and of 200 columns, and piped: looked at once, and kept in `shown/`.

After a change that is meant, SKYPORT_UPDATE_SHOWN=1 writes the files anew: look at the difference, then commit it.
"""

import io
import json
import os
import pty
import re
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count
from pathlib import Path
from typing import Self
from uuid import UUID

import pytest

from skyport_wf.cli.main import main
from skyport_wf.cli.verbs import VERBS
from skyport_wf.store import database, node_store, users
from tests.support.commands import CHECKOUT
from tests.support.docker_archives import Image, canonical, layer_tar

pytestmark = pytest.mark.slow
SHOWN = Path(__file__).parent / "shown"
COLOURS = {"\x1b[32m": "<green>", "\x1b[33m": "<yellow>", "\x1b[31m": "<red>", "\x1b[0m": "</>"}
STATUS = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n\n"
IMAGES = {
    "my-lab/align:2.1": {"samtools": "1.16.1-1", "libc6": "2.36-9+deb12u9"},
    "my-lab/assemble-with-a-long-name:0.7.62-r1126": {"velvet": "1.2.10+dfsg1-8", "libc6": "2.36-9+deb12u9"},
    "my-lab/gone:1": {"libc6": "2.31-13+deb11u11"},
}
LIST = """\
images:
  - {name: "my-lab/align:2.1", archive: align.tar}
  - {name: "my-lab/assemble-with-a-long-name:0.7.62-r1126", archive: assemble-with-a-long-name.tar, public: false}
  - {name: "my-lab/new:1", dockerfile: new/Dockerfile}
"""
UNREACHABLE = '  - {name: "my-lab/unreachable:1", dockerfile: "http://127.0.0.1:9/Dockerfile"}\n'
"""Of an address that refuses connections at once."""
COMMANDS = {
    "plan": ["plan"],
    "status": ["status", "--images", "more.yaml"],
    "publish-dry-run": ["publish", "--all", "--dry-run", "--images", "more.yaml"],
    "publish": ["publish", "my-lab/align:2.1", "my-lab/unreachable:1", "-k", "--images", "more.yaml"],
    "lint": ["lint"],
    "lint-fix": ["lint", "--fix", "--dry-run"],
    "verify": ["verify"],
    "resolve": ["resolve", "my-lab/align:2.1"],
    "show": ["show", "my-lab/align:2.1", "--packages"],
    "ls": ["ls"],
    "ls-long": ["ls", "--all", "--long"],
    "du": ["du"],
    "find": ["find", "--package", "libc6"],
    "diff": ["diff", "my-lab/align:2.1", "my-lab/assemble-with-a-long-name:0.7.62-r1126"],
    "files": ["files", "my-lab/align:2.1"],
    "retire-dry-run": ["retire", "my-lab/align:2.1", "--dry-run"],
    "user-ls": ["user", "ls"],
    "gc": ["gc"],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Work in a project whose images are published, with ids and times that are the same each time."""
    folder = tmp_path_factory.mktemp("shown")
    numbers = count(1)
    begin = datetime(2026, 11, 26, 20, 20, 25, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp((begin + timedelta(seconds=next(numbers))).timestamp(), tz)

    with pytest.MonkeyPatch.context() as patch:
        ids = (UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % (1 << 128), version=4) for number in count(1))
        for module in (node_store, users):
            patch.setattr(module, "uuid4", lambda: next(ids))
        patch.setattr(node_store, "datetime", Clock)
        patch.setattr(database, "datetime", Clock)
        patch.chdir(folder)
        for name in ("SHOCK_URL", "KB_AUTH_TOKEN", "NO_COLOR", "FORCE_COLOR", "SKYPORT_REGISTRY", "DOCKER_HOST"):
            patch.delenv(name, raising=False)
        for name, value in {"SKYPORT_DATA": str(folder / "store"), "LOGNAME": "anna", "TERM": "xterm"}.items():
            patch.setenv(name, value)
        for name, packages in IMAGES.items():
            status = "".join(STATUS.format(*package) for package in packages.items()).encode()
            files = {"bin/bash": b"#!" + name.encode(), "var/lib/dpkg/status": status, "opt/data": bytes(1_234_567)}
            archive = canonical(Image((layer_tar(files),)), name)
            (folder / f"{name.partition('/')[2].partition(':')[0]}.tar").write_bytes(archive)
        (folder / "new").mkdir()
        (folder / "new/Dockerfile").write_text("FROM debian:latest\nRUN apt-get update && apt-get install -y git\n")
        (folder / "images.yaml").write_text(LIST)
        (folder / "more.yaml").write_text(LIST + UNREACHABLE)
        (folder / "first.yaml").write_text(LIST + '  - {name: "my-lab/gone:1", archive: gone.tar}\n')
        assert main(["publish", *IMAGES, "--quiet", "--images", "first.yaml"]) == 0
        assert main(["retire", "my-lab/gone:1"]) == 0
        assert main(["user", "add", "anna", "--token", "a" * 32]) == 0
        yield folder


def shown_on_terminal(arguments: list[str], columns: int, patch: pytest.MonkeyPatch) -> str:
    """Run a command in this process, with a terminal of this width as its stdout; return what is written to it."""
    ours, theirs = pty.openpty()
    pieces: list[bytes] = []

    def read() -> None:
        while True:
            try:
                pieces.append(os.read(ours, 65536))
            except OSError:  # the other end is closed
                return

    reader = threading.Thread(target=read)
    reader.start()
    with patch.context() as changed, os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        changed.setattr(sys, "stdout", terminal)
        changed.setenv("COLUMNS", str(columns))
        main(arguments)
    reader.join()
    os.close(ours)
    return b"".join(pieces).decode().replace("\r\n", "\n")


def piped(arguments: list[str], patch: pytest.MonkeyPatch) -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with patch.context() as changed:
        changed.setattr(sys, "stdout", out)
        main(arguments)
    out.flush()
    return out.buffer.getvalue().decode()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_shown_as_it_was_looked_at(project: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Other tests have a store each.
    monkeypatch.setenv("SKYPORT_DATA", str(project / "store"))
    parts = []
    whole = piped(COMMANDS[name], monkeypatch)
    assert "\x1b" not in whole
    for columns in (80, 200):
        text = shown_on_terminal(COMMANDS[name], columns, monkeypatch)
        for code, colour in COLOURS.items():
            text = text.replace(code, colour)
        assert "\x1b" not in text
        plain = re.sub("<(green|yellow|red|/)>", "", text)
        # Tables fit. Sentences go on as the terminal has it, and are not cut into lines.
        table = [line for line in plain.splitlines() if "  " in line.strip() and "sha256:" not in line]
        assert max(map(len, table), default=0) <= columns or name.startswith("lint")
        # On a terminal there is nothing more, and nothing less.
        assert sorted(re.sub(r"\s", "", plain)) == sorted(re.sub(r"\s", "", whole))
        parts.append(f"--- {columns} columns\n{text}")
    shown = "".join(parts).replace(str(project), "/home/anna/my-lab")
    path = SHOWN / f"{name}.txt"
    if os.environ.get("SKYPORT_UPDATE_SHOWN"):
        path.write_text(shown)
    assert path.read_text() == shown


def test_some_of_the_images(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SKYPORT_DATA", str(project / "store"))
    for verb in ("status", "verify", "ls"):
        for word in ("my-lab/al*", "my-lab/align:2.1"):
            shown = piped([verb, word], monkeypatch)
            assert ("my-lab/align:2.1" in shown, "assemble" in shown) == (True, False)
    assert piped(["ls", "my-lab/none"], monkeypatch) == (
        "no image my-lab/none is published here; did you mean my-lab/align?\n"
    )
    capsys.readouterr()
    for words in (["verify", "my-lab/algin:2.1"], ["resolve", "my-lab/algin:2.1"], ["resolve", "my-lab/algin"]):
        assert piped(words, monkeypatch) == ""
        assert f"id you mean {words[1].replace('gi', 'ig')}?" in capsys.readouterr().err


def test_what_is_kept_is_what_is_looked_at() -> None:
    assert {path.stem for path in SHOWN.glob("*.txt")} == set(COMMANDS)


def test_the_guide_has_the_keys_of_each_json_document(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYPORT_DATA", str(project / "store"))
    guide = (CHECKOUT / "docs/guide/json-output.md").read_text()
    rows = {verb: re.findall(r"`(\w+)`", keys) for verb, keys in re.findall(r"^\| `(.+?)` \| (.*?) \|", guide, re.M)}
    documents = {
        "ls -a": ["ls", "--all"], "ls -l": ["ls", "--long"],
        "publish -n": ["publish", "--all", "-n"], "retire": COMMANDS["retire-dry-run"],
        "user ls": ["user", "ls"], "delete": ["delete", "*"], "adopt": ["adopt", "my-lab/align:2.1", "-n"],
    }  # fmt: skip
    for verb in ("plan", "status", "ls", "du", "find", "resolve", "show", "files", "diff", "lint", "verify", "gc"):
        documents[verb] = COMMANDS[verb]
    for verb, command in documents.items():
        found = json.loads(piped([*command, "--json"], monkeypatch))
        assert sorted(found) == sorted(rows[verb]), verb


@pytest.mark.parametrize("page", ["README.md", "docs/guide/commands.md", "docs/guide/json-output.md"])
def test_each_verb_is_on_the_pages_that_list_them(page: str) -> None:
    text = (CHECKOUT / page).read_text()
    assert [verb for verb in VERBS if not re.search(rf"`{verb}\b", text)] == []
