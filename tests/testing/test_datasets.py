"""Every built-in data set passes the shipped suite; a wrong one does not."""

import dataclasses

import numpy as np
import pytest

from symstudy.components import load_all
from symstudy.datasets.digits import DigitsConfig
from symstudy.datasets.file import FileConfig
from symstudy.datasets.identity import IdentityConfig
from symstudy.datasets.images import ImagesConfig
from symstudy.datasets.in_context import InContextConfig
from symstudy.datasets.none import NoDataConfig
from symstudy.datasets.spectrum import SpectrumConfig
from symstudy.datasets.teacher_student import TeacherStudentConfig
from symstudy.testing.datasets import DatasetSuite
from symstudy.testing.images import Images, draw_images, write_pair

CONFIGS = [
    DigitsConfig(samples=40),
    IdentityConfig(input_dim=4, samples=12, test_samples=9),
    IdentityConfig(input_dim=4, fresh=True, test_samples=9),
    InContextConfig(),
    NoDataConfig(),
    SpectrumConfig(input_dim=6, samples=12, test_samples=9),
    TeacherStudentConfig(samples=12, test_samples=9),
    TeacherStudentConfig(fresh=True, test_samples=9),
]


class TestBuiltIn(DatasetSuite):
    """What comes with symstudy."""

    @pytest.fixture(params=CONFIGS, ids=lambda config: config.kind)
    def config(self, request):
        return request.param


class TestFromFiles(DatasetSuite):
    """What reads files of the user's own."""

    @pytest.fixture(params=["file", "images", "integers"])
    def config(self, request, tmp_path):
        x, y = draw_images(20, (1, 4, 4))
        np.savez(tmp_path / "a.npz", x=x.astype(np.int64), y=y)
        path = str(write_pair(tmp_path, Images(x[:, 0], y)))
        made = {
            "file": FileConfig(task="classification", train=str(tmp_path / "a.npz")),
            "images": ImagesConfig(train=path),
            "integers": FileConfig(
                task="classification", train=str(tmp_path / "a.npz"), integers=True
            ),
        }[request.param]
        identified, mistakes = made.identified()
        assert mistakes == []
        return identified


KNOWN = {"mnist", "mnist_5k", "fashion_mnist", "cifar10", "svhn"}
"""Their files are served by a server of its own in tests/datasets/test_known.py."""


def test_every_kind_is_tested():
    tested = {config.kind for config in CONFIGS} | KNOWN | {"file", "images"}
    assert tested == set(load_all("datasets"))


def test_a_data_set_with_its_own_noise_fails():
    class Noisy(IdentityConfig):
        def build(self, seed):
            task = super().build(seed)
            noise = np.random.default_rng(seed).normal(size=task.y_train.shape)
            return dataclasses.replace(task, y_train=task.y_train + self.label_noise * noise)

    with pytest.raises(AssertionError):
        DatasetSuite().test_label_noise_is_left_to_the_run(Noisy(samples=9))


def test_a_data_set_of_another_size_fails():
    class Short(IdentityConfig):
        def build(self, seed):
            task = super().build(seed)
            return dataclasses.replace(task, x_test=task.x_test[1:], y_test=task.y_test[1:])

    with pytest.raises(AssertionError):
        DatasetSuite().test_it_has_the_sizes_that_it_tells(Short(samples=9))
