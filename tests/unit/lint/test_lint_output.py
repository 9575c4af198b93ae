"""`lint --format` and `lint --fix`, with hadolint as it is installed."""

import json
import subprocess
from pathlib import Path

import pytest

from skyport_wf.lint.report_formats import Reported, as_github, as_sarif
from tests.support.commands import COMMANDS
from tests.support.docker_archives import Image, canonical, layer_tar
from tests.support.lint_folder import LintFolder

pytestmark = pytest.mark.slow
BAD = "FROM debian:latest\nRUN apt-get update && apt-get install -y git\n"
STATUS = b"Package: git\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2.39.5-0+deb12u2\n\n"


def test_sarif_as_hadolint_itself_writes_it(folder: LintFolder) -> None:
    folder.add("a b/Dockerfile", BAD)
    done = folder.lint("--dockerfile", "a b/Dockerfile", "--format", "sarif")
    assert done.code == 3
    ours = json.loads(done.out)
    hadolint = subprocess.run(
        [COMMANDS / "hadolint", "--format", "sarif", "a b/Dockerfile"], cwd=folder.folder, capture_output=True,
        check=False,
    )  # fmt: skip
    theirs = json.loads(hadolint.stdout)
    assert (ours["version"], set(ours["runs"][0])) == (theirs["version"], {"tool", "results", "columnKind"})
    (first, *_) = (one for one in ours["runs"][0]["results"] if one["ruleId"] == "DL3015")
    (other, *_) = (one for one in theirs["runs"][0]["results"] if one["ruleId"] == "DL3015")
    assert (first["message"], first["level"]) == (other["message"], "note")
    (place,) = first["locations"]
    assert place["physicalLocation"]["region"] == {"startLine": 2}
    assert place["physicalLocation"]["artifactLocation"] == {"uri": "a%20b/Dockerfile"}
    rules = [rule["id"] for rule in ours["runs"][0]["tool"]["driver"]["rules"]]
    assert rules == sorted(set(rules))
    assert all(rules[one["ruleIndex"]] == one["ruleId"] for one in ours["runs"][0]["results"])


@pytest.mark.parametrize("arguments", [("--dockerfile", "\udcff.df"), ("--cwl", "\udcff.cwl")])
def test_names_that_are_not_utf8(folder: LintFolder, arguments: tuple[str, str]) -> None:
    folder.add(arguments[1], BAD)
    done = folder.lint(*arguments, "--format", "sarif")
    (run,) = json.loads(done.out)["runs"]
    places = [place["physicalLocation"]["artifactLocation"] for one in run["results"] for place in one["locations"]]
    assert {place["uri"] for place in places} == {"%FF" + arguments[1][1:]}
    assert "udcff" not in str([one["message"]["text"].replace("\\udcff", "") for one in run["results"]])
    assert "\\udcff." in str(folder.findings(*arguments, "--report", "report.json")[0]["file"])
    assert "\\\\udcff." in (folder.folder / "report.json").read_text()


def test_github_shows_findings_beside_their_lines(folder: LintFolder) -> None:
    folder.add("Dockerfile", BAD)
    done = folder.lint("--dockerfile", "Dockerfile", "--format", "github")
    assert done.code == 3
    lines = done.out.splitlines()
    assert lines[0].startswith("::warning file=Dockerfile,line=1,title=SKY001::`debian:latest`: each build takes ")
    assert any(line.startswith("::notice file=Dockerfile,line=2,title=DL3015::") for line in lines)
    assert all(line.startswith("::") for line in lines)


def test_signs_with_a_meaning_are_escaped() -> None:
    told = [Reported("a,b:c%.txt", 0, "X", "error", "50%\nof\rit", "more")]
    assert as_github(told) == "::error file=a%2Cb%3Ac%25.txt,line=0,title=X::50%25%0Aof%0Dit. Instead: more"
    document = as_sarif([Reported("https://example.org/a b?x=1", 0, "X", "loss", "\x1b[31m \u202e")])
    assert document.isascii() and "\x1b" not in document
    (result,) = json.loads(document)["runs"][0]["results"]
    assert result["level"] == "warning"
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("https://example.org/a%20b?x=1", 1)


