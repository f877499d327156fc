"""Does the noise of SGD alone keep the rank from growing with width?

Three ways of training one network: gradient descent with nothing, gradient descent with weight
decay, and SGD on a fresh batch at every step without weight decay, at several lr / batch. Noise
acts slowly, and on a task that can be solved exactly ever more slowly, since it vanishes with the
loss. So each number is compared with what it was after half of the steps: one that is still falling
says nothing of where it ends.
"""

from symstudy.findings import All, Evidence, Flat, Grows, Ratio, Reported, Settled, claim

from ..shared.training_arms import training_arms
from .width_saturation import FLAT, GROWING

FIRST = "rank of the first layer"


@claim(
    title="Noise alone keeps capacity from growing with width",
    statement=(
        "Past some width, the rank of the hidden layers and the test error of a network trained by "
        "SGD on fresh batches do not depend on the width, without any weight decay; under gradient "
        "descent the rank keeps growing."
    ),
    study="width_saturation_noise",
    reference="arXiv:2502.05300, Fig. 3 (middle) and Fig. 9",
)
def width_saturation_noise(runs: Evidence) -> All:
    """Flat at the largest lr / batch, growing under gradient descent without decay."""
    arms = training_arms(runs)
    noisy = arms.where("arm = 'noise'").learned().complete("lr_over_batch", "width")
    strongest = noisy.at_largest("lr_over_batch", over="width", places=3)
    counted = ("rank", "effective_rank", "distinct_neurons")
    return All(
        Settled(Flat(strongest, "rank", along="width", within=FLAT), "early_rank"),
        Settled(
            Flat(strongest, "first_rank", along="width", within=FLAT, name=FIRST),
            "early_first_rank",
        ),
        Settled(Ratio(strongest, "test_loss", along="width", within=0.1), "early_test_loss"),
        Grows(arms.where("arm = 'nothing'"), "rank", along="width", at_least=GROWING),
        *(
            Reported(
                Settled(
                    Flat(noisy, value, along="width", within=FLAT, by=("lr_over_batch",)),
                    f"early_{value}",
                )
            )
            for value in counted
        ),
    )
