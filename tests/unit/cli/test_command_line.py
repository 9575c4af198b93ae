"""The command in processes of its own: exit codes, what is on stdout, what on stderr."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import skyport_wf
from skyport_wf.cli.main import main
from skyport_wf.cli.parser import parse
from skyport_wf.cli.verbs import VERBS
from skyport_wf.errors import UsageError
from skyport_wf.records.files import write_record
from skyport_wf.records.receipt import merge_into_lock
from tests.support.failing_server import SILENCE, Answer, FailingServer, refusal
from tests.support.sample_records import receipt
from tests.support.timing import PATIENCE

SECRET = "s3cr3t-t0ken"
LIST = "images:\n- name: a/b:1\n  dockerfile: tool/Dockerfile\n  description: Zünftig\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool/Dockerfile").write_text("FROM debian:bookworm\n")
    (tmp_path / "images.yaml").write_text(LIST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments: str | bytes) -> list[str | bytes]:
    return [sys.executable, "-m", "skyport_wf", *arguments]


def run(*arguments: str | bytes, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=PATIENCE, **options, check=False)


def only_document(text: str) -> Any:
    """Return the JSON document that is all of the text."""
    assert text.endswith("\n")
    return json.loads(text)


def test_version():
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"skyport-wf {skyport_wf.__version__}\n", "")


@pytest.mark.parametrize(
    "arguments", [["version", "--json"], ["--json", "--version"], ["--version", "--json"], ["--json", "version"]]
)
def test_version_with_json(arguments):
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert only_document(done.stdout) == {"version": skyport_wf.__version__}


@pytest.mark.parametrize("arguments", [["version"], ["help"], ["plan", "--help"], []])
def test_a_version_or_help_that_nobody_can_read_is_a_failure(arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "skyport-wf: cannot write to stdout: No space left on device\n")


def test_help_names_every_verb_and_each_explains_itself():
    done = run("--help")
    assert done.returncode == 0
    assert all(f"\n    {verb} " in done.stdout for verb in VERBS)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [[], ["help"], ["-v", "help"], ["--json", "help"], ["help", "help"], ["--help"]])
def test_alone_it_shows_all_verbs(arguments):
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run("--help").stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help_and_examples_that_it_takes(verb, capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        parse(["help", verb])
    _, _, examples = capsys.readouterr().out.partition("\nexamples:\n")
    assert examples
    for line in examples.splitlines():
        # What a shell takes for itself is left out.
        words = [word for word in shlex.split(line) if not re.match(r"[A-Z_]+=|>", word)]
        assert words[:2] == ["skyport-wf", verb]
        assert parse(words[1:]).verb == verb


@pytest.mark.slow
def test_verbose_shows_the_requests(failing_server, monkeypatch, project):
    empty = {"data": [], "status": 200, "error": None, "total_count": 0}
    failing_server.answers = [Answer(200, json.dumps(empty).encode())] * 3
    monkeypatch.setenv("SHOCK_URL", failing_server.url)
    monkeypatch.setenv("KB_AUTH_TOKEN", SECRET)
    done = run("ls", "--verbose")
    assert f"skyport-wf: GET /node at {failing_server.url}: HTTP 200 after " in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.slow
def test_0_done(project):
    done = run("plan")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].split() == ["IMAGE", "SOURCE", "NEEDS", "DIGEST"]


@pytest.mark.slow
def test_0_with_json(project):
    done = run("plan", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (image,) = only_document(done.stdout)["images"]
    assert (image["name"], image["key"], image["needs"]) == ("a/b:1", "a_b_1", [])


@pytest.mark.slow
def test_1_failed_with_a_message_and_no_traceback(project):
    done = run("retire", "a/b:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("skyport-wf: the embedded Shock has no image a/b:1. `skyport-wf ls` shows what it has.\n")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["-v"], "the verb is missing. `skyport-wf --help` lists the verbs."),
        (["pblish"], "there is no verb pblish; did you mean publish? `skyport-wf --help` lists the verbs."),
        (["list"], "there is no verb list; did you mean ls?"),
        (["search"], "there is no verb search; did you mean find?"),
        (["remove", "a/b:1"], "there is no verb remove; did you mean retire or delete?"),
        (["login"], "there is no verb login. `skyport-wf --help` lists the verbs."),
        (["ls", "--sort", "date"], "argument --sort: there is no date; it takes "),
        (["retire", "--all"], "there is no option --all. `skyport-wf retire --help` shows what it takes."),
        (["retire", "-undo"], "there is no option -undo; did you mean --undo?"),
        (["LS"], "there is no verb LS; did you mean ls?"),
        (["publish", "--ALL"], "there is no option --ALL; did you mean --all?"),
        (["x\x1b[31m"], "there is no verb x[31m. `skyport-wf --help` lists the verbs."),
        (["publish", "--al"], "there is no option --al; did you mean --all? `skyport-wf publish --help` shows what it"),
        (["--vesion"], "there is no option --vesion; did you mean --version? `skyport-wf --help` lists the verbs."),
        (["publish", "x*"], "no image of the image list fits 'x*'."),
        (["--dry-run", "publish", "--all"], "--dry-run stands behind the verb, as in `skyport-wf publish --dry-run`."),
        (["-n", "publish", "--all"], "-n stands behind the verb, as in `skyport-wf publish -n`."),
        (["--images", "images.yaml", "ls"], "--images stands behind the verb, as in `skyport-wf ls --images`."),
        (["lint", "--no-install"], "there is no option --no-install. `skyport-wf lint --help` shows what it takes."),
        (["user", "add", "ben", "--adm"], "there is no option --adm; did you mean --admin? `skyport-wf user add "),
        (["user", "--admin", "add", "ben"], "--admin stands behind the verb, as in `skyport-wf user add --admin`."),
        (["--admin", "user", "add", "ben"], "--admin stands behind the verb, as in `skyport-wf user add --admin`."),
        (["user", "--data", "d", "add", "ben"], "--data stands behind the verb, as in `skyport-wf user add --data`."),
        (["ls", ""], "'' names no image. Is a variable not set?"),
        (["delete", "a/b:1", "", "--remove"], "'' names no image. Is a variable not set?"),
        (["retire", "a/b:1", "--node", ""], "argument --node: '' is not the id of a node. Is a variable not set?"),
        (["delete", "--node="], "argument --node: '' is not the id of a node. Is a variable not set?"),
        (["serve", "--anonymous", ""], "--anonymous '' names no right. Give some of read,write,delete, or none."),
        (["help", ""], "there is no verb ''. `skyport-wf --help` lists the verbs."),
        (["resolve", "x" * 5000], f"argument name: '{'x' * 100}': it is too long"),
        (["publish", "x" * 5000], f"argument names: '{'x' * 100}': it is too long"),
        (["diff", "a/b:1", "x" * 5000], f"argument b: '{'x' * 100}': it is too long"),
        # As of a variable that is not set: the copy was made as nobody. And what is no name may be a token.
        (["copy", "a/b:1", "--to", "embedded", "--to-token-env", ""], "argument --to-token-env: not the name of a "),
        (
            ["copy", "a/b:1", "--to", "embedded", "--to-token-env", SECRET],
            "argument --to-token-env: not the name of a ",
        ),
        (["copy", "a/b:1", "--to", "embedded", "--to-auth", "x y"], "argument --to-auth: not a scheme."),
        (["publish", "-x"], "there is no option -x. `skyport-wf publish --help` shows what it takes."),
        (["pull", "a", "b", "c"], "unexpected: b c. `skyport-wf pull --help` shows what it takes."),
        (["lint", "--level", "eror"], "argument --level: there is no eror; did you mean error?"),
        (["lint", "--level", "x"], "argument --level: there is no x; it takes error, warning, "),
        (["build"], "the following arguments are required: NAME, --record"),
        (["plan", "--imges", "x"], "there is no option --imges; did you mean --images?"),
        (["plan", "--images", "none.yaml"], "there is no none.yaml. `skyport-wf init` writes one"),
        (["publish"], "name the images to publish, or give --all"),
        (["publish", "a/b:1", "--all"], "give names or --all, not both"),
        (["copy", "--to", "embedded"], "name the images to copy, or give --all"),
        (["copy", "a/b:1", "--all", "--to", "embedded"], "give names or --all, not both"),
        (["pull", "--output", "x.tar"], "name the image, or with --output its --receipt"),
        (["pull", "a/b:1", "--output", "x.tar", "--receipt", "r.json"], "give the image's name or its --receipt, not"),
        (["publish", "a/b:2"], "image 'a/b:2' is not in the image list. It has: a/b:1."),
        (
            ["save", "none.json", "--archive", "x", "--record", "y"],
            "there is no none.json. Run the step that writes it",
        ),
        (["serve", "--anonymous", "read,fly"], "--anonymous: unknown right fly. Give some of read,write,delete."),
        (["serve", "--anonymous", "none,write"], "--anonymous: `none` stands alone"),
        (["serve", "--data", ""], "argument --data: '' is not the name of a file or folder"),
        (["user", "ls", "--data", ""], "argument --data: '' is not the name of a file or folder"),
        (["show", "--archive", ""], "argument --archive: '' is not the name of a file or folder"),
        (["plan", "--images", ""], "argument --images: '' is not the name of a file or folder"),
        (["init", ""], "argument DIR: '' is not the name of a file or folder"),
        (
            ["copy", "a/b:1", "--to", "embedded", "--to-auth", "a\nb"],
            "argument --to-auth: not a scheme. Give a word such",
        ),
        (["copy", "a/b:1", "--to", "embedded", "--to-token-env", ""], "argument --to-token-env: not the name of a var"),
        (["copy", "a/b:1", "--to", "embedded", "--to-token-env", "s-cret"], "argument --to-token-env: not the name of"),
        (["plan", "--log", "/proc/none/x"], "cannot write the log file /proc/none/x: "),
    ],
)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_2_the_command_line_or_the_list_is_wrong(project, arguments, problem, as_json):
    done = run(*arguments, *(["--json"] if as_json else []))
    assert done.returncode == 2
    assert done.stderr.startswith(f"skyport-wf: {problem}")
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stdout + done.stderr
    if as_json:
        document = only_document(done.stdout)
        assert document["exit_code"] == 2
        assert document["error"].startswith(problem)
    else:
        assert done.stdout == ""


@pytest.mark.slow
def test_2_a_wrong_list_names_line_and_field(project):
    (project / "images.yaml").write_text(LIST + "  dockfile: x\n")
    done = run("status")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "skyport-wf: images.yaml, line 5, field dockfile: unknown; did you mean `dockerfile`?"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["images.yaml", "images.yml"])
def test_a_list_is_found_further_up(project, name, monkeypatch):
    project.chmod(0o755)
    (project / "images.yaml").rename(project / name)
    (project / "tool/deep").mkdir()
    monkeypatch.chdir(project / "tool/deep")
    assert only_document(run("plan", "--json").stdout)["images"][0]["name"] == "a/b:1"
    (project / name).write_text("images: 5\n")
    assert f"../../{name}, line 1, field images: expected a list" in run("plan").stderr
    # Somebody else could put a list into a folder that everyone may write to.
    project.chmod(0o777)
    assert run("plan").stderr.startswith("skyport-wf: there is no images.yaml. `skyport-wf init` writes one")


@pytest.mark.slow
def test_3_status_finds_what_is_not_published(project):
    done = run("status")
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.endswith("\n\na/b:1: publishing it would build and publish it\n")
    (image,) = only_document(run("status", "--json").stdout)["images"]
    assert (image["state"], image["next"]) == ("not published", "build and publish it")


@pytest.mark.slow
def test_3_verify_finds_what_is_not_there_and_removes_its_records_when_asked(project):
    write_record(project / "images.lock.json", merge_into_lock(None, [receipt()]))
    stale = project / "results/skyport/skyport_velvet_1.2.10"
    write_record(stale / "receipt.json", receipt())
    done = run("verify")
    assert (done.returncode, done.stderr) == (3, "")
    assert "skyport/velvet:1.2.10  DIFFERS" in done.stdout
    assert stale.joinpath("receipt.json").exists()
    none = "there are no records in elsewhere/skyport_velvet_1.2.10: if they are elsewhere, say so with --results"
    assert none in run("verify", "--remove-stale", "--results", "elsewhere").stdout
    done = run("verify", "--remove-stale", "--json")
    assert (done.returncode, only_document(done.stdout)["removed"]) == (3, [str(stale.relative_to(project))])
    assert not stale.joinpath("receipt.json").exists()
    assert only_document(run("verify", "--remove-stale", "--json").stdout)["removed"] == []


@pytest.mark.slow
def test_75_a_shock_that_cannot_be_reached(project):
    url = "http://127.0.0.1:1"
    done = run("ls", "--json", env={**os.environ, "SHOCK_URL": url})
    assert done.returncode == 75
    message = f"Shock at {url} cannot be reached: Connection refused. `skyport-wf doctor` checks it."
    assert done.stderr == f"skyport-wf: {message}\n"
    assert only_document(done.stdout) == {"error": message, "exit_code": 75}


@pytest.mark.slow
def test_75_an_engine_that_cannot_be_reached(project):
    done = run("build", "a/b:1", "--record", "build.json")
    assert (done.returncode, done.stdout) == (75, "")
    assert "no Docker engine answers at unix://" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "build.json").exists()


def test_a_base_is_said_to_be_waited_for_once(project, monkeypatch, capsys):
    (project / "tool/Dockerfile").write_text("FROM a/base:1\n")
    (project / "base").mkdir()
    (project / "base/Dockerfile").write_text("FROM scratch\n")
    (project / "images.yaml").write_text(f"{LIST}- {{name: 'a/base:1', dockerfile: base/Dockerfile}}\n")
    monkeypatch.setattr("skyport_wf.steps.bases._PAUSE_SECONDS", 0.05)
    assert main(["build", "a/b:1", "--wait", "1", "--record", "build.json"]) == 75
    assert capsys.readouterr().err.splitlines() == [
        "skyport-wf: waiting for a/base:1, which a/b:1 is built on",
        "skyport-wf: a/b:1 is built on a/base:1, which has not been published within 1 s. Publish that first.",
    ]


@pytest.mark.slow
def test_doctor_goes_on_where_one_thing_is_wrong(project):
    done = run("doctor", "--json")
    assert done.returncode == 1
    document = only_document(done.stdout)
    assert (document["error"], document["exit_code"]) == ("wrong: engine", 1)
    findings = {finding["what"]: finding for finding in document["findings"]}
    assert not findings["engine"]["ok"]
    assert findings["Shock"]["ok"]
    assert findings["engine"]["detail"].startswith("no Docker engine answers at unix://")


@pytest.mark.parametrize(
    ("variable", "said"), [("SKYPORT_DATA", "is 'no'. Give it an absolute path"), ("SKYPORT_RETRY_SECONDS", "='no'")]
)
def test_doctor_tells_of_a_wrong_variable_beside_the_rest(project, monkeypatch, variable, said):
    monkeypatch.setenv(variable, "no")
    done = run("doctor", "--json")
    findings = {finding["what"]: finding for finding in only_document(done.stdout)["findings"]}
    assert (done.returncode, findings["Shock"]["ok"], findings["disk of results"]["ok"]) == (1, False, True)
    assert said in findings["Shock"]["detail"]


@pytest.fixture
def silent_server(failing_server: FailingServer, monkeypatch: pytest.MonkeyPatch) -> FailingServer:
    failing_server.answers = [SILENCE]
    monkeypatch.setenv("SHOCK_URL", failing_server.url)
    return failing_server


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "skyport-wf: interrupted\n"), (signal.SIGTERM, 143, "")]
)
def test_130_interrupted_while_it_waits_for_a_server(project, silent_server, number, code, said):
    with subprocess.Popen(command("ls"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert silent_server.got_request.wait(30)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (code, "", said)


@pytest.mark.slow
def test_130_with_json(project, silent_server):
    with subprocess.Popen(
        command("ls", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert silent_server.got_request.wait(30)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert only_document(out) == {"error": "interrupted", "exit_code": 130}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_ends_well_when_it_is_told_to_and_prints_one_document(project, number):
    arguments = command("serve", "--port", "0", "--json")
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = list(iter(process.stdout.readline, "}\n"))
        process.send_signal(number)
        rest, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert json.loads("".join(lines) + "}")["url"].startswith("http://127.0.0.1:")
    assert rest == ""
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["--json", "plan"],
        ["plan", "--json"],
        ["--log", "publish", "plan", "--json"],
        ["--log", "help", "plan", "--json"],
        ["--json", "--log", "x.log", "--verbose", "plan", "--no-progress"],
    ],
)
def test_what_every_verb_has_may_stand_before_it_or_behind(project, arguments):
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert only_document(done.stdout)["images"]


@pytest.mark.slow
def test_what_every_verb_has_may_stand_at_the_very_end(project):
    done = run("user", "add", "alice", "--json")
    assert done.returncode == 0, done.stderr
    assert only_document(done.stdout)["name"] == "alice"
    assert only_document(run("user", "ls", "--json").stdout) == {"users": [{"admin": False, "name": "alice"}]}


@pytest.mark.slow
def test_a_new_token_takes_the_place_of_the_old(project):
    first = only_document(run("user", "add", "alice", "--json").stdout)["token"]
    second = only_document(run("user", "token", "alice", "--json").stdout)["token"]
    assert second != first
    given = run("user", "token", "alice", "--token", "-", input=f"{SECRET}\n")
    assert (given.returncode, given.stdout) == (0, "alice has a new token\n")
    nobody = run("user", "token", "bob", "--json")
    assert (nobody.returncode, "there is no user 'bob'" in nobody.stderr) == (1, True)


class TestMessages:
    """Where they go: warnings of retries are the messages."""

    @pytest.fixture(autouse=True)
    def failing(self, project, failing_server, monkeypatch) -> Iterator[None]:
        failing_server.answers = [Answer(503), refusal(400, "no")]
        monkeypatch.setenv("SHOCK_URL", failing_server.url)
        monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "30")
        monkeypatch.setenv("KB_AUTH_TOKEN", SECRET)
        self.error = f"skyport-wf: Shock at {failing_server.url} refuses GET /node: no\n"
        yield

    def test_on_stderr(self):
        done = run("ls")
        assert (done.returncode, done.stdout) == (1, "")
        assert " Trying again in " in done.stderr
        assert done.stderr.endswith(self.error)
        assert SECRET not in done.stderr

    def test_quiet_leaves_only_the_error(self):
        done = run("ls", "--quiet")
        assert (done.returncode, done.stdout, done.stderr) == (1, "", self.error)

    def test_in_the_log_file_and_the_error_in_both(self, project):
        done = run("ls", "--log", "logs/deep/ls.log")
        assert (done.returncode, done.stdout, done.stderr) == (1, "", self.error)
        log = (project / "logs/deep/ls.log").read_text()
        assert " Trying again in " in log
        assert log.endswith(self.error)
        assert SECRET not in log

    def test_beside_a_log_file_a_long_wait_is_told_once(self, failing_server):
        failing_server.answers = [Answer(503, headers={"Retry-After": "5"}), Answer(503), refusal(400, "no")]
        done = run("ls", "--log", "logs/ls.log")
        said, *error = done.stderr.splitlines(keepends=True)
        assert re.fullmatch(r"skyport-wf: Shock at \S+ .* Trying again in 5\.\d s \(attempt 2\)\.\n", said)
        assert (done.returncode, error) == (1, [self.error])

    def test_in_the_log_of_a_job_a_reason_is_told_once(self, failing_server):
        """So it is for steps of CWL, whose stderr is the runner's log: a minute without Shock was twenty lines."""
        answers = [Answer(503), Answer(503), Answer(503), Answer(502), refusal(400, "no")]
        for verbose, attempts in (([], ["2", "5"]), (["--verbose"], ["2", "3", "4", "5"])):
            failing_server.answers = [*answers]
            done = run("ls", *verbose)
            assert re.findall(r"Trying again in .* \(attempt (\d)\)", done.stderr) == attempts
            assert done.stderr.endswith(self.error)

    def test_verbose_shows_no_token_either(self, project):
        done = run("ls", "--verbose", "--json")
        assert SECRET not in done.stdout + done.stderr
        assert only_document(done.stdout)["exit_code"] == 1


