"""Fault R4: what results name as code is not looked for in the working directory."""

import pytest

from symstudy.components.own_code import load_own
from symstudy.components.own_modules import find_module, looking_in, named_by_results
from symstudy.errors import ModelError


def test_r4_modules_that_results_name_are_not_those_of_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "planted_7d1f.py").write_text("raise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    assert find_module("planted_7d1f") is not None
    with named_by_results():
        assert find_module("planted_7d1f") is None
        with pytest.raises(ModelError, match="must name an importable module"):
            load_own("planted_7d1f:Model", "model.kind")
        with looking_in(tmp_path):
            assert find_module("planted_7d1f") is not None


def test_a_module_whose_import_fails_is_not_to_be_moved(tmp_path):
    (tmp_path / "broken_41ce.py").write_text("import no_such_library\n")
    with looking_in(tmp_path), pytest.raises(ModelError, match="is there, but importing it fails"):
        load_own("broken_41ce:Model", "model.kind")
