"""Barriers of the loss between two trainings of one network, before and after matching.

A program for `[program] entry = "symstudy.experiments.mode_connectivity:main"`: each run trains a
pair of networks from other starts with other batches, and is one independent unit.

Shapes: K runs, P parameters, D random draws.
"""

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.errors import UserError
from symstudy.layout import Layout
from symstudy.losses.cross_entropy import CrossEntropy
from symstudy.programs.run import ProgramRun
from symstudy.study import PackConfig, make_study
from symstudy.theory.matching import match_weights
from symstudy.theory.neuron_maps import balance, random_neuron_map
from symstudy.theory.orbits import Loss
from symstudy.theory.paths import line_barrier
from symstudy.training.loop import make_engine, make_pack
from symstudy.training.losses import accuracy, data_loss

__all__ = ["Barriers", "TrainedPair", "main", "measure_barriers", "train_pair"]

POINTS = 11
"""Grid points of a line, ends included."""
REFINEMENTS = 6
"""Golden sections between them: the top is located to 1 % of the line."""
AT_ONCE = 50
"""Random permutations that are evaluated together."""
MODEL, TRAIN = ("activation", "depth", "width"), ("lr", "gamma", "batch_size", "steps")
KEYS = (*MODEL, "data", *TRAIN, "draws")
"""Keys of `[config]`."""


class TrainedPair(NamedTuple):
    """Two trained networks of one layout.

    Attributes:
        layout: Theirs.
        theta_KP: Their parameters, float64.
        loss: Loss on the test data of rows of parameters.
        loss_K: Of the two.
        accuracy_K: Of the two, on the test data.
    """

    layout: Layout
    theta_KP: Float[Tensor, "2 parameters"]
    loss: Loss
    loss_K: Float[Tensor, " 2"]
    accuracy_K: Float[Tensor, " 2"]


class Barriers(NamedTuple):
    """Heights of the loss on the straight line between two networks above its chord.

    Attributes:
        raw: Between the networks as they are.
        balanced: With homogeneous neurons balanced.
        matched: With the neurons of the second in the order and signs of the first, too.
        null_D: With random permutations and signs in place of the matching.
        similarity: Cosine of the matched networks.
    """

    raw: float
    balanced: float
    matched: float
    null_D: Float[Tensor, " draws"]
    similarity: float

    @property
    def p_value(self) -> float | None:
        """Share of the permutations, the matching among them, with a barrier as low as matched.

        A barrier of a permutation that is no number counts as low; None where that of the matching
        is none, so that nothing can be said.
        """
        if math.isnan(self.matched):
            return None
        return (1 + int((~(self.null_D > self.matched)).sum())) / (1 + len(self.null_D))


def main(run: ProgramRun) -> None:
    """Train the pair that `run.seed` names and report its barriers.

    Raises:
        UserError: If `[config]` has not exactly the keys of `KEYS`.
    """
    if set(run.config) != set(KEYS):
        raise UserError(
            f"[config] must have the keys {', '.join(KEYS)}, but got {sorted(run.config)}. See "
            "studies/mode_connectivity.toml"
        )
    if int(run.config["draws"]) < 1:
        raise UserError(
            f"config.draws must be at least 1, random permutations that the matching is held "
            f"against, but got {run.config['draws']!r}. Type config.draws=199"
        )
    pair = train_pair(run.config, run.seed)
    found = measure_barriers(pair, int(run.config["draws"]), run.seed)
    numbers = {
        "barrier_raw": found.raw,
        "barrier_balanced": found.balanced,
        "barrier_matched": found.matched,
        "barrier_random": float(found.null_D.median()),
        "permutation_p": found.p_value,
        "similarity": found.similarity,
        "pair_loss": float(pair.loss_K.mean()),
        "pair_accuracy": float(pair.accuracy_K.min()),
    }
    # What is no number is no evidence: its column is null.
    known = {name: value for name, value in numbers.items() if value is not None}
    run.report(
        int(run.config["steps"]),
        **{name: value for name, value in known.items() if math.isfinite(value)},
    )


def train_pair(config: dict[str, Any], seed: int) -> TrainedPair:
    """Train two networks on the same data from seeds of their own, 2 `seed` and 2 `seed` + 1.

    Args:
        config: Keys of a fully connected network, the kind of data, whose loss is cross-entropy,
            and keys of its training.
        seed: Number of the pair.

    Raises:
        StudyFileError: If the values are not those of a study.
        UserError: If the data have no classes.
    """
    study = make_study(
        {
            "schema": 1,
            "name": "pair",
            "model": {"kind": "fcn", **{key: config[key] for key in MODEL}},
            "data": {"kind": config["data"]},
            "train": {"dtype": "float64", **{key: config[key] for key in TRAIN}},
            "sweep": {"seed": [2 * seed, 2 * seed + 1]},
        }
    )
    pack = make_pack(study.runs(), PackConfig())
    if not isinstance(pack.train.loss, CrossEntropy):
        raise UserError(
            f"config.data must be data with classes, whose accuracy says what was learned, but got "
            f"{config['data']!r}. Type config.data=digits"
        )
    engine = make_engine(pack)
    engine.advance(0, int(config["steps"]))
    x, y = torch.from_numpy(pack.data.test.x[:1]), torch.from_numpy(pack.data.test.y[:1])

    def outputs(theta_KP: Tensor) -> tuple[Tensor, Tensor]:
        count = len(theta_KP)
        forward = pack.model.forward(theta_KP, x.expand(count, *x.shape[1:]))
        return forward.output_KBO, y.expand(count, *y.shape[1:])

    def loss(theta_KP: Tensor) -> Tensor:
        return data_loss(pack.train.loss, *outputs(theta_KP))

    theta_KP = engine.theta_KP.detach().clone()
    with torch.no_grad():
        right_K = accuracy(*outputs(theta_KP))
        return TrainedPair(pack.model.layout, theta_KP, loss, loss(theta_KP), right_K)


def measure_barriers(pair: TrainedPair, draws: int, seed: int) -> Barriers:
    """Return the barriers between the networks of a pair.

    Args:
        pair: The networks.
        draws: Random permutations.
        seed: Of the permutations.
    """
    raw_KP, balanced_KP = pair.theta_KP, balance(pair.layout, pair.theta_KP)
    matching = match_weights(pair.layout, balanced_KP[0], balanced_KP[1])
    # A matching brings the scales to those of a balanced network, to rounding.
    matched_KP = balance(pair.layout, matching.apply(balanced_KP[1:]))

    def heights(first_KP: Tensor, second_KP: Tensor) -> Tensor:
        start_KP = first_KP.expand_as(second_KP)
        return line_barrier(
            pair.loss, start_KP, second_KP, points=POINTS, refinements=REFINEMENTS
        ).height_K

    null = []
    for first in range(0, draws, AT_ONCE):
        maps = [
            random_neuron_map(pair.layout, seed * draws + number)
            for number in range(first, min(first + AT_ONCE, draws))
        ]
        null.append(heights(balanced_KP[:1], torch.cat([m.apply(balanced_KP[1:]) for m in maps])))
    return Barriers(
        raw=float(heights(raw_KP[:1], raw_KP[1:])),
        balanced=float(heights(balanced_KP[:1], balanced_KP[1:])),
        matched=float(heights(balanced_KP[:1], matched_KP)),
        null_D=torch.cat(null) if null else balanced_KP.new_zeros(0),
        similarity=matching.similarity,
    )