def test_a_bug_is_reported_as_one(project):
    # What no one foresaw: a package that the verb needs is broken.
    (project / "yaml.py").write_text("raise RuntimeError('broken on purpose')\n")
    done = run("plan", "--json", env={**os.environ, "PYTHONPATH": str(project)})
    assert done.returncode == 70
    assert (
        f"RuntimeError: broken on purpose\nThis is a bug of skyport-wf {skyport_wf.__version__}. Please report it to"
        in done.stderr
    )
    assert only_document(done.stdout)["exit_code"] == 70


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["plan"], ["plan", "--json"], ["plan", "--images", "none", "--json"]])
def test_a_reader_that_has_seen_enough(project, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command(*arguments), stdout=writer, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False
    )
    os.close(writer)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.slow
def test_in_a_pipe_with_head(project):
    line = f"{sys.executable} -m skyport_wf plan --json | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.stdout, done.stderr) == ("{\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["plan"], ["plan", "--json"]])
def test_stdout_on_a_full_disk_is_no_bug(project, arguments):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False
        )
    assert (done.returncode, done.stderr) == (1, "skyport-wf: cannot write to stdout: No space left on device\n")


def test_messages_on_a_full_disk_do_not_change_the_exit_code(project):
    with Path("/dev/full").open("wb") as full:
        for arguments, code in ((["plan", "--images", "none"], 2), (["init", "made"], 0)):
            done = subprocess.run(command(*arguments), stderr=full, timeout=PATIENCE, check=False)
            assert done.returncode == code


