import pytest
from starlette.testclient import TestClient

from symstudy.explore.app import create_app

TOKEN = "token-of-these-tests"


@pytest.fixture
def stranger(session):
    """A client without a token."""
    app = create_app(session, token=TOKEN, port=80)
    return TestClient(app, base_url="http://localhost", follow_redirects=False)


ADDRESSES = ("/", "/meta", "/present", "/verdicts", "/live", "/static/style.css", "/figure/a/b")


@pytest.mark.parametrize("address", ADDRESSES)
def test_without_a_token_nothing_is_answered(stranger, address):
    answer = stranger.get(address)
    assert answer.status_code == 403
    assert "Open the address that symstudy explore has printed" in answer.json()["error"]


@pytest.mark.parametrize("address", ["/panels", "/sql", "/history", "/figure"])
def test_without_a_token_nothing_is_run(stranger, address):
    assert stranger.post(address, json={"queries": ["select 1"]}).status_code == 403


def test_a_wrong_token_gives_no_cookie(stranger):
    answer = stranger.get("/?token=wrong")
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    assert stranger.get("/meta", headers={"Authorization": "Bearer wrong"}).status_code == 403
    assert stranger.get("/t/wrong/meta").status_code == 403


def test_the_token_is_exchanged_for_a_cookie_that_scripts_and_other_sites_lack(stranger):
    answer = stranger.get("/", params={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]
    cookie = answer.headers["set-cookie"].split(";")[0]
    assert stranger.get("/meta", headers={"Cookie": cookie}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil", ""])
def test_a_foreign_host_is_refused_whatever_it_knows(client, host):
    answer = client.get("/meta", headers={"Host": host})
    assert (answer.status_code, "ssh -L" in answer.json()["error"]) == (403, True)


def test_every_answer_forbids_scripts_of_others(client, stranger):
    for answer in (client.get("/"), client.get("/meta"), stranger.get("/"), client.get("/none")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_in_a_frame_the_path_holds_the_token_and_notebooks_may_show_it(stranger):
    answer = stranger.get(f"/t/{TOKEN}/meta")
    assert answer.status_code == 200
    assert "frame-ancestors http://localhost:*" in answer.headers["content-security-policy"]


def test_another_page_of_this_machine_cannot_ask_with_our_cookie(client):
    def ask(**headers):
        return client.post("/sql", content=b'{"queries": ["select 1"]}', headers=headers)

    json = {"Content-Type": "application/json"}
    assert ask(**json).status_code == 200
    assert ask(**json, **{"Sec-Fetch-Site": "same-site"}).status_code == 403
    assert ask(**{"Content-Type": "text/plain"}).status_code == 415
    assert client.post("/sql", json={"queries": ["x" * 1_000_001]}).status_code == 413


@pytest.mark.parametrize("path", ["../app.py", "%2e%2e/app.py", "..%2fapp.py", "/etc/passwd"])
def test_nothing_outside_of_the_page_s_own_files_is_sent(client, path):
    assert client.get(f"/static/{path}").status_code == 404


@pytest.mark.parametrize("claim", ["..%2f..%2fstudy", "%2e%2e", "a b", "study.json%00"])
def test_figures_are_of_plain_names_alone(client, claim):
    assert client.get(f"/figure/planted/{claim}").status_code in {400, 404}


def test_a_figure_of_results_runs_nothing(client, planted):
    (planted / "planted" / "figures").mkdir(exist_ok=True)
    (planted / "planted" / "figures" / "own.svg").write_text("<svg><script>1</script></svg>")
    answer = client.get("/figure/planted/own")
    assert answer.headers["content-security-policy"].endswith("sandbox")
