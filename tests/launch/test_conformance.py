"""The built-in launchers pass the suite that any launcher must pass."""

import psutil
import pytest

from symstudy.launch import InlineLauncher, RayLauncher
from symstudy.testing.launchers import LauncherConformance


class TestInline(LauncherConformance):
    long_s = 3.0

    def make_launcher(self, config):
        return InlineLauncher(device=config.device)


@pytest.fixture(scope="module")
def session():
    """A Ray session that this process has started before any launch."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    assert ray.is_initialized()
    ray.shutdown()


@pytest.mark.usefixtures("session")
@pytest.mark.ray
@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings(
    # Ray's own warnings, in its own process management.
    "ignore::DeprecationWarning:ray.*",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::FutureWarning",
)
class TestRay(LauncherConformance):
    """On a session that is there before: launches use it and leave it running."""

    def make_launcher(self, config):
        return RayLauncher(config, address="auto", workers=2)

    @pytest.mark.slow  # test_ray.py trains four packs, and proves them, on Ray
    def test_every_pack_is_accounted_for_once(self, run):
        super().test_every_pack_is_accounted_for_once(run)

    @pytest.mark.slow  # a search on Ray, in test_ray.py, asks for packs as others end
    def test_packs_that_depend_on_others_are_served(self, tmp_path):
        super().test_packs_that_depend_on_others_are_served(tmp_path)

    @pytest.mark.slow  # test_ray.py has a program that raises
    def test_an_exception_of_a_model_is_a_row_with_its_traceback(self, run):
        super().test_an_exception_of_a_model_is_a_row_with_its_traceback(run)

    @pytest.mark.slow  # what a launch leaves as it was is the same code for TestInline
    def test_the_calling_process_is_left_as_it_was(self, run):
        super().test_the_calling_process_is_left_as_it_was(run)

    def worker_processes(self):
        children = psutil.Process().children(recursive=True)
        return [child for child in children if "".join(child.cmdline()).startswith("ray::PackTr")]
