"""Files that a registry makes of images lie in its folder, whatever a Shock calls its nodes."""

import pytest

from skyport_wf.errors import SkyportError
from skyport_wf.registry.made_files import MadeFiles


@pytest.mark.parametrize("node", ["../x", "a/../../x", "/etc/x", "", ".", "..", "a\0b", "x" * 300])
def test_no_id_of_a_node_leads_elsewhere(node, tmp_path, monkeypatch):
    monkeypatch.setenv("SKYPORT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x.json").write_text("somebody's")
    files = MadeFiles("findings", ".json")
    assert files.find(node) is None
    with pytest.raises(SkyportError, match="no id of a node"):
        files.path(node)


def test_ids_of_nodes_are_names_of_files(tmp_path, monkeypatch):
    monkeypatch.setenv("SKYPORT_CACHE", str(tmp_path))
    path = MadeFiles("findings", ".json").path("7ff6fd3e-b497-4a42-be11-50d095fb6baa")
    assert path.parent == tmp_path / "registry/findings"
