"""The table of images for Snakemake's report."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.image.examination.report import ImageReport
from skyport_wf.inspection.image_table import ImageRow, draw_table, read_row
from tests.support.sample_records import receipt

REPORT = ImageReport(
    name="a/b:1", image_id="sha256:" + "1" * 64, size=2_000_000, wasted=500_000, layers=(), largest_wasted=(),
    shared=(), operating_system=None, packages=(), notes=(),
)  # fmt: skip


def row(*, levels: tuple[str, ...] = (), wasted: int | None = 500_000, **fields: Any) -> ImageRow:
    report = msgspec.structs.replace(REPORT, wasted=wasted)
    return ImageRow(receipt=msgspec.structs.replace(receipt(), **fields), report=report, levels=levels)


def test_it_tells_of_waste_and_findings_and_is_in_the_order_of_names():
    table = draw_table([row(name="b/b:1", levels=("warning", "info", "warning")), row(name="a/a:1", wasted=None)])
    assert table.index("<b>a/a:1</b>") < table.index("<b>b/b:1</b>")
    assert "<td>500.0 kB<br><small>25.0%</small></td>" in table
    assert "<td>unknown</td>" in table
    assert "<td>2 warning, 1 info</td>" in table


def test_words_of_others_stay_words():
    hostile = '<script>alert("1")</script>\x1b[31m ä'
    table = draw_table([row(name=hostile, shock=hostile, download_url="https://x/?a=<b>\"'")])
    assert "<script" not in table
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;[31m &#228;" in table
    assert '<a href="https://x/?a=&lt;b&gt;&quot;&#x27;">' in table
    assert table.isascii()


def test_only_addresses_of_the_web_are_links():
    assert "<a " not in draw_table([row(shock="https://x", download_url="javascript:alert(1)")])


def test_files_that_are_missing_or_something_else_are_named(tmp_path: Path):
    with pytest.raises(UsageError, match=r"there is no .*findings\.json\. The rules `show` write it"):
        read_row(tmp_path)
    for content, what in (
        (b'{"findings": 1}', "Expected `array`, got `int`"),
        (b'{"findings": [{"level": "\xff"}]}', "it is not UTF-8"),
        (b'{"other": ' + b"[" * 100_000, "maximum recursion depth"),
        (b"", "Input data was truncated"),
    ):
        (tmp_path / "findings.json").write_bytes(content)
        with pytest.raises(SkyportError, match=rf"findings\.json is not what .* writes: {what}.* Remove it: "):
            read_row(tmp_path)
