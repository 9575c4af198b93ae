"""How fast a command starts is part of the interface: what is heavy is imported when it is needed, not before."""

import subprocess
import sys

import pytest

from skyport_wf.cli.verbs import VERBS
from tests.support.timing import PATIENCE

HEAVY = [
    "docker",
    "requests",
    "snakemake",
    "yaml",
    "werkzeug",
    "cheroot",
    "msgspec",
    "tenacity",
    "isal",
    "rich",
    "sqlite3",
]


def heavy_imports_of(*arguments: str) -> list[str]:
    """Return which of the heavy packages a command imports, as Python itself reports it."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "skyport_wf", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    names = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
    assert "skyport_wf.cli.main" in names
    return [name for name in HEAVY if name in names]


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["publish", "--help"], ["plan", "--help"]])
def test_nothing_heavy_is_imported_to_say_what_there_is(arguments):
    assert heavy_imports_of(*arguments) == []


@pytest.mark.slow
def test_no_verb_imports_anything_heavy_to_explain_itself():
    program = (
        "import sys, contextlib, io\n"
        "from skyport_wf.cli.main import main\n"
        "from skyport_wf.cli.verbs import VERBS\n"
        "for verb in VERBS:\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "        main([verb, '--help'])\n"
        "    assert f'usage: skyport-wf {verb}' in out.getvalue(), verb\n"
        f"    print(verb, *[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split("\n") == [*VERBS, ""]


@pytest.mark.slow
def test_a_plan_needs_no_engine_and_no_http(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM a:1\n")
    (tmp_path / "images.yaml").write_text("images: [{name: 'a/b:1', dockerfile: Dockerfile}]\n")
    found = heavy_imports_of("plan", "--images", str(tmp_path / "images.yaml"))
    assert set(found) == {"yaml", "msgspec"}


def test_requests_that_go_well_need_nothing_for_trying_again():
    found = heavy_imports_of("ls")
    assert "requests" in found
    assert "tenacity" not in found
