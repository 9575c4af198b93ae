"""A picture of an image's layers as SVG: their sizes, their waste, and whether other images have them too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape, quoteattr

import msgspec

from skyport_wf.formatting import human_size, percentage, printable, short_command, summarise_bytes
from skyport_wf.image.examination.report import ImageReport

MAX_ROWS: Final = 30
"""Layers with a row of their own; the smallest share one if there are more."""

_OWN, _SHARED, _WASTED, _UNKNOWN = "#4477aa", "#88c4e6", "#e0633a", "#b8bdc4"
"""Told apart by people with any kind of colour blindness, and in grey."""
_GROUND, _INK, _FAINT, _TRACK = "#ffffff", "#1f2933", "#616e7c", "#eef1f4"
_RED_INK: Final = "#b83a17"
"""Of words: the red of the bars is too light for them."""
_DARK: Final = {
    _GROUND: "#161b22", _INK: "#e6edf3", _FAINT: "#9aa7b4", _TRACK: "#262d36", _OWN: "#6699cc", _SHARED: "#2f6f94",
    _WASTED: "#e8744d", _UNKNOWN: "#6e7681", _RED_INK: "#f0916f",
}  # fmt: skip
"""The colours where the reader's screen is dark."""
_MONOSPACE: Final = "DejaVu Sans Mono, Menlo, Consolas, monospace"
_WIDTH, _MARGIN, _ROW, _BAR, _THIN = 960, 28, 40, 12, 4
_BARS_FROM, _BARS_TO = 64, 716
_SIZE_TO, _SHARE_TO = 796, 846
_HEAD, _LABEL_CHARACTERS, _NAME_CHARACTERS = 148, 92, 76
_HIDES: Final = 8
"""How many times as long as the others a bar is that leaves nothing to see of them."""
_ZOOMS: Final[tuple[int, ...]] = tuple(number * 10**power for power in range(9) for number in (1, 2, 5))
_FILES, _FILE_ROW = 8, 18
"""Wasted files that are named, and the height of their rows."""


class _Row(msgspec.Struct, frozen=True):
    """A row of the chart: a layer, or the rest."""

    number: str
    label: str
    tip: str
    size: int
    share: float
    wasted: int | None
    shared: bool


def draw_chart(report: ImageReport) -> str:
    """Return an SVG document with a row for each layer, the lowest first."""
    rows = _rows(report)
    longest = max((row.size for row in rows), default=0) or 1
    zoom = zoom_for([row.size for row in rows])
    files_from = _HEAD + _ROW * len(rows) + 12
    files = list(_wasted_files(report, files_from))
    height = files_from + (_FILE_ROW * (len(files) // 3) if files else -12) + _MARGIN
    summary = summarise_bytes(report.size, len(report.layers), report.wasted)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
            f'height="{height}" font-family="Helvetica, Arial, DejaVu Sans, sans-serif" role="img" '
            f"aria-label={quoteattr(f'{printable(report.name)}: {summary}')}>",
            f"<style>@media (prefers-color-scheme: dark) {{{_dark_style()}}}</style>",
            f'<rect width="{_WIDTH}" height="{height}" fill="{_GROUND}"/>',
            _at(_MARGIN, 40, _cut(report.name, _NAME_CHARACTERS), size=20, weight="bold"),
            _at(_MARGIN, 62, _cut(_origin(report), 120), size=13, fill=_FAINT),
            _at(_MARGIN, 82, summary, size=13, fill=_FAINT),
            *_legend(report, zoom),
            *(line for number, row in enumerate(rows) for line in _draw_row(row, _HEAD + _ROW * number, longest, zoom)),
            *files,
            "</svg>\n",
        )
    )


def is_chart(beginning: bytes) -> bool:
    """Return whether a file that begins so is a chart of layers, and no other picture."""
    return (
        re.match(rb'<svg xmlns="[^"]*" viewBox="0 0 [0-9]+ [0-9]+" [^>]* role="img" aria-label=', beginning) is not None
    )


def _rows(report: ImageReport) -> list[_Row]:
    by_size = sorted(report.layers, key=lambda layer: -layer.size)
    large = by_size if len(by_size) <= MAX_ROWS else by_size[: MAX_ROWS - 1]
    rows: list[_Row] = []
    for layer in sorted(large, key=lambda layer: layer.number):
        tip = f"layer {layer.number}, {layer.diff_id}\n{layer.created_by}"
        if layer.shared_with:
            tip += f"\nalso in {', '.join(layer.shared_with)}"
        command = short_command(layer.created_by) or "(the history does not tell)"
        shared = bool(layer.shared_with)
        rows.append(_Row(str(layer.number), command, tip, layer.size, layer.share, layer.wasted, shared))
    if rest := by_size[len(large) :]:
        wasted = None if any(layer.wasted is None for layer in rest) else sum(layer.wasted or 0 for layer in rest)
        size, share = sum(layer.size for layer in rest), sum(layer.share for layer in rest)
        rows.append(_Row("…", f"{len(rest)} smaller layers", "", size, share, wasted, shared=False))
    return rows


def _origin(report: ImageReport) -> str:
    """Return which image it is, on what it is built, and when it was made."""
    told = [f"image {report.image_id.removeprefix('sha256:')[:12]}"]
    if report.base:
        told.append(f"built on {report.base}")
    if report.created:
        told.append(f"made {report.created[:10]}")
    return ", ".join(told)


