"""Addresses that are no Ray cluster, told from one within seconds."""

import contextlib
import socket
import threading

import pytest

from symstudy.errors import LaunchError
from symstudy.launch.cluster import reachable
from symstudy.launch.cluster.reachable import check_membership, check_reachable, find_current


@contextlib.contextmanager
def answering(*parts):
    """Listen at an address and answer whoever comes with `parts`."""

    def answer():
        with contextlib.suppress(OSError):
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                for part in parts:
                    connection.sendall(part)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\0\0\0"])
def test_another_program_is_told_from_a_cluster(said):
    with (
        answering(said) as address,
        pytest.raises(LaunchError, match="another program listens there"),
    ):
        check_reachable(address)


def test_a_server_that_never_answers_does_not_hang(monkeypatch):
    monkeypatch.setattr(reachable, "CONNECT_S", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(LaunchError, match="timed out"),
    ):
        check_reachable(f"127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "127.0.0.1:99999", "http://a:b"])
def test_an_address_where_nothing_is_is_named(address):
    with pytest.raises(LaunchError, match="must be the host:port of a running Ray cluster"):
        check_reachable(address)


def test_a_server_that_speaks_as_ray_does_is_asked_for_our_token(monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(reachable, "check_access", asked.append)
    # In two parts, as a network may deliver it.
    with answering(b"\0\0\6\4", b"\0\0\0\0\0\0\3\0\0\0\x64") as address:
        check_reachable(address)
    assert asked == [address]


def test_auto_is_what_the_environment_or_the_machine_says(monkeypatch, tmp_path):
    monkeypatch.setattr(reachable, "CURRENT", tmp_path / "current")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert find_current() == ""
    check_reachable("auto")
    (tmp_path / "current").write_text("192.0.2.1:6379\n")
    assert find_current() == "192.0.2.1:6379"
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.2:6379")
    assert find_current() == "192.0.2.2:6379"
    monkeypatch.setenv("RAY_ADDRESS", "http://192.0.2.3:8265")
    assert find_current() == "192.0.2.1:6379"


def test_a_cluster_that_is_gone_is_told_of_under_auto_too(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(LaunchError, match="'auto'"):
        check_reachable("auto")


def test_a_machine_that_is_no_node_of_the_cluster_is_told_how_to_become_one():
    check_membership("head:6379", {"a", "b"}, {"b", "c"})
    with pytest.raises(LaunchError, match="ray start --address head:6379.*symstudy submit"):
        check_membership("head:6379", {"a"}, {"c"})