def test_in_a_folder_that_was_removed(project, monkeypatch):
    (project / "gone").mkdir()
    monkeypatch.chdir(project / "gone")
    (project / "gone").rmdir()
    with pytest.raises(UsageError, match=r"the folder that you are in is gone, or closed to you \(No such file"):
        parse(["status"])


@pytest.mark.slow
def test_json_on_a_terminal_that_is_not_utf8(project):
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command("plan", "--json"), capture_output=True, env=environ, timeout=PATIENCE, check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout.decode("utf-8"))["images"]


@pytest.mark.slow
def test_letters_that_the_terminal_lacks_are_written_out(project, tmp_path):
    environ = {**os.environ, "PYTHONIOENCODING": "latin-1", "SKYPORT_DATA": str(tmp_path / "data")}
    done = subprocess.run(command("ls", "zünftig/ł"), capture_output=True, env=environ, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"no image z\xfcnftig/\\u0142 is published here\n"


@pytest.mark.slow
def test_a_name_of_a_file_that_is_not_utf8(project):
    done = run("plan", "--images", b"\xff.yaml", "--json", "--log", "plan.log")
    assert done.returncode == 2
    assert only_document(done.stdout)["error"].startswith(r"there is no \udcff.yaml. ")
    assert done.stderr.startswith(r"skyport-wf: there is no \udcff.yaml. ")
    assert (project / "plan.log").read_text() == done.stderr


@pytest.mark.slow
def test_init_writes_a_project_that_can_be_planned_and_never_over_another(tmp_path):
    new = tmp_path / "new"
    done = run("init", str(new))
    assert done.returncode == 0
    assert done.stdout.endswith("next: snakemake publish_all --cores 2\n")
    assert run("plan", "--images", str(new / "images.yaml")).returncode == 0
    assert "`snakemake publish_all`" in (new / "images.yaml").read_text()
    (new / "images.yaml").write_text("mine")
    again = run("init", str(new), "--json")
    assert again.returncode == 1
    assert "nothing was written" in only_document(again.stdout)["error"]
    assert (new / "images.yaml").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("snakefile", "line"),
    [
        ("Snakefile", "images.smk"),
        ("snakefile", "images.smk"),
        ("workflow/Snakefile", "rules/images.smk"),
        ("workflow/snakefile", "rules/images.smk"),
    ],
)
def test_init_adds_to_a_pipeline_what_it_lacks(tmp_path, snakefile, line):
    theirs = {snakefile: "rule mine:\n    output: 'x'\n    shell: 'touch {output}'\n", ".gitignore": "mine\n"}
    for name, text in theirs.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    done = run("init", "--pipeline", str(tmp_path))
    assert done.returncode == 0
    assert done.stdout.endswith(f'next: add the line `include: "{line}"` to {tmp_path / snakefile}\n')
    assert all((tmp_path / name).read_text() == text for name, text in theirs.items())
    # The rules have a prefix there.
    assert "`snakemake skyport_publish_all`" in (tmp_path / "images.yaml").read_text()
    again = only_document(run("init", "--pipeline", str(tmp_path), "--json").stdout)
    assert again["written"] == []
    (tmp_path / snakefile).write_text(f'include: "{line}"\n')
    assert "next: " not in run("init", "--pipeline", str(tmp_path)).stdout
    assert run("init", "--pipeline", str(tmp_path / "images")).returncode == 2