def zoom_for(sizes: Iterable[int]) -> int:
    """Return how many times as long as to scale the short bars are shown, too; 1 if no layer hides the others."""
    ordered = sorted(filter(None, sizes), reverse=True)
    for long, short in pairwise(ordered):
        if long >= _HIDES * short:
            return max((zoom for zoom in _ZOOMS if zoom * short <= ordered[0]), default=1)
    return 1


def _wasted_files(report: ImageReport, top: int) -> Iterator[str]:
    """Yield the largest of the files that are wasted, three texts for each, after a head of three."""
    if not report.largest_wasted:
        return
    largest = report.largest_wasted[:_FILES]
    yield _at(_MARGIN, top + 12, "Largest wasted files", size=12, weight="bold")
    yield _at(_SIZE_TO, top + 12, "size", size=12, fill=_FAINT, anchor="end")
    yield _at(_WIDTH - _MARGIN, top + 12, "in, by layer", size=12, fill=_FAINT, anchor="end")
    for number, file in enumerate(largest, start=1):
        base = top + 12 + _FILE_ROW * number
        path = f"/{file.path}"
        # The end of a path says more than its beginning.
        shown = path if len(path) <= _LABEL_CHARACTERS else f"…{path[1 - _LABEL_CHARACTERS :]}"
        yield _at(_MARGIN, base, shown, size=11.5, family=_MONOSPACE)
        yield _at(_SIZE_TO, base, human_size(file.size), size=12, fill=_RED_INK, anchor="end")
        how = f"{file.layer}, {file.how} by {file.hidden_by}"
        yield _at(_WIDTH - _MARGIN, base, how, size=12, fill=_FAINT, anchor="end")


def _dark_style() -> str:
    """Return the rules for dark screens: each colour has its counterpart."""
    return " ".join(f'[fill="{light}"] {{ fill: {dark}; }}' for light, dark in _DARK.items())


def _legend(report: ImageReport, zoom: int) -> Iterator[str]:
    """Yield the meaning of the colours, and the heads of the columns in the same line."""
    kinds = [(_OWN, "only in this image")]
    if any(layer.shared_with for layer in report.layers):
        kinds.append((_SHARED, "shared with other images"))
    kinds.append(
        (_UNKNOWN, "waste not counted") if report.wasted is None else (_WASTED, "wasted: deleted or overwritten above")
    )
    left = float(_MARGIN)
    for colour, words in kinds:
        yield _bar(left, 106, 12, colour, height=12)
        yield _at(left + 18, 116, words, size=12, fill=_FAINT)
        left += 44 + 6.4 * len(words)
    heads = [("size", _SIZE_TO), ("share", _SHARE_TO), *([("wasted", _WIDTH - _MARGIN)] if report.wasted else [])]
    for words, right in heads:
        yield _at(right, 116, words, size=12, fill=_FAINT, anchor="end")
    if zoom > 1:
        yield _bar(_MARGIN, 130, 12, _OWN, height=_THIN)
        yield _at(_MARGIN + 18, 135, f"thin: the same, {zoom:,} times as long", size=12, fill=_FAINT)


def _draw_row(row: _Row, top: int, longest: int, zoom: int) -> Iterator[str]:
    width = _BARS_TO - _BARS_FROM
    full = width * row.size / longest
    wasted = width * min(row.wasted or 0, row.size) / longest
    colour = _UNKNOWN if row.wasted is None else _SHARED if row.shared else _OWN
    yield f"<g><title>{_text(row.tip)}</title>" if row.tip else "<g>"
    yield _at(_BARS_FROM - 12, top + 11, row.number, size=12, fill=_FAINT, anchor="end")
    yield _at(
        _BARS_FROM,
        top + 11,
        _cut(row.label, _LABEL_CHARACTERS),
        size=11.5,
        family=_MONOSPACE,
    )
    yield _bar(_BARS_FROM, top + 17, width, _TRACK)
    yield _bar(_BARS_FROM, top + 17, max(full, 1.0), colour)
    if row.wasted:
        yield _bar(_BARS_FROM + full - wasted, top + 17, max(wasted, 1.0), _WASTED)
    if zoom > 1 and zoom * row.size <= longest and row.size:
        yield _bar(_BARS_FROM, top + 31, max(zoom * full, 1.0), colour, height=_THIN)
        if row.wasted:
            yield _bar(_BARS_FROM + zoom * (full - wasted), top + 31, max(zoom * wasted, 1.0), _WASTED, height=_THIN)
    yield _at(_SIZE_TO, top + 27, human_size(row.size), size=12, anchor="end")
    yield _at(_SHARE_TO, top + 27, percentage(row.share), size=12, fill=_FAINT, anchor="end")
    if row.wasted:
        yield _at(_WIDTH - _MARGIN, top + 27, human_size(row.wasted), size=12, fill=_RED_INK, anchor="end")
    yield "</g>"


def _bar(left: float, top: float, width: float, colour: str, *, height: float = _BAR) -> str:
    return f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{height}" rx="2" fill="{colour}"/>'


def _at(
    left: float, base: float, words: str, *, size: float, fill: str = _INK, weight: str = "", anchor: str = "",
    family: str = "",
) -> str:  # fmt: skip
    extra = {"font-weight": weight, "text-anchor": anchor, "font-family": family}
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in extra.items() if value)
    return f'<text x="{left:.1f}" y="{base}" font-size="{size}" fill="{fill}"{attributes}>{_text(words)}</text>'


def _text(words: str) -> str:
    return escape("\n".join(map(printable, words.split("\n"))))


def _cut(words: str, characters: int) -> str:
    return words if len(words) <= characters else words[: characters - 1] + "…"
