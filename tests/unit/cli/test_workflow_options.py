"""What workflow engines need of the command line: a folder for an image list, file names for several images."""

from pathlib import Path

from skyport_wf.cli.arguments import fill_key, image_list
from skyport_wf.image_list.reference import parse_reference


def test_a_folder_stands_for_the_image_list_in_it(tmp_path: Path) -> None:
    assert image_list(str(tmp_path)) == tmp_path / "images.yaml"
    assert image_list(str(tmp_path / "list.yaml")) == tmp_path / "list.yaml"


def test_the_key_makes_the_names_of_files() -> None:
    reference = parse_reference("lab/tool:1.0")
    assert fill_key(Path("out/{key}.receipt.json"), reference) == Path("out/lab_tool_1.0.receipt.json")
    assert fill_key(Path("receipt.json"), reference) == Path("receipt.json")
