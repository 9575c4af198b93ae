"""Commands and what they print, as a README shows them: run again, and compared."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.commands import COMMANDS

_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_MARK = "@@ the next command @@"
_OMITTED = "..."
_CHANGING = {
    # Of each container, where the machine passes nothing on between networks; no container here needs it.
    r"(?m)^WARNING: IPv4 forwarding is disabled\. Networking will not work\.\n": "",
    # A line each five seconds, on a machine that is busy.
    r"(?m)^skyport-wf: .*: [\d.]+ [kMG]?B( of [\d.]+ [kMG]?B\b.*|, [\d.]+ [kMG]?B/s.*)\n": "",
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "NODE",
    r"\b(sha256:)?([0-9a-f]{64}|[0-9a-f]{12})\b": "ID",
    r"\d+(\.\d+)? [kMG]?B\b": "SIZE",
    r"\d+\.\d%": "SHARE",
    r"\d{4}-\d\d-\d\d[T ][0-9:.]+Z?": "TIME",
    r"(?m)^#\d+ \d+\.\d+ ": "#STEP ",
    r"[ \t]+": " ",
    r"\d+ Debian": "N Debian",
}
"""What is another one each time, or on another machine."""


class Shown(NamedTuple):
    """A command of a README, and what is shown of its output; a line of three dots stands for any lines."""

    command: str
    output: str


def read_transcript(readme: Path) -> Iterator[Shown]:
    """Yield the commands of a README: what follows `$ ` in its code blocks, with what stands below."""
    for block in _BLOCK.findall(readme.read_text()):
        _, *shown = re.split(r"^\$ ", block, flags=re.MULTILINE)
        for each in shown:
            command, _, output = each.replace("\\\n", "").partition("\n")
            yield Shown(command, output)


def check_transcript(readme: Path, **variables: str) -> None:
    """Run the commands of a README in its folder, all in one shell, and see that they print what it shows."""
    shown = list(read_transcript(readme))
    assert shown, f"{readme} shows no command"
    printed = _run([each.command for each in shown], readme.parent, variables)
    for each, output in zip(shown, printed, strict=True):
        pattern = "".join(map(_pattern, _settle(each.output).splitlines()))
        assert re.fullmatch(pattern, _settle(output)), f"$ {each.command}\n{output}\n\nThe README shows:\n{each.output}"


def _run(commands: list[str], folder: Path, variables: dict[str, str]) -> list[str]:
    script = "".join(f"echo '{_MARK}'\n{command}\n" for command in commands)
    path = os.pathsep.join([str(COMMANDS), *os.get_exec_path()])
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False, env={**os.environ, "PATH": path, "SHOCK_URL": "", **variables},
    )  # fmt: skip
    return done.stdout.split(f"{_MARK}\n")[1:]


def _settle(output: str) -> str:
    """Return the text without what changes from run to run."""
    for changing, word in _CHANGING.items():
        output = re.sub(changing, word, output)
    return "".join(f"{line.strip()}\n" for line in output.splitlines() if line.strip())


def _pattern(line: str) -> str:
    return r"(?:.*\n)*?" if line == _OMITTED else re.escape(line) + "\n"
