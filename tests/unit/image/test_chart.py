"""The picture of an image's layers: well-formed, to scale, and harmless whatever the image says of itself."""

import xml.etree.ElementTree as ElementTree
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.formatting import human_size, short_command
from skyport_wf.image.contents import Layer
from skyport_wf.image.examination.chart import MAX_ROWS, draw_chart
from skyport_wf.image.examination.report import ImageReport, LayerReport, SharedBytes, make_report
from skyport_wf.image.examination.waste import WastedFile
from tests.support.docker_archives import Image, file_member, layer_tar, tar_of
from tests.support.examined_images import examine

SVG = "{http://www.w3.org/2000/svg}"
OWN, SHARED, WASTED, UNKNOWN, TRACK = "#4477aa", "#88c4e6", "#e0633a", "#b8bdc4", "#eef1f4"


def layer(number: int, size: int, **others: Any) -> LayerReport:
    values = {"share": 0.1, "files": 1, "wasted": 0, "created_by": f"RUN step {number}", "shared_with": ()} | others
    return LayerReport(number=number, diff_id=f"sha256:{number:064}", size=size, **values)


def report(*layers: LayerReport, name: str = "skyport/tool:1.0") -> ImageReport:
    wasted = None if any(layer.wasted is None for layer in layers) else sum(layer.wasted or 0 for layer in layers)
    size = sum(layer.size for layer in layers)
    return ImageReport(name, f"sha256:{0:064}", size, wasted, layers, (), (), None, (), ())


def drawn(chart: ImageReport) -> ElementTree.Element:
    return ElementTree.fromstring(draw_chart(chart))


def texts(chart: ImageReport) -> list[str]:
    return [element.text or "" for element in drawn(chart).iter(f"{SVG}text")]


def widths(chart: ImageReport, colour: str) -> list[float]:
    """Return the widths of the bars of a colour, without the legend."""
    bars = [group.findall(f"{SVG}rect") for group in drawn(chart).iter(f"{SVG}g")]
    return [float(bar.attrib["width"]) for row in bars for bar in row if bar.attrib["fill"] == colour]


def test_bars_are_to_scale() -> None:
    chart = report(layer(1, 100_000_000, wasted=25_000_000), layer(2, 50_000_000), layer(3, 200_000_000))
    (full, *_) = widths(chart, TRACK)
    assert widths(chart, OWN) == pytest.approx([full / 2, full / 4, full], abs=0.06)
    assert widths(chart, WASTED) == pytest.approx([full / 8], abs=0.06)


def test_waste_is_the_end_of_its_bar() -> None:
    (row,) = drawn(report(layer(1, 1000, wasted=400))).iter(f"{SVG}g")
    track, bar, waste = ({key: bar.attrib[key] for key in ("x", "width")} for bar in row.findall(f"{SVG}rect"))
    assert track == bar
    assert float(waste["x"]) + float(waste["width"]) == pytest.approx(float(bar["x"]) + float(bar["width"]), abs=0.1)


def test_shared_layers_have_another_colour() -> None:
    chart = report(layer(1, 100, shared_with=("a/b:1",)), layer(2, 100))
    assert len(widths(chart, SHARED)) == len(widths(chart, OWN)) == 1
    assert "shared with other images" in texts(chart)
    assert "also in a/b:1" in draw_chart(chart)
    assert "shared with other images" not in texts(report(layer(1, 100)))


def test_unknown_waste() -> None:
    chart = report(layer(1, 100, wasted=None))
    assert len(widths(chart, UNKNOWN)) == 1
    assert {"waste not counted", "100 B in 1 layer, waste unknown"} <= set(texts(chart))


def test_what_is_written() -> None:
    chart = report(layer(1, 120_600_000, share=0.886, wasted=916_288), layer(2, 15_500_000, share=0.114))
    assert {
        "skyport/tool:1.0", "136.1 MB in 2 layers, 916.3 kB wasted (0.7%)", "120.6 MB", "88.6%", "916.3 kB",
        "RUN step 1",
    } <= set(texts(chart))  # fmt: skip


def test_an_image_without_layers() -> None:
    assert "0 B in 0 layers, 0 B wasted (0.0%)" in texts(report())


def test_an_empty_layer() -> None:
    assert widths(report(layer(1, 0)), OWN) == [1.0]


def test_many_layers_share_a_row() -> None:
    layers = [layer(number, number * 10, share=0.01) for number in range(1, 101)]
    chart = report(*layers)
    rows = list(drawn(chart).iter(f"{SVG}g"))
    assert len(rows) == MAX_ROWS
    assert "71 smaller layers" in texts(chart)
    assert human_size(sum(range(1, 72)) * 10) in texts(chart)


def test_an_image_may_say_anything_of_itself() -> None:
    command = "/bin/sh -c <script>alert('&amp;')</script> \x00\x1b[31m\ufffe\u202e \"quoted\""
    chart = report(layer(1, 10, created_by=command, shared_with=("<a>&",)), name='a"<b>&\x07')
    root = drawn(chart)
    assert root.attrib["aria-label"].startswith('a"<b>&: 10 B')
    assert {element.tag for element in root.iter()} == {
        f"{SVG}{tag}" for tag in ("svg", "style", "rect", "text", "g", "title")
    }
    assert "\x1b" not in draw_chart(chart)


def test_long_names_and_commands_are_cut() -> None:
    shown = texts(report(layer(1, 10, created_by="c" * 500), name="n" * 255))
    assert "n" * 75 + "…" in shown
    assert "c" * 91 + "…" in shown


