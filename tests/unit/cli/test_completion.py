"""The tab key, in a real bash: verbs, options, their values, and the names of images."""

import os
import subprocess
from pathlib import Path

import pytest

from skyport_wf.inspection.filtering import FILTER_KEYS
from skyport_wf.records.files import write_record
from skyport_wf.records.receipt import merge_into_lock
from tests.support.commands import COMMANDS, environment
from tests.support.lab import Lab
from tests.support.sample_records import receipt
from tests.support.timing import PATIENCE

PRESS_TAB = r"""
source <(skyport-wf completion bash)
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
read -ra COMP_WORDS <<<"$1"
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
$(complete -p skyport-wf | grep -o -- '-F [^ ]*' | cut -c4-) skyport-wf
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    lab.write_list("name: 'lab/tool:1', archive: image.tar", "name: 'lab/other:2', archive: image.tar")
    write_record(tmp_path / "images.lock.json", merge_into_lock(None, [receipt()]))
    return lab


def offered(lab: Lab, line: str) -> list[str]:
    """Return the words that bash offers behind `line`."""
    path = os.pathsep.join((str(COMMANDS), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "--norc", "-c", PRESS_TAB, "bash", line], cwd=lab.folder, env=environment(**lab.variables, PATH=path),
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("skyport-wf pu", ["publish", "pull"]),
        ("skyport-wf publish --dry", ["--dry-run"]),
        ("skyport-wf --log pull publish --sb", ["--sbom"]),
        ("skyport-wf lint --level e", ["error"]),
        ("skyport-wf publish lab/", ["lab/other:2", "lab/tool:1"]),
        ("skyport-wf publish lab/tool:1 lab/o", ["lab/other:2"]),
        # bash takes the colon for the end of a word.
        ("skyport-wf pull skyport/velvet:", ["1.2.10"]),
        ("skyport-wf show --archive ima", ["images.yaml", "images.lock.json"]),
        ("skyport-wf resolve lab/", ["lab/other:2", "lab/tool:1"]),
        ("skyport-wf diff lab/tool:1 lab/", ["lab/other:2", "lab/tool:1"]),
        ("skyport-wf diff ima", ["images.yaml", "images.lock.json"]),
        ("skyport-wf files ima", ["images.yaml", "images.lock.json"]),
        ("skyport-wf files lab/tool:1 ima", []),
        ("skyport-wf tag lab/tool:1 lab/", ["lab/other:2", "lab/tool:1"]),
        ("skyport-wf workflow publish-images", ["publish-images.awe.cwl", "publish-images.cwl"]),
        ("skyport-wf workflow tools/pu", ["tools/pull.cwl"]),
        ("skyport-wf user add lab/", []),
        ("skyport-wf run --network lab/", []),
        ("skyport-wf ls --filter ", [f"{key}=" for key in FILTER_KEYS]),
        ("skyport-wf ls --filter ol", ["older="]),
        ("skyport-wf copy lab/tool:1 --to ", ["embedded"]),
        ("skyport-wf serve --anonymous ", ["read", "write", "delete", "none"]),
        ("skyport-wf serve --anonymous read,d", ["read,delete"]),
        ("skyport-wf find --package ", []),
        ("skyport-wf lint --ignore ", []),
        ("skyport-wf serve --shock ", []),
        ("skyport-wf lint --dockerfile ima", ["images.yaml", "images.lock.json"]),
        ("skyport-wf sbom ima", ["images.yaml", "images.lock.json"]),
        ("skyport-wf plan --images ima", ["images.yaml", "images.lock.json"]),
        ("skyport-wf --log ima", ["images.yaml", "images.lock.json"]),
    ],
)
def test_words_that_the_tab_key_offers(lab: Lab, line: str, words: list[str]) -> None:
    assert sorted(offered(lab, line)) == sorted(words)


@pytest.mark.slow
def test_a_wrong_image_list_is_no_hindrance(lab: Lab) -> None:
    (lab.folder / "images.yaml").write_text("images: [")
    assert offered(lab, "skyport-wf pull sky") == ["skyport/velvet:1.2.10"]


@pytest.mark.slow
@pytest.mark.parametrize(("shell", "word"), [("zsh", "compdef"), ("fish", "complete --command skyport-wf")])
def test_other_shells(lab: Lab, shell: str, word: str) -> None:
    assert word in lab.run("completion", shell).out
