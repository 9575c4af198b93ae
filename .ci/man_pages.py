"""Man pages, made of what `--help` says: for each wheel, and by `make man` to look at."""

import re
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent.parent
PROGRAM = "skyport-wf"


class ManPages(BuildHookInterface[Any]):
    """Puts the pages where `man` finds them beside the command."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the pages, and add them to the wheel."""
        if version == "editable":
            return
        self.folder = Path(mkdtemp())
        for page in write_pages(self.folder):
            build_data["shared_data"][str(page)] = f"share/man/man1/{page.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what the wheel has now."""
        if version != "editable":
            for page in self.folder.iterdir():
                page.unlink()
            self.folder.rmdir()


def write_pages(folder: Path) -> list[Path]:
    """Write a page for the command and for each verb; return their paths."""
    # Parsers need nothing but Python, so the package need not be installed for this.
    sys.path.insert(0, str(ROOT))
    from skyport_wf.cli.parser import make_parser, verb_module
    from skyport_wf.cli.verbs import GROUPS, VERBS

    program, verbs = make_parser(list(VERBS))
    groups = "".join(
        f".SS {_escaped(group)}\n"
        + "".join(f".TP\n.B {_escaped(verb)}\n{_escaped(does)}\n" for verb, does in some.items())
        for group, some in GROUPS.items()
    )
    texts = {PROGRAM: _page(program, PROGRAM, f".SH VERBS\n{groups}", see=[f"{PROGRAM}-{verb}" for verb in VERBS])}
    for verb, parser in verbs.items():
        examples = "\n".join(map(_escaped, verb_module(verb).EXAMPLES))
        name = f"{PROGRAM}-{verb}"
        texts[name] = _page(parser, name, f".SH EXAMPLES\n.nf\n{examples}\n.fi\n", see=[PROGRAM])
    pages = {folder / f"{name}.1": text for name, text in texts.items()}
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return list(pages)


def _page(parser: Any, name: str, more: str, *, see: list[str]) -> str:
    from argparse_manpage.manpage import Manpage

    from skyport_wf import __version__

    # What stands there as it is printed would be reflowed.
    parser.epilog = None
    page = Manpage(parser, {"date": "", "project_name": PROGRAM, "version": __version__, "manual_title": "Manual"})
    page.synopsis = parser.format_usage().removeprefix("usage: ").split()
    # The library's own head has no room for what a verb does.
    after_head = str(page).partition("\n.SH SYNOPSIS")[2].rstrip()
    # It leaves a minus in usage and texts to be a hyphen, which no shell takes for one, and at which lines end.
    after_head = re.sub(r"(?<!\\)-", r"\\-", after_head)
    does = parser.description.rstrip(".")
    also = ",\n".join(f".BR {_escaped(page)} (1)" for page in see)
    return (
        f'.TH {_escaped(name.upper())} 1 "" "{PROGRAM} {__version__}" "Manual"\n'
        # No option is to go on in the next line.
        f".nh\n.SH NAME\n{_escaped(name)} \\- {_escaped(does[0].lower() + does[1:])}\n.SH SYNOPSIS{after_head}\n{more}"
        f".SH SEE ALSO\n{also}\n"
    )


def _escaped(text: str) -> str:
    """Return a line that troff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    print(*write_pages(target), sep="\n")
