"""The rank of the first layer saturates with width under weight decay."""

from symstudy.findings import All, Evidence, Flat, Grows, Ratio, claim

from ..shared.training_arms import training_arms
from .width_saturation import FLAT, GROWING

FIRST = "rank of the first layer"


@claim(
    title="The first layer's rank saturates with width under weight decay",
    statement=(
        "Past some width, the rank of the first hidden layer and the test error do not depend on "
        "the width under weight decay; without it the rank keeps growing."
    ),
    study="width_saturation_noise",
    reference="arXiv:2502.05300, Fig. 9",
)
def width_saturation_first_layer(runs: Evidence) -> All:
    """Flat at the largest weight decay, growing without, under gradient descent on fixed data."""
    arms = training_arms(runs)
    decayed = arms.where("arm = 'decay'").learned().merged().complete("gamma", "width")
    strongest = decayed.at_largest("gamma", over="width", places=3)
    free = arms.where("arm = 'nothing'")
    return All(
        Flat(strongest, "first_rank", along="width", within=FLAT, name=FIRST),
        Ratio(strongest, "test_loss", along="width", within=0.1),
        Grows(free, "first_rank", along="width", at_least=GROWING, name=FIRST),
    )
