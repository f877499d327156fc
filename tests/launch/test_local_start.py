"""What must hold before Ray starts on this machine, told without starting it."""

import os
import types
from pathlib import Path

import pytest
from ray._private.runtime_env import packaging
from ray._private.utils import validate_socket_filepath

from symstudy.errors import LaunchError
from symstudy.launch import RayLauncher
from symstudy.launch.cluster import reachable
from symstudy.launch.cluster.local_start import (
    MAX_SOCKET_PATH,
    SOCKET,
    check_home,
    check_local_start,
    check_temporary_folder,
    temporary_folder,
)
from symstudy.launch.launchers.ray import check_no_session, start_error
from symstudy.study import PackConfig


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("RAY_TMPDIR", "TMPDIR", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
def test_a_temporary_folder_with_a_long_path_is_refused(tmp_path, monkeypatch, name):
    folder = tmp_path / ("x" * 80)
    folder.mkdir()
    monkeypatch.setenv(name, str(folder))
    message = r"at most \d+ bytes long.*'.*xxx' of \d+\. Type RAY_TMPDIR=/tmp before.*inline"
    with pytest.raises(LaunchError, match=message):
        RayLauncher(PackConfig()).__enter__()


def test_the_longest_path_that_is_allowed_is_rays_own(monkeypatch):
    monkeypatch.setattr("symstudy.launch.cluster.local_start.is_writable", lambda _: True)
    room = MAX_SOCKET_PATH - len(SOCKET.format(pid=os.getpid())) - 1
    longest = "/" + "x" * (room - 1)
    check_temporary_folder(Path(longest))
    validate_socket_filepath(f"{longest}/{SOCKET.format(pid=os.getpid())}")
    with pytest.raises(OSError, match="AF_UNIX"):
        validate_socket_filepath(f"{longest}x/{SOCKET.format(pid=os.getpid())}")
    with pytest.raises(LaunchError, match=rf"at most {room} bytes"):
        check_temporary_folder(Path(f"{longest}x"))


def test_a_temporary_folder_that_cannot_be_written_is_refused(monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", "/proc/none")
    with pytest.raises(LaunchError, match=r"must be writable, but '/proc/none' is not"):
        check_local_start()


def test_a_home_that_cannot_be_written_is_refused(monkeypatch):
    monkeypatch.setenv("HOME", "/proc/none")
    with pytest.raises(LaunchError, match=r"'/proc/none/\.ray/auth_token'.*RAY_AUTH_TOKEN="):
        check_home()


@pytest.mark.parametrize(
    ("name", "value"),
    [("RAY_AUTH_MODE", "disabled"), ("RAY_AUTH_TOKEN", "x"), ("RAY_AUTH_TOKEN_PATH", "/a/file")],
)
def test_a_token_from_elsewhere_needs_no_home(monkeypatch, name, value):
    monkeypatch.setenv("HOME", "/proc/none")
    monkeypatch.setenv(name, value)
    check_home()


def test_a_home_with_a_token_needs_not_be_writable(tmp_path, monkeypatch):
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("x")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("symstudy.launch.cluster.local_start.is_writable", lambda _: False)
    check_home()


@pytest.mark.parametrize(
    ("address", "asked"), [(None, "start Ray on this machine"), ("head:1", "connect to head:1")]
)
def test_a_live_session_is_used_only_if_it_is_asked_for(address, asked):
    with pytest.raises(LaunchError, match=rf"connected to the one at here:1 .*{asked}.*'auto'"):
        check_no_session(address, "here:1")
    check_no_session(address, "")


def test_a_local_launch_beside_a_live_session_says_what_to_type(monkeypatch):
    context = types.SimpleNamespace(gcs_address="127.0.0.1:6379")
    live = types.SimpleNamespace(is_initialized=lambda: True, get_runtime_context=lambda: context)
    monkeypatch.setitem(__import__("sys").modules, "ray", live)
    with pytest.raises(LaunchError, match=r"127\.0\.0\.1:6379.*ray\.shutdown\(\) before"):
        RayLauncher(PackConfig()).__enter__()


def test_a_package_over_rays_limit_is_named_with_its_largest_file(tmp_path, monkeypatch):
    package = tmp_path / "nets"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "data.npz").write_bytes(b"x" * 100)
    monkeypatch.setattr(packaging, "GCS_STORAGE_MAX_SIZE", 10)
    with pytest.raises(ValueError, match="exceeds") as raised:
        packaging._store_package_in_gcs("gcs://x", b"x" * 20)
    error = start_error(raised.value, None, {"py_modules": [str(package)]})
    assert "must be below Ray's limit" in str(error)
    assert f"The largest file is {package / 'data.npz'}" in str(error)
    assert "same command again" not in str(error)


def test_r3_ray_works_in_a_folder_that_the_user_alone_may_enter():
    folder = temporary_folder()
    assert folder.stat().st_mode & 0o077 == 0
    assert folder.stat().st_uid == os.geteuid()


def test_r3_a_cluster_that_another_user_wrote_down_is_not_joined(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(reachable, "CURRENT", tmp_path / "ray_current_cluster")
    reachable.CURRENT.write_text("10.0.0.1:6379\n")
    assert reachable.find_current() == "10.0.0.1:6379"
    monkeypatch.setattr(reachable, "trusted_owners", lambda: frozenset([54321]))
    with pytest.raises(LaunchError, match=r"was written by .*--address host:port"):
        reachable.find_current()
