"""What is said of nodes that cannot take part."""

import pytest

from symstudy.errors import LaunchError
from symstudy.launch.cluster.check import (
    Answer,
    check_modules,
    check_results,
    check_versions,
    make_question,
)

VERSIONS = {
    "python": "3.11", "symstudy": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6", "numba": "0.68.1",
    "sources": "ab",
}  # fmt: skip


def answer(host, results="", lacking=(), **versions):
    return Answer(host, VERSIONS | versions, list(lacking), results)


def test_nodes_that_are_alike_pass():
    answers = [answer("a"), answer("b")]
    check_versions(answers, VERSIONS)
    check_modules(answers)
    check_results(answers, "/r", is_local=True)


def test_another_version_is_named_with_what_to_type():
    answers = [answer("a"), answer("b", torch="2.11.0"), answer("c", symstudy="", sources="")]
    with pytest.raises(LaunchError) as caught:
        check_versions(answers, VERSIONS)
    message = str(caught.value)
    assert "b (torch 2.11.0 for 2.13.0)" in message
    assert "c (symstudy not installed for 0.1.0)" in message
    assert "pip install -c constraints.txt symstudy==0.1.0" in message


def test_another_python_is_named():
    with pytest.raises(LaunchError, match=r"python 3.12 for 3.11.*with python3\.11"):
        check_versions([answer("a", python="3.12")], VERSIONS)


def test_other_sources_of_the_same_version_are_named():
    with pytest.raises(LaunchError, match=r"its sources differ on a from.*same wheel"):
        check_versions([answer("a", sources="cd"), answer("b")], VERSIONS)


def test_a_module_that_a_node_lacks_is_named():
    with pytest.raises(LaunchError, match=r"b \(nets\).*beside the study file"):
        check_modules([answer("a"), answer("b", lacking=["nets"])])


def test_a_module_cannot_travel_to_a_session_that_was_there_before():
    with pytest.raises(LaunchError, match=r"b \(nets\).*ray\.shutdown\(\) first"):
        check_modules([answer("b", lacking=["nets"])], is_shared=True)


def test_a_folder_that_not_all_nodes_see_is_refused():
    with pytest.raises(LaunchError, match=r"a folder that all nodes see.*'/r'.*b \(none\)"):
        check_results([answer("a"), answer("b", "none")], "/r", is_local=True)


def test_an_object_store_without_credentials_is_refused():
    with pytest.raises(LaunchError, match=r"b \(ACCESS_DENIED\).*AWS_ACCESS_KEY_ID"):
        check_results([answer("b", "ACCESS_DENIED")], "s3://b/r", is_local=False)


def test_many_nodes_make_no_long_message():
    answers = [answer(f"n{place}", "none") for place in range(20)]
    with pytest.raises(LaunchError, match="n2 \\(none\\) and 17 more"):
        check_results(answers, "/r", is_local=True)


def test_a_node_tells_what_it_has_and_leaves_nothing_behind(tmp_path):
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "probe").write_text("probe")
    found = Answer(*make_question()(str(tmp_path), "probe", ["json", "no_such_9"], ["numpy"], 0.1))
    assert found.lacking == ["no_such_9"]
    assert found.results == ""
    assert len(found.versions["sources"]) == 16
    assert [path.name for path in (tmp_path / "control").iterdir()] == ["probe"]


def test_a_node_that_does_not_see_the_results_says_so(tmp_path):
    found = Answer(*make_question()(str(tmp_path / "elsewhere"), "probe", [], [], 0.1))
    assert "must be readable" in found.results