def test_cwl_too(folder: LintFolder) -> None:
    folder.add("tool.cwl", "cwlVersion: v1.0\nclass: CommandLineTool\nbaseCommand: true\ninputs: []\noutputs: []\n")
    done = folder.lint("--cwl", "tool.cwl", "--format", "sarif", "--level", "note", "--packed")
    results = json.loads(done.out)["runs"][0]["results"]
    assert results and all(one["ruleId"].startswith("CWL-") for one in results)


def test_a_dry_run_shows_the_changes_and_makes_none(folder: LintFolder) -> None:
    folder.add("Dockerfile", BAD)
    done = folder.lint("--dockerfile", "Dockerfile", "--fix", "-n")
    assert done.code == 3
    assert done.out == (
        "--- Dockerfile\n+++ Dockerfile, mended\n@@ -1,2 +1,2 @@\n FROM debian:latest\n"
        "-RUN apt-get update && apt-get install -y git\n"
        "+RUN apt-get update && apt-get install --no-install-recommends -y git && rm -rf /var/lib/apt/lists/*\n"
    )
    assert (folder.folder / "Dockerfile").read_text() == BAD


def test_what_is_mended_is_told_no_more_and_keeps_its_mode(folder: LintFolder) -> None:
    folder.add("real/Dockerfile", BAD)
    (folder.folder / "real/Dockerfile").chmod(0o640)
    (folder.folder / "Dockerfile").symlink_to("real/Dockerfile")
    assert {"DL3009", "DL3015"} <= {told.split()[1] for told in folder.told()}
    done = folder.lint("--dockerfile", "Dockerfile", "--fix")
    assert (done.code, "mended Dockerfile" in done.log) == (3, True)
    assert not {"DL3009", "DL3015"} & {told.split()[1] for told in folder.told()}
    assert "SKY001" in done.out and "DL3015" not in done.out
    assert (folder.folder / "Dockerfile").is_symlink()
    assert (folder.folder / "real/Dockerfile").stat().st_mode & 0o777 == 0o640
    assert folder.lint("--dockerfile", "Dockerfile", "--fix", "-n").out == ""


def test_what_was_changed_is_in_the_json_beside_what_is_left(folder: LintFolder) -> None:
    folder.add("Dockerfile", BAD)
    would = json.loads(folder.lint("--json", "--dockerfile", "Dockerfile", "--fix", "-n").out)
    done = json.loads(folder.lint("--json", "--dockerfile", "Dockerfile", "--fix", "--report", "report.json").out)
    assert {**done, **would} == done == json.loads((folder.folder / "report.json").read_text())
    assert len(done["diffs"]) == 1
    assert "SKY001" in [finding["code"] for finding in done["findings"]]
    again = json.loads(folder.lint("--json", "--dockerfile", "Dockerfile", "--fix").out)
    assert (again["diffs"], again["findings"]) == ([], done["findings"])


def test_what_is_ignored_is_not_mended(folder: LintFolder) -> None:
    folder.add("Dockerfile", BAD.replace("RUN", "# hadolint ignore=DL3015,DL3009\nRUN"))
    assert folder.lint("--dockerfile", "Dockerfile", "--fix", "-n").out == ""


def publish(folder: LintFolder, name: str, status: bytes) -> None:
    folder.add("tool.tar", canonical(Image((layer_tar({"var/lib/dpkg/status": status, "bin/bash": b"x"}),)), name))
    folder.write_list(f"name: '{name}', archive: tool.tar")
    folder.do("publish", "--all")


