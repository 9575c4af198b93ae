"""Pragmas, options and settings that ignore findings, or change their level."""

import pytest

from tests.support.dockerfile_lint import DIGEST
from tests.support.lint_folder import BAD, LintFolder

PRAGMAS = [
    ("# hadolint ignore=SKY011\nRUN apt-get install -y -q a\n", []),
    ("# hadolint ignore=DL3008\nRUN apt-get install -y -q a\n", []),
    ("# hadolint ignore=SKY011,DL3059 # why\nRUN apt-get install -y -q a\n", []),
    ("#hadolint  ignore = DL3059 , SKY011\nRUN apt-get install -y -q a\n", []),
    ("  # hadolint ignore=SKY011\n\n# more\nRUN apt-get install -y -q a\n", []),
    ("# hadolint ignore=SKY011\n# hadolint ignore=DL3003\nRUN cd /x && \\\n apt-get install -y -q a || exit\n", []),
    ("# hadolint ignore=SKY011\nRUN <<EOF\ntrue\napt-get install -y -q a\nEOF\n", []),
    ("RUN apt-get install -y -q a\n# hadolint global ignore=SKY011\n", []),
    ("# hadolint global ignore=DL3008\nENV A=b\nRUN apt-get install -y -q a\n", []),
    ("# hadolint ignore=SKY012\nRUN apt-get install -y -q a\n", ["SKY011"]),
    ("# hadolint ignore=SKY011 because\nRUN apt-get install -y -q a\n", ["SKY011"]),
    ("# hadolint ignore=SKY011\nENV A=b\nRUN apt-get install -y -q a\n", ["SKY011"]),
    ("RUN true && \\\n# hadolint ignore=SKY011\n apt-get install -y -q a\n", ["SKY011"]),
    ("RUN <<EOF\n# hadolint ignore=SKY011\napt-get install -y -q a\nEOF\n", ["SKY011"]),
]


@pytest.mark.parametrize(("text", "expected"), PRAGMAS)
def test_pragmas(folder: LintFolder, text: str, expected: list[str]) -> None:
    folder.add("Dockerfile", f"FROM debian@{DIGEST}\n{text}")
    told = [
        found["code"]
        for found in folder.findings("--ignore", "DL3015", "--ignore", "DL3059", "--dockerfile", "Dockerfile")
    ]
    assert told == expected


def test_pragmas_for_hadolints_own_rules(folder: LintFolder) -> None:
    folder.add(
        "Dockerfile",
        f"FROM debian@{DIGEST}\nRUN cd /a || exit\n# hadolint ignore=DL3003,DL3059,SKY001\nRUN cd /b || exit\n",
    )
    assert folder.told() == ["2 DL3003"]


def test_ignore_takes_our_codes_and_hadolints(folder: LintFolder) -> None:
    folder.add("Dockerfile", BAD)
    ignored = ["--ignore", "SKY002", "--ignore", "DL3008", "--ignore", "DL3003", "--ignore", "SC2164"]
    assert folder.told(*ignored, "--dockerfile", "Dockerfile") == ["2 DL3009", "2 DL3015"]


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("SKY999", "Each finding is shown with its code."),
        ("sky002", "Did you mean SKY002?"),
        ("dl3008", "Did you mean DL3008?"),
        ("DL9999", "Each finding"),
        ("DL300", "Each finding"),
        ("SC12345", "Each finding"),
        ("apt", "Each finding"),
        ("", "Each finding"),
    ],
)
def test_ignore_refuses_a_code_that_there_is_not(folder: LintFolder, code: str, advice: str) -> None:
    folder.add("Dockerfile", BAD)
    done = folder.lint("--ignore", "SKY002", "--ignore", code, "--dockerfile", "Dockerfile")
    assert (done.code, done.out) == (2, "")
    assert f"--ignore: there is no rule {code!r}. {advice}" in done.log


def test_other_places_that_ignore_a_code_that_there_is_not(folder: LintFolder) -> None:
    folder.add("Dockerfile", f"# hadolint ignore=SKY998,SKY011\n{BAD}")
    folder.add(".hadolint.yaml", "ignored: [SKY997, DL3009]\noverride: {info: [SKY996]}\n")
    done = folder.lint("--dockerfile", "Dockerfile")
    assert "Dockerfile: a comment ignores rules that there are not: SKY998\n" in done.log
    assert ".hadolint.yaml names rules that there are not: 'SKY997', 'SKY996'\n" in done.log