def test_init_says_where_no_pipeline_is(tmp_path):
    done = run("init", "--pipeline", cwd=tmp_path)
    assert (done.returncode, "there is no Snakefile here. Without" in done.stderr) == (2, True)
    # A folder that one may not look into is as this one, of which nothing can be read either.
    done = run("init", "--pipeline", "x/" * 2040, cwd=tmp_path)
    assert (done.returncode, "File name too long. Choose another folder." in done.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_init_leaves_a_pipeline_its_own_rules_of_the_same_name(tmp_path, kind):
    (tmp_path / "workflow/rules").mkdir(parents=True)
    (tmp_path / "workflow/Snakefile").write_text('include: "rules/images.smk"\n')

    def add_own(path):
        if kind == "file":
            path.write_text("rule crop_images:\n    output: 'x'\n")
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to("nowhere")

    rules = tmp_path / "workflow/rules"
    add_own(rules / "images.smk")
    done = run("init", "--pipeline", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f'next: add the line `include: "rules/skyport.smk"` to {tmp_path}/workflow/Snakefile\n')
    assert "skyport_wf" in (rules / "skyport.smk").read_text()
    again = only_document(run("init", "--pipeline", str(tmp_path), "--json").stdout)
    assert (again["written"], f"{rules}/skyport.smk" in again["kept"]) == ([], True)
    (rules / "skyport.smk").unlink()
    add_own(rules / "skyport.smk")
    before = sorted(tmp_path.rglob("*"))
    refused = run("init", "--pipeline", str(tmp_path))
    assert (refused.returncode, "use rule * from skyport as skyport_*" in refused.stderr) == (1, True)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize("theirs", ["", "profiles/default", "workflow/profiles/default"])
def test_init_leaves_a_pipeline_the_profile_that_snakemake_takes(tmp_path, theirs):
    """The first of those in the working directory and beside the Snakefile, and no other."""
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow/Snakefile").write_text(
        "rule a:\n    output: 'x'\n    shell: 'echo {resources.of} > {output}'\n"
    )
    if theirs:
        (tmp_path / theirs).mkdir(parents=True)
        (tmp_path / theirs / "config.v8+.yaml").write_text("default-resources: {of: 7}\n")
    done = only_document(run("init", "--pipeline", str(tmp_path), "--json").stdout)
    profiles = [path for path in done["written"] if "profiles" in path]
    assert profiles == ([] if theirs else [f"{tmp_path}/workflow/profiles/default/config.yaml"])
    assert [path for path in done["kept"] if "profiles" in path] == ([f"{tmp_path}/{theirs}"] if theirs else [])
    asked = [sys.executable, "-m", "snakemake", "--cores", "1", *([] if theirs else ["--default-resources", "of=7"])]
    made = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "x").read_text() == "7\n"
    assert f"profile {theirs or 'workflow/profiles/default'} " in made.stdout + made.stderr


