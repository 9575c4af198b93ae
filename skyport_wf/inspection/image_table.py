"""A table of published images as HTML, on which Snakemake's report opens: what each is, and how to use it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TypeVar

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.formatting import count, human_size, percentage, printable
from skyport_wf.image.examination.report import ImageReport, count_packages
from skyport_wf.image_list.spec import EMBEDDED
from skyport_wf.input_file import read_bounded
from skyport_wf.records.files import read_record
from skyport_wf.records.receipt import Receipt

_LARGEST = 256 << 20
"""Bytes of what `show --json` and `lint --report` wrote that are read."""
_HEADS = ("Image", "Size", "Wasted", "Packages", "Lint", "Published", "Use")
# Snakemake puts the table into a column of half a screen beside the graph of rules: it gets its own width, and the
# graph goes below it. What is wider than its place there would stick out on both sides, and could not be scrolled to on
# the left, under the menu.
_STYLE = """\
<style>
.skyport-images { border-collapse: collapse; font: 14px/1.4 Helvetica, Arial, "DejaVu Sans", sans-serif; }
.skyport-images th, .skyport-images td { padding: 6px 12px; text-align: left; vertical-align: top; }
.skyport-images th { border-bottom: 2px solid #616e7c; }
.skyport-images td { border-bottom: 1px solid #d5dae0; }
.skyport-images td { white-space: nowrap; }
.skyport-images code { font-size: 12px; }
.skyport-images code::before, .skyport-images code::after { content: none !important; }
.skyport-images small { color: #616e7c; }
.prose:has(.skyport-images) { max-width: none; }
div:has(> div > .prose .skyport-images) { flex-wrap: wrap; align-self: start; }
div:has(> div > div > .prose .skyport-images) { justify-content: flex-start; }
</style>
"""
_Document = TypeVar("_Document")


class _Finding(msgspec.Struct, frozen=True):
    level: str


class _Lint(msgspec.Struct, frozen=True):
    """The document of `lint --report`, as far as the table tells of it."""

    findings: tuple[_Finding, ...]


class ImageRow(msgspec.Struct, frozen=True):
    """An image of the table."""

    receipt: Receipt
    report: ImageReport
    levels: tuple[str, ...]
    """The level of each finding of lint, such as `warning`."""


def read_row(folder: Path) -> ImageRow:
    """Return the row of an image, from the files that the rules `show` write for it.

    folder: with receipt.json, show.json and findings.json.
    Raises UsageError if one of them is missing, SkyportError if it is something else.
    """
    findings = _read(folder / "findings.json", _Lint).findings
    return ImageRow(
        receipt=read_record(folder / "receipt.json", Receipt),
        report=_read(folder / "show.json", ImageReport),
        levels=tuple(finding.level for finding in findings),
    )


def draw_table(rows: Iterable[ImageRow]) -> str:
    """Return an HTML fragment of ASCII characters: a table with a row for each image, by name."""
    heads = "".join(f"<th>{head}</th>" for head in _HEADS)
    ordered = sorted(rows, key=lambda row: row.receipt.name)
    lines = (f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(row))}</tr>" for row in ordered)
    table = "\n".join(
        (f'{_STYLE}<table class="skyport-images">', f"<thead><tr>{heads}</tr></thead>", "<tbody>", *lines, "</tbody>")
    )
    return f"{table}\n</table>\n".encode("ascii", "xmlcharrefreplace").decode()


def _cells(row: ImageRow) -> Sequence[str]:
    receipt, report = row.receipt, row.report
    wasted = "unknown"
    if report.wasted is not None:
        share = percentage(report.wasted / report.size if report.size else 0)
        wasted = f"{human_size(report.wasted)}<br><small>{share}</small>"
    system = f"<br><small>{_text(report.operating_system.name)}</small>" if report.operating_system else ""
    return (
        f"<b>{_text(receipt.name)}</b><br><small>{_text(receipt.image_id[:19])}</small>",
        f"{human_size(report.size)}<br><small>{count(len(report.layers), 'layer')}</small>",
        wasted,
        _text(count_packages(report.packages)) + system,
        _text(", ".join(f"{number} {level}" for level, number in Counter(row.levels).items()) or "nothing found"),
        f"{_place(receipt)}<br><small>{_text(receipt.registered or 'time unknown')}, for {receipt.readable_by}</small>",
        f"<code>{_text(f'skyport-wf run {receipt.name} -- COMMAND')}</code><br>"
        f"<small>AWE: <code>{_text(receipt.use.awe['Dockerimage'])}</code></small>",
    )


def _place(receipt: Receipt) -> str:
    """Return where the image is: a link, unless that leads to a store on somebody's disk."""
    node = f"<code>{_text(receipt.node)}</code>"
    if receipt.shock != EMBEDDED and receipt.download_url.startswith(("http://", "https://")):
        return f'<a href="{_text(receipt.download_url)}">{node}</a><br>on {_text(receipt.shock)}'
    return f"{node}<br>on the embedded Shock"


def _text(words: str) -> str:
    return escape(printable(words))


def _read(path: Path, kind: type[_Document]) -> _Document:
    try:
        return decode_json(read_bounded(path, _LARGEST), kind)
    except FileNotFoundError as error:
        raise UsageError(f"there is no {path}. The rules `show` write it: `snakemake show_all`.") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
        raise SkyportError(
            f"{path} is not what `skyport-wf show` or `lint` writes: {what}. Remove it: `snakemake show_all` writes it "
            "anew."
        ) from error