@pytest.mark.parametrize("name", [".hadolint.yaml", ".hadolint.yml", "config/hadolint.yaml", "home/.hadolint.yaml"])
def test_hadolints_settings_count_for_our_rules_too(folder: LintFolder, name: str) -> None:
    folder.add("Dockerfile", BAD)
    settings = "ignored: [DL3008, SC2164, SKY002]\noverride:\n  error: [DL3009]\n  style: [DL3003]\n"
    folder.add(name, settings)
    assert folder.told() == ["2 DL3009", "2 DL3015", "3 DL3003"]
    assert {found["code"]: found["level"] for found in folder.findings()} == {
        "DL3009": "error", "DL3015": "info", "DL3003": "style",
    }  # fmt: skip


def test_settings_can_raise_and_lower_our_rules(folder: LintFolder) -> None:
    folder.add("Dockerfile", "FROM debian:12\nRUN apt-get install -y samtools\n")
    folder.add(".hadolint.yaml", "override:\n  error: [SKY002]\n  info: [DL3008]\n")
    assert {found["code"]: found["level"] for found in folder.findings()} == {
        "SKY002": "error", "SKY011": "info", "DL3015": "info",
    }  # fmt: skip


@pytest.mark.parametrize(("threshold", "code"), [("error", 0), ("warning", 3), ("none", 0), ("ignore", 0)])
def test_the_threshold_of_the_settings_is_the_default_level(folder: LintFolder, threshold: str, code: int) -> None:
    folder.add("Dockerfile", "FROM debian\n")
    folder.add(".hadolint.yaml", f"failure-threshold: {threshold}\n")
    assert folder.lint("--dockerfile", "Dockerfile").code == code
    assert folder.lint("--dockerfile", "Dockerfile", "--level", "warning").code == 3


def test_settings_that_switch_pragmas_off(folder: LintFolder) -> None:
    folder.add("Dockerfile", "# hadolint ignore=SKY001\nFROM debian\n")
    assert folder.told() == []
    folder.add(".hadolint.yaml", "disable-ignore-pragma: true\n")
    assert folder.told() == ["2 SKY001"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("ignored: [\n", ".hadolint.yaml, line 2: not valid YAML"),
        ("ignored: DL3008\n", ".hadolint.yaml, line 1: expected a list, got text"),
        ("a: 1\nfailure-threshold: bad\n", ".hadolint.yaml, line 2: invalid enum value 'bad'"),
        ("- a\n", ".hadolint.yaml, line 1: expected a mapping, got a list"),
        (b"# Fels\nignored: [] # Z\xfcrich\n", ".hadolint.yaml, line 2: not UTF-8. Save it as UTF-8 text."),
    ],
)
def test_settings_that_are_wrong(folder: LintFolder, settings: str | bytes, message: str) -> None:
    folder.add("Dockerfile", "FROM debian\n")
    folder.add(".hadolint.yaml", settings)
    done = folder.lint("--dockerfile", "Dockerfile")
    assert (done.code, done.out) == (2, "")
    assert message in done.log


def test_settings_in_a_home_folder_that_nobody_can_look_into(folder: LintFolder) -> None:
    """As that of root is in a container that runs as somebody else."""
    folder.add("Dockerfile", "FROM debian:12\n")
    assert folder.told(HOME="/" + "x" * 300, XDG_CONFIG_HOME="") == ["1 SKY002"]


def test_empty_settings(folder: LintFolder) -> None:
    folder.add("Dockerfile", "FROM debian\n")
    folder.add(".hadolint.yaml", "# nothing\n")
    assert folder.lint("--dockerfile", "Dockerfile").code == 3


@pytest.mark.parametrize(
    ("trusted", "base", "expected"),
    [
        ("registry:5000", "registry:5000/a/b", []),
        ("registry:5000", "registry:5000/b:1", []),
        ("registry:5000", "registry:5001/b:1", ["1 DL3026"]),
        ("docker.io", "registry:5000/b:1", ["1 DL3026"]),
        ("localhost", "localhost/b:1", []),
        ("docker.io", "localhost/b:1", ["1 DL3026"]),
        ("'[::1]:5000'", "[::1]:5000/b", []),
        ("my.registry.test:5000", "my.registry.test:5000/b:1", []),
    ],
)
def test_registries_that_are_trusted_may_have_no_dot(
    folder: LintFolder, trusted: str, base: str, expected: list[str]
) -> None:
    folder.add("Dockerfile", f"FROM {base}@{DIGEST}\n")
    folder.add(".hadolint.yaml", f"trustedRegistries: [{trusted}]\n")
    assert folder.told() == expected
    folder.add(".hadolint.yaml", "trustedRegistries: [x.test]\n")
    told = folder.told(HADOLINT_TRUSTED_REGISTRIES=f"y.test,{trusted.strip(chr(39))}")
    assert told == expected
