"""The built-in launchers pass the suite that any launcher must pass."""

import psutil
import pytest

from symstudy.launch import InlineLauncher, RayLauncher
from symstudy.testing.launchers import LauncherConformance


class TestInline(LauncherConformance):
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

    def worker_processes(self):
        children = psutil.Process().children(recursive=True)
        return [child for child in children if "".join(child.cmdline()).startswith("ray::PackTr")]
