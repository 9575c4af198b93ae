"""The parser of the command line: argparse, with an overview by groups, examples, and "did you mean"."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn

from skyport_wf import __version__
from skyport_wf.cli.arguments import check_names, check_outputs, check_words, everywhere, output_file
from skyport_wf.cli.completion import IMAGES, complete, words_so_far
from skyport_wf.cli.outcome import Outcome
from skyport_wf.cli.verbs import ELSEWHERE, VERBS, overview
from skyport_wf.errors import UsageError
from skyport_wf.formatting import printable
from skyport_wf.near_words import near_words
from skyport_wf.output_file import own_descriptor

_PROGRAM = "skyport-wf"
_STDOUT = 1
"""The number of the file that is open as stdout."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the words of the command line ask for.

    Raises UsageError if they cannot be understood, SystemExit when help or the version was asked for and shown, and
    what `Outcome.write` does.
    """
    parser, verbs = make_parser([*arguments, *words_so_far()])
    complete(parser)
    if not arguments:
        parser.print_help()
        parser.exit()
    arguments = _ask_by_options(arguments)
    _check_order(arguments, parser, verbs)
    _check_actions(arguments, verbs)
    if arguments.count("--") > 1 or any(word.startswith("-") and word.endswith("=--") for word in arguments):
        # argparse takes such a one for a value that is not there.
        raise UsageError("`--` is no value. It stands once, before the first argument that is no option")
    try:
        Path.cwd()
    except OSError as error:
        reason = "the folder that you are in is gone, or closed to you"
        raise UsageError(f"{reason} ({error.strerror}). Change into another one (cd).") from error
    args, unknown = parser.parse_known_args(arguments)
    if unknown:
        _refuse(_asked(parser, args), unknown)
    if not args.verb:
        parser.error("the verb is missing")
    actions = verbs[args.verb]._actions
    check_words(args)
    check_names(args, [action.dest for action in actions if action.metavar in IMAGES])
    outputs = [action.dest for action in actions if action.type is output_file]
    check_outputs(args, outputs)
    args.stdout_is_taken = any(
        own_descriptor(path) == _STDOUT for option in outputs if option != "log" and (path := getattr(args, option))
    )
    return args


def _ask_by_options(arguments: Sequence[str]) -> list[str]:
    """Return the words with `--help` and `--version` for two more ways to ask, as people try them."""
    words = list(arguments)
    while True:
        # What stands behind --log is a file, whatever it is called.
        places = [n for n, word in enumerate(words) if not word.startswith("-") and words[n - 1 : n] != ["--log"]]
        if not places or words[places[0]] not in ("help", "version"):
            return words
        words.append(f"--{words.pop(places[0])}")


def _check_order(
    arguments: Sequence[str], parser: argparse.ArgumentParser, verbs: Mapping[str, argparse.ArgumentParser]
) -> None:
    """Raise UsageError if an option of a verb stands before it, where its value would be taken for the verb."""
    first = [word.partition("=")[0] for word in takewhile(lambda word: word not in verbs, arguments)]
    options = [word for word in first if word.startswith("-") and word not in _options(parser)]
    for one in verbs.values():
        if misplaced := next((option for option in options if option in _options(one)), None):
            one.error(_stands_behind(one, misplaced))


def _stands_behind(verb: argparse.ArgumentParser, option: str) -> str:
    return f"{option} stands behind the verb, as in `{verb.prog} {option}`"


def _check_actions(arguments: Sequence[str], verbs: Mapping[str, argparse.ArgumentParser]) -> None:
    """Do as `_check_order` for a verb that has verbs of its own, as `user` has."""
    # What stands behind --log is a file, whatever it is called.
    places = [n for n, word in enumerate(arguments) if word in verbs and arguments[n - 1 : n] != ["--log"]]
    for place in places[:1]:
        verb = verbs[arguments[place]]
        for action in _actions(verb):
            _check_order(arguments[place + 1 :], verb, action.choices)


def _actions(parser: argparse.ArgumentParser) -> list[argparse._SubParsersAction[argparse.ArgumentParser]]:
    return [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]


def _asked(parser: argparse.ArgumentParser, args: argparse.Namespace) -> argparse.ArgumentParser:
    """Return the parser of the verb that was asked for; of `user add`, that of `add`."""
    for action in _actions(parser):
        if chosen := action.choices.get(getattr(args, action.dest, "")):
            return _asked(chosen, args)
    return parser


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """Return the options that its help tells."""
    told = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    return [option for action in told for option in action.option_strings]


class _Help(argparse.RawDescriptionHelpFormatter):
    """Leaves examples and groups as they stand."""


class _Version(argparse.Action):
    """Prints the version, and ends."""

    def __init__(self, option_strings: Sequence[str], dest: str, *, as_json: bool) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show program's version number and exit")
        self._as_json = as_json

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        Outcome({"version": __version__}, f"{_PROGRAM} {__version__}").write(as_json=self._as_json)
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """Ends as every other failure does, so that `--json` has its document."""

    def __init__(self, **settings: Any) -> None:
        # An abbreviation that is right today could mean two options tomorrow.
        super().__init__(formatter_class=_Help, allow_abbrev=False, **settings)
        # Colours mean something here, and those that Python 3.14 gives the help do not.
        self.color = False

    def print_help(self, file: Any = None) -> None:
        """Print the help as other outcomes are: argparse says nothing of what it could not write."""
        Outcome(None, self.format_help().rstrip()).write(as_json=False)

    def error(self, message: str) -> NoReturn:
        more = "lists the verbs" if self.prog == _PROGRAM else "shows what it takes"
        raise UsageError(f"{message}{'' if message.endswith('?') else '.'} `{self.prog} --help` {more}.")

    # argparse has no public way to put this into other words; if it calls it no more, its own words are shown.
    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is None or value in action.choices:
            return
        told = printable(str(value)) or "''"
        if action.dest == "verb":
            verb = ELSEWHERE.get(str(value))
            meant = f"; did you mean {verb}?" if verb else did_you_mean(str(value), VERBS)
            self.error(f"there is no verb {told}{meant}")
        known = list(map(str, action.choices))
        meant = did_you_mean(str(value), known) or f"; it takes {', '.join(known)}"
        raise argparse.ArgumentError(action, f"there is no {told}{meant}")


def _refuse(parser: argparse.ArgumentParser, unknown: Sequence[str]) -> NoReturn:
    """Say which words are not understood, and which option was meant."""
    for word in unknown:
        if word.startswith("-"):
            option = word.partition("=")[0]
            if option in _options(parser):
                parser.error(_stands_behind(parser, option))
            # The dashes, which all have, make none like another.
            known = [one[2:] for one in _options(parser) if one.startswith("--")]
            meant = did_you_mean(option.lstrip("-"), known, dashes="--")
            parser.error(f"there is no option {printable(option)}{meant}")
    parser.error(f"unexpected: {printable(' '.join(unknown))}")


def did_you_mean(word: str, known: Iterable[str], *, dashes: str = "") -> str:
    """Return `; did you mean X?`, or nothing if no known word is like it. dashes: what stands before each of them."""
    close = near_words(word, known)
    return f"; did you mean {dashes}{close[0]}?" if close else ""


def verb_module(verb: str) -> Any:
    """Return the module of a verb, with its `add_arguments`, `run` and `EXAMPLES`."""
    return importlib.import_module(f"skyport_wf.cli.{verb}")


def make_parser(arguments: Sequence[str]) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return a parser that knows the verbs that may be asked for, and that of each of them."""
    behind = everywhere(argparse.SUPPRESS)
    parser: argparse.ArgumentParser = _Parser(
        prog=_PROGRAM,
        description="Publish Docker images to Shock: build, save, upload, register.",
        epilog=f"{overview()}\n\n`skyport-wf VERB --help` tells more, with examples.",
        parents=[everywhere(None)],
        usage="%(prog)s [OPTIONS] VERB ...",
    )
    # `--json` may stand behind it.
    parser.add_argument("--version", action=_Version, as_json="--json" in arguments)
    actions = parser.add_subparsers(dest="verb", metavar="VERB", prog=_PROGRAM, help=argparse.SUPPRESS)
    # Which word is the verb only the parser can tell: `--log build publish` has two.
    asked = [verb for verb in VERBS if verb in arguments]
    verbs = {}
    # A parser for each name takes longer than all else that is done before a verb begins; a shell may want the names.
    for verb in VERBS if words_so_far() else asked:
        line = VERBS[verb]
        verbs[verb] = actions.add_parser(verb, description=line[0].upper() + line[1:] + ".", parents=[behind])
        if verb in asked:
            module = verb_module(verb)
            module.add_arguments(verbs[verb])
            verbs[verb].epilog = "examples:\n" + "\n".join(f"    {example}" for example in module.EXAMPLES)
    return parser, verbs
