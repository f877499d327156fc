"""`@measure`: declares a function that computes one number a run; loads no torch."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

__all__ = ["Kind", "Measure", "On", "Recorded", "measure"]

F = TypeVar("F", bound=Callable[..., Any])

On = Literal["layer", "attention", "symmetry", "network", "features", "run", "pair"]
"""What a measure is taken of: the neurons of a hidden layer (`symstudy.measures.views.LayerView`),
the heads of an attention layer (`HeadsView`), the symmetries that a model declares for a hidden
layer of either sort (`LayerSymmetries`), a whole network at a detailed probe (`NetworkView`), what
its last layer reads of training samples (`FeaturesView`), the course of one run (`RunView`), or two
layers of two runs (`PairView`), which `[pairs]` names."""
Kind = Literal["count", "number", "curve", "vector"]
Recorded = Literal["always", "if named"]


class Measure(NamedTuple):
    """One number per run, per probe and per hidden layer as `on` says.

    Attributes:
        name: Column of the store.
        kind: `count` (int), `number` (float), `curve` (a count at each of `CURVE_THRESHOLDS`), or
            `vector` (a row of floats, of networks and features: the last one, in `runs` alone).
        meaning: What it is, in one line.
        source: Where it is defined.
        on: What it is taken of.
        recorded: Whether every study records it, or those that name it in `[probe] measures`.
        symmetry: Kind of the declared symmetries that it reads; empty for none.
        invariant: Kinds of symmetries whose action leaves it as it is, where a network has them.
        path: Import path of the function, `module:function`; for a measure that every symmetry has,
            `module:Class.method`.
    """

    name: str
    kind: Kind
    meaning: str
    source: str = ""
    on: On = "layer"
    recorded: Recorded = "always"
    symmetry: str = ""
    invariant: tuple[str, ...] = ("permutation",)
    path: str = ""


def measure(
    *,
    kind: Kind,
    meaning: str,
    on: On = "layer",
    source: str = "",
    recorded: Recorded = "if named",
    symmetry: str = "",
    invariant: tuple[str, ...] = ("permutation",),
) -> Callable[[F], F]:
    """Declare a function as the measure of its name.

    All arguments are literals: they are read from the source text, before anything is imported.

    Args:
        kind: `count` (int, -1 where it does not apply), `number` (float, NaN there) or, on networks
            and features, `vector` (floats, as many for each run as it takes).
        meaning: What it is, in one line.
        on: What it is taken of; see `On`.
        source: Where it is defined, such as an equation of a paper.
        recorded: Whether every study records it. A measure of the user's own never is unless named.
        symmetry: Kind of the declared symmetries that it reads, for `on="symmetry"`.
        invariant: Kinds of symmetries that leave it as it is; held by
            `symstudy.testing.measures.MeasureSuite`.

    Examples:
        >>> @measure(on="layer", kind="number", meaning="norm of the largest neuron")
        ... def peak_norm(view):
        ...     return view.norms_KN.amax(dim=1)
    """

    def declare(function: F) -> F:
        declared = Measure(
            name=function.__name__,
            kind=kind,
            meaning=meaning,
            source=source,
            on=on,
            recorded=recorded,
            symmetry=symmetry,
            invariant=invariant,
            path=f"{function.__module__}:{function.__name__}",
        )
        vars(function)["declared_measure"] = declared
        return function

    return declare
