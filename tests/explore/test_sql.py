import threading

import pytest

from symstudy.explore import box
from symstudy.explore.session import Session

ENDLESS = (
    "with recursive t as (select 1 as x union all select x from t) select count(*) from t",
    "select count(*) from range(1000000000) a, range(1000000000) b where a.range + b.range = 7",
)
UNSTOPPABLE = "select length(repeat('x', 200000000))"
"""One call of a function, which takes a minute."""
REFUSED = {
    "drop table runs": "one SELECT statement",
    "create table t as select 1": "one SELECT statement",
    "copy (select 1) to '/tmp/written.csv'": "one SELECT statement",
    "attach ':memory:' as other": "one SELECT statement",
    "set memory_limit = '1TB'": "one SELECT statement",
    "select 1; select 2": "one SELECT statement",
    "select * from read_text('/etc/passwd')": "disabled",
    "select * from '/etc/passwd'": "does not exist",
    "select * from glob('/etc/*')": "disabled",
    "select nonsense from runs": "nonsense",
    "not sql at all": "syntax error",
}


@pytest.fixture
def ask(client):
    def run(*queries, **more):
        answer = client.post("/sql", json={"queries": queries, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()["answers"]

    return run


def test_what_does_more_than_read_tables_is_refused_and_told(ask):
    answers = ask(*REFUSED)
    for answer, words in zip(answers, REFUSED.values(), strict=True):
        assert words in answer["error"], answer
    assert ask("select count(*) from runs")[0]["rows"] == [[16]]


@pytest.fixture(scope="module")
def boxed(planted):
    """A session of its own, whose queries may take some time."""
    session = Session([str(planted)])
    session.box.timeout_s = 60.0
    session.sql(["select 1"])
    yield session
    session.end()


@pytest.fixture
def asked(boxed):
    def run(*queries, timeout_s=60.0):
        boxed.box.timeout_s = timeout_s
        return boxed.sql(list(queries))

    return run


def test_what_does_not_end_is_stopped_and_the_next_query_is_answered(asked, boxed):
    before = boxed.box.process
    for stopped in asked(*ENDLESS, timeout_s=0.3):
        assert "must end within 0.3 s" in stopped["error"]
    assert asked("select 7")[0]["rows"] == [[7]]
    assert boxed.box.process is before


def test_a_function_that_duckdb_cannot_stop_ends_with_its_process(asked, boxed, monkeypatch):
    monkeypatch.setattr(box, "GRACE_S", 0.3)
    before = boxed.box.process
    (stopped,) = asked(UNSTOPPABLE, timeout_s=0.3)
    assert "must end within 0.3 s" in stopped["error"]
    assert before.poll() is not None
    assert asked("select 7")[0]["rows"] == [[7]]


def test_a_query_that_ends_its_process_is_told(asked, boxed):
    threading.Timer(0.2, boxed.box.process.kill).start()
    (told,) = asked(UNSTOPPABLE)
    assert "must fit 4GB of memory" in told["error"]
    assert asked("select 7")[0]["rows"] == [[7]]


def test_rows_that_are_added_are_in_the_next_answer(copied):
    session = Session([str(copied)])
    session.box.timeout_s = 60.0
    count = "select count(*) from runs"
    assert session.sql([count])[0]["rows"] == [[16]]
    (file,) = copied.glob("planted/runs/pack0003.parquet")
    file.unlink()
    session.changes += 1
    assert session.sql([count])[0]["rows"] == [[12]]
    session.end()


def test_a_million_rows_are_cut_and_that_is_said(ask):
    (answer,) = ask("select * from range(1000000)", rows=100)
    assert (len(answer["rows"]), answer["is_all"]) == (100, False)
    (answer,) = ask("select * from range(100)", rows=100)
    assert (len(answer["rows"]), answer["is_all"]) == (100, True)


def test_more_rows_than_a_page_takes_are_refused_with_what_to_type(client):
    answer = client.post("/sql", json={"queries": ["select 1"], "rows": 1_000_000})
    assert (answer.status_code, "symstudy query" in answer.json()["error"]) == (400, True)


def test_numbers_that_json_lacks_arrive_as_text(ask):
    (answer,) = ask(
        "select 'nan'::double, -'infinity'::double, 9007199254740993, null, 0.5::double"
    )
    assert answer["rows"] == [["NaN", "-Infinity", "9007199254740993", None, 0.5]]


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b'{"queries": 1}', b'{"queries": []}'])
def test_requests_of_another_form_are_refused(client, body):
    answer = client.post("/sql", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, bool(answer.json()["error"])) == (400, True)