@pytest.mark.slow
def test_init_names_the_snakefile_that_snakemake_reads_and_leaves_a_list_of_another_name(tmp_path):
    for name in ("workflow/Snakefile", "Snakefile"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "Dockerfile").write_text("FROM debian:bookworm\n")
    (tmp_path / "images.yml").write_text("images: [{name: 'lab/mine:1', dockerfile: Dockerfile}]\n")
    done = run("init", "--pipeline", str(tmp_path))
    assert done.stdout.endswith(f'next: add the line `include: "images.smk"` to {tmp_path / "Snakefile"}\n')
    assert not (tmp_path / "images.yaml").exists()
    (tmp_path / "Snakefile").write_text('include: "images.smk"\n')
    asked = [sys.executable, "-m", "snakemake", "skyport_publish_all", "--dry-run"]
    planned = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (planned.returncode, "skyport_build_image" in planned.stdout) == (0, True), planned.stderr


def test_a_token_on_stdin_is_never_printed(project):
    done = run("user", "add", "alice", "--token", "-", input=f"{SECRET}\n")
    assert (done.returncode, done.stdout) == (0, "added alice to a new store\n")
    data = Path(os.environ["SKYPORT_DATA"])
    assert not [path for path in data.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_the_installed_command_is_the_same():
    script = Path(sys.executable).with_name("skyport-wf")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout == f"skyport-wf {skyport_wf.__version__}\n"