@pytest.mark.slow
@given(st.text(), st.lists(st.text(), max_size=3))
def test_it_is_always_well_formed(name: str, commands: list[str]) -> None:
    layers = [layer(number, 10, created_by=command, shared_with=(command,)) for number, command in enumerate(commands)]
    drawn(report(*layers, name=name))
    draw_chart(report(*layers, name=name)).encode()


@pytest.mark.parametrize(
    ("created_by", "shown"),
    [
        ("/bin/sh -c #(nop) ADD file:1 in / ", "ADD file:1 in /"),
        ("/bin/sh -c apt-get update", "RUN apt-get update"),
        ("RUN /bin/sh -c make # buildkit", "RUN make"),
        ("COPY a /b # buildkit", "COPY a /b"),
        ("/bin/bash", "/bin/bash"),
        ("a\n\tb\x1b", "a b"),
        ("", ""),
    ],
)
def test_commands_as_a_dockerfile_has_them(created_by: str, shown: str) -> None:
    assert short_command(created_by) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (61_300_000, "61.3 MB"),
     (5 * 10**15, "5000.0 TB")],
)  # fmt: skip
def test_sizes(size: int, shown: str) -> None:
    assert human_size(size) == shown


# --- what the chart is made from -------------------------------------------------------------------------------------


def test_a_report() -> None:
    base = tar_of([file_member("base", b"x" * 10_000)])
    top = layer_tar({".wh.base": b"", "tool": b"x"})
    image = Image((base, top, top))
    others = {
        "a/same:1": [Layer(image.diff_ids[0], len(base), ""), Layer("sha256:else", 5, "")],
        "a/all:1": [Layer(diff_id, 0, "") for diff_id in image.diff_ids],
        "a/none:1": [Layer("sha256:else", 5, "")],
    }
    made = make_report("a/b:1", examine(image), others, notes=("more",))
    size = len(base) + 2 * len(top)
    assert (made.size, made.wasted, made.image_id) == (size, 10_001, image.image_id)
    assert [layer.shared_with for layer in made.layers] == [("a/all:1", "a/same:1"), ("a/all:1",), ("a/all:1",)]
    assert [layer.wasted for layer in made.layers] == [10_000, 1, 0]
    assert [layer.created_by for layer in made.layers] == ["step 0", "step 1", "step 2"]
    assert sum(layer.share for layer in made.layers) == pytest.approx(1)
    # The layer that is there twice counts once.
    assert made.shared == (SharedBytes("a/all:1", len(base) + len(top)), SharedBytes("a/same:1", len(base)))
    assert made.notes == ("more",)
    assert msgspec.json.decode(msgspec.json.encode(made), type=ImageReport) == made


def thin_bars(chart: ImageReport) -> list[float]:
    bars = [bar for group in drawn(chart).iter(f"{SVG}g") for bar in group.findall(f"{SVG}rect")]
    return [float(bar.attrib["width"]) for bar in bars if bar.attrib["height"] == "4"]


def test_which_image_it_is() -> None:
    chart = msgspec.structs.replace(
        report(layer(1, 100)),
        image_id=f"sha256:{7:064x}"[:-1] + "a",
        base="debian:bookworm",
        created="2026-11-26T20:20:25Z",
    )
    assert "image 000000000000, built on debian:bookworm, made 2026-11-26" in texts(chart)
    assert "image 000000000000" in texts(report(layer(1, 100)))


def test_a_layer_that_hides_the_others_leaves_them_a_scale_of_their_own() -> None:
    chart = report(layer(1, 1_000_000), layer(2, 10_000, wasted=5000), layer(3, 1000), layer(4, 0))
    (full, *_) = widths(chart, TRACK)
    # A hundred times as long: the longest of the others is as long as there is room.
    assert thin_bars(chart) == pytest.approx([full, full / 2, full / 10], abs=0.1)
    assert "thin: the same, 100 times as long" in texts(chart)
    # The thick ones stay to scale.
    assert widths(chart, OWN)[0] == pytest.approx(full, abs=0.1)


@pytest.mark.parametrize("sizes", [(100, 90, 80), (100, 13), (100,), (0, 0), ()])
def test_one_scale_is_enough(sizes: tuple[int, ...]) -> None:
    chart = report(*(layer(number, size) for number, size in enumerate(sizes, start=1)))
    assert thin_bars(chart) == []
    assert not any("thin" in text for text in texts(chart))


def test_the_largest_wasted_files_are_named() -> None:
    files = tuple(WastedFile(f"data/{'x' * 200}{n}<&>\x1b", 1000 - n, 1, 3, "deleted") for n in range(20))
    chart = msgspec.structs.replace(report(layer(1, 20_000, wasted=19_000)), largest_wasted=files)
    told = texts(chart)
    assert [text for text in told if text.endswith("0<&>")] == [f"…{'x' * 86}0<&>"]
    assert sum("deleted by 3" in text for text in told) == 8
    height = float(drawn(chart).attrib["height"])
    assert height - 50 < max(float(text.attrib["y"]) for text in drawn(chart).iter(f"{SVG}text")) < height - 10
    assert "Largest wasted files" not in texts(report(layer(1, 100)))


def test_each_colour_has_one_for_dark_screens() -> None:
    chart = report(layer(1, 10**9, wasted=10**8, shared_with=("a:1",)), layer(2, 100), layer(3, 100, wasted=None))
    root = drawn(chart)
    (style,) = root.iter(f"{SVG}style")
    used = {element.attrib["fill"] for element in root.iter() if "fill" in element.attrib}
    assert len(used) > 5
    assert (style.text or "").startswith("@media (prefers-color-scheme: dark)")
    assert all(f'[fill="{colour}"] {{ fill: #' in (style.text or "") for colour in used)
