"""The program that a command runs, behind what only says how: assignments, keywords, `sudo`, `env`, `timeout`."""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from skyport_wf.image.instructions import Heredoc, Instruction, json_words, read_options
from skyport_wf.lint.shell.grammar import SHELLS, Command, Pipeline, Word, every_pipeline, scan_shell

_ASSIGNMENT = re.compile(r"\w+\+?=")
_KEYWORDS = frozenset({"if", "then", "elif", "else", "do", "while", "until", "!", "{"})
_WRAPPERS: Mapping[str, tuple[str, ...]] = {
    "sudo": ("-u", "--user", "-g", "--group", "-h", "--host", "-p", "--prompt", "-C", "-D", "--chdir", "-R", "-T",
             "-U"),
    "doas": ("-u", "-C"),
    "env": ("-u", "--unset", "-C", "--chdir"),
    "xargs": ("-n", "--max-args", "-P", "--max-procs", "-I", "-L", "-a", "--arg-file", "-d", "--delimiter", "-s",
              "--max-chars", "-E"),
    "nice": ("-n", "--adjustment"),
    "ionice": ("-c", "--class", "-n", "--classdata"),
    "chrt": ("-T", "--sched-runtime", "-P", "--sched-period", "-D", "--sched-deadline"),
    "timeout": ("-k", "--kill-after", "-s", "--signal"),
    "time": ("-f", "--format", "-o", "--output"),
    "faketime": (),
    "stdbuf": ("-i", "--input", "-o", "--output", "-e", "--error"),
    "flock": ("-w", "--wait", "--timeout", "-E", "--conflict-exit-code"),
    "setpriv": ("--ambient-caps", "--inh-caps", "--bounding-set", "--euid", "--ruid", "--reuid", "--egid", "--rgid",
                "--regid", "--groups", "--securebits", "--pdeathsig", "--selinux-label", "--apparmor-profile"),
    "runuser": ("-u", "--user", "-g", "--group", "-G", "--supp-group"),
    "strace": ("-o", "--output", "-e", "-E", "-s", "-a", "-b", "-O", "-S", "-I", "-P", "-u", "-U", "-X"),
    "xvfb-run": ("-n", "--server-num", "-s", "--server-args", "-e", "--error-file", "-f", "--auth-file", "-p",
                 "--xauth-protocol", "-w", "--wait"),
    "exec": ("-a",),
    "command": (), "builtin": (), "eval": (), "nohup": (), "eatmydata": (), "busybox": (), "fakeroot": (), "setsid": (),
    "taskset": (), "setarch": (), "linux32": (), "linux64": (), "gosu": (), "su-exec": (), "chronic": (),
    "unbuffer": (), "dumb-init": (), "tini": (), "nocache": (),
}  # fmt: skip
"""Programs that run another one, and their options that have a value."""
_RUN_OF_CONDA = ("-n", "--name", "-p", "--prefix", "--cwd", "-e", "--env", "-a", "--attach", "-r", "--root-prefix")
"""Options of `conda run`, and of mamba and micromamba, that have a value."""
_WITH_OPERAND = frozenset({"timeout", "chrt", "faketime", "flock", "taskset", "setarch", "gosu", "su-exec"})
"""Those that want a word of their own before the program: a time, a file, a user."""
_SHEBANG = re.compile(r"#!\s*(?:\S*/env\s+(?:-\S+\s+)*)?(?P<program>\S+)")


class Invocation(msgspec.Struct, frozen=True):
    """A program as it is called."""

    program: str
    """Without its folder; empty if there is none, or only the run can tell."""
    arguments: tuple[Word, ...]
    """The words behind the program; all of them if that is not known."""
    line: int
    wrapped: tuple[str, ...] = ()
    """The programs that run it."""
    writes: tuple[str, ...] = ()
    """Files that its output is sent to."""
    inputs: tuple[Word, ...] = ()
    """What a substitution gives it to read: `< <(...)`, `<<< "$(...)"`."""

    @property
    def texts(self) -> list[str]:
        """The arguments' texts."""
        return [word.text for word in self.arguments]


def invocation(command: Command) -> Invocation:
    """Return what a command runs."""
    words = tuple(word for word in command.words if not word.redirection)
    inputs = tuple(word for word in command.words if word.redirection.startswith("<"))
    wrapped: list[str] = []
    at = 0
    while at < len(words):
        text = words[at].text
        program = posixpath.basename(text)
        # All that `eval` is given runs, whatever it begins with.
        if _ASSIGNMENT.match(text) and not (words[at].nested and "eval" in wrapped):
            at += 1
        elif words[at].nested:
            # Such a word may turn out to be anything: the search for the program ends there.
            break
        elif program in _WRAPPERS:
            wrapped.append(program)
            at = _behind_options(words, at + 1, _WRAPPERS[program])
            at += program in _WITH_OPERAND
        elif program in ("conda", "mamba", "micromamba") and [word.text for word in words[at + 1 : at + 2]] == ["run"]:
            wrapped.append(program)
            at = _behind_options(words, at + 2, _RUN_OF_CONDA)
        elif text in _KEYWORDS:
            at += 1
        else:
            return Invocation(program, words[at + 1 :], command.line, tuple(wrapped), command.writes, inputs)
    return Invocation("", words[at:], command.line, tuple(wrapped), command.writes, inputs)


