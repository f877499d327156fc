"""Fault R3: compiled kernels, which are run as found, lie in a folder of the user's own."""

import pytest

from symstudy import ownership
from symstudy.errors import LaunchError
from symstudy.kernels import cache, jit


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A temporary folder of all users, for a user whose home cannot be written."""
    monkeypatch.delenv("SYMSTUDY_KERNEL_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/proc/none")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ownership.own_temporary_folder.cache_clear()
    yield tmp_path
    ownership.own_temporary_folder.cache_clear()


def predictable(shared):
    """Return the folder that another user would plant."""
    return shared / ownership.own_temporary_folder().name


def test_r3_without_a_home_kernels_lie_where_the_user_alone_may_enter(shared):
    folder = cache.cache_folder()
    assert folder.parent.parent == shared
    assert [place.stat().st_mode & 0o777 for place in (folder.parent, folder)] == [0o700] * 2
    assert cache.cache_folder() == folder


@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_r3_a_folder_that_others_may_write_to_is_not_used(shared, mode):
    planted = predictable(shared)
    planted.chmod(mode)
    ownership.own_temporary_folder.cache_clear()
    folder = cache.cache_folder()
    assert planted not in folder.parents
    assert folder.parent.stat().st_mode & 0o077 == 0


def test_r3_a_link_to_what_others_may_write_to_is_not_followed(shared, tmp_path_factory):
    planted, target = predictable(shared), tmp_path_factory.mktemp("target")
    planted.rmdir()
    target.chmod(0o777)
    planted.symlink_to(target)
    ownership.own_temporary_folder.cache_clear()
    assert planted not in cache.cache_folder().parents
    assert list(target.iterdir()) == []


def test_r3_a_named_folder_of_somebody_else_is_told_and_left(shared, monkeypatch):
    named = shared / "named"
    named.mkdir()
    named.chmod(0o777)
    monkeypatch.setenv("SYMSTUDY_KERNEL_CACHE", str(named))
    with pytest.warns(UserWarning, match=r"folder of your own.*named.*everybody may write to it"):
        folder = cache.cache_folder()
    assert named not in folder.parents
    assert list(named.iterdir()) == []


def test_r3_numbas_settings_of_somebody_else_in_the_working_directory_are_refused(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    jit.check_settings()
    (tmp_path / jit.SETTINGS).write_text("opt: 0\n")
    jit.check_settings()
    monkeypatch.setattr(ownership, "trusted_owners", lambda: frozenset([54321]))
    with pytest.raises(LaunchError, match=r"numba_config\.yaml' it belongs to"):
        jit.check_settings()
