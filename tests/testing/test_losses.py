"""Every built-in loss passes the shipped suite; a wrong one does not."""

import pytest

from symstudy.components import DataShape, load_all
from symstudy.losses.auto import Auto
from symstudy.losses.cross_entropy import CrossEntropy
from symstudy.losses.mse import Mse
from symstudy.losses.squared_error import SquaredError
from symstudy.testing.losses import LossSuite


class TestNumbers(LossSuite):
    """Losses of regression."""

    @pytest.fixture(params=[Mse(), SquaredError()], ids=lambda loss: loss.kind)
    def loss(self, request):
        return request.param


class TestClasses(LossSuite):
    """Losses of classes."""

    classes = True

    @pytest.fixture(params=[CrossEntropy(), CrossEntropy(label_smoothing=0.2), Mse()], ids=str)
    def loss(self, request):
        return request.param


@pytest.mark.parametrize("is_classification", [True, False])
def test_the_loss_that_fits_the_data_is_one_of_those_tested(is_classification):
    shape = DataShape(3, 2, 5, 5, is_classification=is_classification)
    assert type(Auto().resolved(shape)) in (CrossEntropy, SquaredError)
    assert set(load_all("losses")) == {"auto", "cross_entropy", "mse", "squared_error"}


@pytest.mark.parametrize(
    ("wrong", "test"),
    [
        (lambda f, y: (f - y).square(), "test_it_is_one_number_a_sample"),
        (lambda f, y: (f - y.mean(1, keepdim=True)).square().sum(2), "test_a_sample_does_not_see"),
        (lambda f, y: -(f - y).square().sum(2).detach() + 0 * f.sum(2), "test_its_gradient_is"),
    ],
)
def test_a_wrong_loss_fails(wrong, test):
    class Wrong(Mse):
        def per_sample(self, output_KBO, target_KBO):
            return wrong(output_KBO, target_KBO)

    (name,) = [name for name in dir(LossSuite) if name.startswith(test)]
    with pytest.raises(AssertionError):
        getattr(LossSuite(), name)(Wrong())