def test_versions_are_those_of_the_published_image(folder: LintFolder) -> None:
    publish(folder, "lab/tool:1", STATUS)
    folder.add("Dockerfile", BAD)
    folder.write_list("name: 'lab/tool:1', dockerfile: Dockerfile")
    done = folder.lint("--fix", "-n")
    assert "install --no-install-recommends -y git=1:2.39.5-0+deb12u2 &&" in done.out, done.log
    # Of an image that is not published, nobody knows them.
    folder.write_list("name: 'lab/other:1', dockerfile: Dockerfile")
    assert "-y git &&" in folder.lint("--fix", "-n").out


INSTALL = "RUN apt-get update && apt-get install -y"


def installed(folder: LintFolder, dockerfile: str, *names: str) -> list[str]:
    """Return the last word of each installation in a Dockerfile that has been mended."""
    folder.add("Dockerfile", dockerfile)
    folder.lint("--fix", *names)
    lines = (folder.folder / "Dockerfile").read_text().splitlines()
    return [line.removesuffix(" && rm -rf /var/lib/apt/lists/*").split()[-1] for line in lines if "install" in line]


def test_versions_are_for_the_stages_that_the_image_is_made_of(folder: LintFolder) -> None:
    publish(folder, "lab/tool:1", STATUS)
    folder.write_list("name: 'lab/tool:1', dockerfile: Dockerfile")
    text = f"FROM debian:12 AS low\n{INSTALL} git\nFROM debian:11\n{INSTALL} git\nFROM low\n{INSTALL} git\n"
    assert installed(folder, text) == ["git=1:2.39.5-0+deb12u2", "git", "git=1:2.39.5-0+deb12u2"]


def test_only_versions_that_all_images_of_a_file_have_are_written(folder: LintFolder) -> None:
    zlib = b"Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.2.13\n\n"
    publish(folder, "lab/new:1", STATUS + zlib)
    publish(folder, "lab/old:1", STATUS.replace(b"2.39.5-0+deb12u2", b"2.30.2") + zlib)
    text = f"ARG V=12\nFROM debian:$V AS a\n{INSTALL} git\n{INSTALL} zlib1g\nFROM debian:12\n{INSTALL} git\n"
    old = "name: 'lab/old:1', dockerfile: Dockerfile, target: a, build_args: {V: '11'}"
    folder.write_list(old, "name: 'lab/new:1', dockerfile: Dockerfile, target: a")
    assert installed(folder, text) == ["git", "zlib1g=1:1.2.13", "git"]
    # One that was not asked for is made from the file all the same.
    assert installed(folder, text, "lab/new:1") == ["git", "zlib1g=1:1.2.13", "git"]
    folder.write_list(old, "name: 'lab/new:1', dockerfile: Dockerfile")
    assert installed(folder, text) == ["git=1:2.30.2", "zlib1g=1:1.2.13", "git=1:2.39.5-0+deb12u2"]
    # What is not known of one image may be another version.
    folder.write_list(old, "name: 'lab/unpublished:1', dockerfile: Dockerfile, target: a")
    assert installed(folder, text) == ["git", "zlib1g", "git"]


@pytest.mark.parametrize(
    "arguments", [["--fix", "--cwl", "x.cwl"], ["-n"], ["--format", "xml"]], ids=lambda arguments: arguments[0]
)
def test_options_that_do_not_fit(folder: LintFolder, arguments: list[str]) -> None:
    assert folder.lint(*arguments).code == 2


def test_the_hooks_are_commands_that_there_are(folder: LintFolder) -> None:
    import yaml

    hooks = yaml.safe_load((Path(__file__).parents[3] / ".pre-commit-hooks.yaml").read_text())
    folder.add("Dockerfile", BAD)
    folder.write_list("name: 'lab/a:1', dockerfile: Dockerfile")
    for hook in hooks:
        program, *words = hook["entry"].split()
        assert program == "skyport-wf"
        files = [] if hook.get("pass_filenames") is False else ["Dockerfile"]
        assert folder.run(*words, *files).code == (3 if files else 0), hook