def invocations(pipelines: Iterable[Pipeline]) -> Iterator[Invocation]:
    """Yield what these pipelines run, in their order."""
    for pipeline in pipelines:
        yield from map(invocation, pipeline.commands)


def positional(arguments: Iterable[Word], with_value: Collection[str]) -> list[Word]:
    """Return the arguments that are no options and no values of options.

    with_value: the options that take the next word as their value.
    """
    found: list[Word] = []
    skip = options_ended = False
    for word in arguments:
        if skip:
            skip = False
        elif options_ended or not word.text.startswith("-") or word.text == "-":
            found.append(word)
        elif word.text == "--":
            options_ended = True
        else:
            skip = _takes_next(word.text, with_value)
    return found


def _behind_options(words: Sequence[Word], at: int, with_value: Collection[str]) -> int:
    """Return where the options end that begin at `at`."""
    while at < len(words) and words[at].text.startswith("-"):
        at += 2 if _takes_next(words[at].text, with_value) else 1
    return at


def _takes_next(option: str, with_value: Collection[str]) -> bool:
    """Return whether the value of an option is the next word; of letters joined to `-yt` only the last can have it."""
    if option in with_value or option.startswith("--"):
        return option in with_value
    return [letter for letter in option[1:] if f"-{letter}" in with_value] == [*option[-1:]]


def run_pipelines(instruction: Instruction) -> tuple[Pipeline, ...]:
    """Return all that a `RUN` runs, what is nested included, as far as a shell runs it."""
    _, start = read_options(instruction.value)
    text = instruction.value[start:]
    if (words := json_words(text)) is not None:
        command = Command(tuple(map(Word, words)), instruction.line)
        return tuple(every_pipeline((Pipeline((command,)),)))
    top = scan_shell(text, lambda offset: instruction.line_at(offset + start))
    bodies = [
        scan_shell(heredoc.text, _Lines(heredoc.text, heredoc.line))
        for heredoc in script_heredocs(instruction)
        if top or is_shell_script(heredoc.text)
    ]
    return tuple(every_pipeline(sum(bodies, top)))


def script_heredocs(instruction: Instruction) -> tuple[Heredoc, ...]:
    """Return the heredocs of a `RUN` that run: of `RUN <<EOF` and `RUN bash <<EOF`, but not `RUN cat <<EOF >/etc/x`."""
    if not instruction.heredocs:
        return ()
    top = scan_shell(instruction.value[read_options(instruction.value)[1] :], lambda _: instruction.line)
    fed = any(call.program in SHELLS and not positional(call.arguments, ("-o",)) for call in invocations(top))
    return instruction.heredocs if fed or not top else ()


def heredoc_shell(instruction: Instruction) -> str:
    """Return the shell that a `RUN` names for its heredoc, as `RUN <<EOF bash` or in a `#!` line; empty if none."""
    scripts = script_heredocs(instruction)
    if not scripts:
        return ""
    top = scan_shell(instruction.value[read_options(instruction.value)[1] :], lambda _: instruction.line)
    named = [call.program for call in invocations(top) if call.program in SHELLS]
    match = None if top else _SHEBANG.match(scripts[0].text)
    return named[0] if named else posixpath.basename(match["program"]) if match else ""


def script_pipelines(text: str) -> tuple[Pipeline, ...]:
    """Return all that a script runs; nothing if its first line names another interpreter than a shell."""
    if not is_shell_script(text):
        return ()
    return tuple(every_pipeline(scan_shell(text, _Lines(text, 1))))


def is_shell_script(text: str) -> bool:
    """Tell whether a shell runs this text; without a `#!` line, it does."""
    match = _SHEBANG.match(text)
    return match is None or posixpath.basename(match["program"]) in SHELLS


class _Lines:
    """The line of an offset in a text, for offsets that grow: counting from the start each time would be quadratic."""

    def __init__(self, text: str, first: int) -> None:
        self._text = text
        self._offset = 0
        self._line = first

    def __call__(self, offset: int) -> int:
        if offset < self._offset:
            return self._line - self._text.count("\n", offset, self._offset)
        self._line += self._text.count("\n", self._offset, offset)
        self._offset = offset
        return self._line
