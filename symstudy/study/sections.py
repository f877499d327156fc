"""The tables of a study file that are not about model, data or training: probes and packs."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from annotated_types import Ge, Gt
from pydantic import AfterValidator

from symstudy.components import Component, Role, component, source_of
from symstudy.errors import ModelError, UnknownNameError, choices
from symstudy.measures.catalogue import (
    EXTRA_MEASURES,
    LAYER_MEASURES,
    NETWORK_MEASURES,
    find_measure,
    installed_measures,
)

__all__ = ["PackConfig", "ProbeConfig"]

KNOWN = frozenset(item.name for item in (*LAYER_MEASURES, *NETWORK_MEASURES))


def check_measures(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return `names` if each may be a measure that a study names, and none is there twice.

    Names of the user's own, `package.module:name`, are looked up when the table is identified.

    Raises:
        ValueError: If not; pydantic passes it on.
    """
    always = {item.name for item in LAYER_MEASURES if item.recorded == "always"}
    known = [item.name for item in (*EXTRA_MEASURES, *NETWORK_MEASURES)]
    for place, name in enumerate(names):
        if name in always:
            raise ValueError(f"must leave out {name!r}, which every study records")
        if ":" not in name and name not in known and name not in installed_measures():
            extra = [*known, *installed_measures()]
            raise ValueError(
                f"must name extra measures, or package.module:name of one of your own, but got "
                f"{name!r}. {choices(name, extra)}"
            )
        if name in names[:place]:
            raise ValueError(f"must name each measure once, but got {name!r} twice")
    return names


@component
class ProbeConfig(Component):
    """When measures are taken, as written in the `[probe]` table of a study file."""

    table: ClassVar[str] = "probe"

    num: Annotated[int, Ge(2)] = 50
    """Probes at log-spaced steps, first and last included: losses and learning curves."""
    detail: Annotated[int, Ge(1)] = 10
    """At how many of these, the last always included, gradient norm and layers are measured too."""
    samples: Annotated[int, Ge(2)] = 256
    """Test inputs on which the ranks of representations are measured, and training inputs on which
    features are."""
    representations: Annotated[int, Ge(0)] = 0
    """Test inputs, the first of them, on which the activations of each hidden layer are kept at
    every detailed probe, as the table `representations`, which [pairs] compares; 0 for none."""
    measures: Annotated[tuple[str, ...], AfterValidator(check_measures)] = ()
    """Measures beside those that every study records: extra ones, or package.module:name of one of
    your own, of layers, networks, features or runs."""
    measure_sources: Annotated[tuple[str, ...], Role.RESOLVED] = ()
    """SHA-256 of the source of each measure of your own, or its package's version; found by
    itself."""

    def identified(self) -> tuple[Self, list[tuple[str, str]]]:
        """Return the table with the sources of the user's own measures.

        Returns:
            Itself where there are none; for each that cannot be recorded its key and why not.
        """
        own = self.own_measures()
        mistakes = []
        for name in own:
            try:
                find_measure(name)
            except (ModelError, UnknownNameError) as error:
                mistakes.append(("measures", str(error).removeprefix("probe.measures ")))
        if not own or mistakes:
            return self, mistakes
        return replace(self, measure_sources=tuple(map(source_of, own.values()))), []

    def own_measures(self) -> dict[str, str]:
        """Return the import path of each measure that is not built in, by its name."""
        installed = installed_measures()
        return {name: installed.get(name, name) for name in self.measures if name not in KNOWN}


@component
class PackConfig(Component):
    """How runs are packed and where they run: nothing here changes a result."""

    table: ClassVar[str] = "pack"

    size: Annotated[int, Ge(1)] | None = None
    """Runs of a pack; chosen by the planner if not given. Of a program: how many runs follow each
    other in a pack, 1 if not given."""
    seconds: Annotated[float, Gt(0)] = 8.0
    """How long the planner lets a pack train, as far as it can tell beforehand."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where packs train; auto takes a GPU where there is one, but for packs that one core is
    estimated to train faster."""
    engine: Literal["auto", "compiled", "torch"] = "auto"
    """compiled kernels (on the CPU: dense networks, transformers and convolutions, and modules of
    your own that are made of dense layers or convolutions) or torch (any model, any device); auto:
    the kernels where they know everything and are faster."""
    vmap: Literal["auto", "always", "never"] = "auto"
    """Whether the runs of a module of your own that torch trains share one call of torch.func.vmap,
    or go one by one in the pack; auto: one call where vmap can and where the operations are small,
    counted before anything is trained."""
    pad: Literal["auto", "never", "always"] = "auto"
    """Whether runs that differ in model.width share packs of the torch engine, the narrower ones
    padded with neurons of zero weights, which stay zero; auto: where it is estimated to pay."""
    cpus: Annotated[int, Ge(1)] = 1
    """CPU cores that one pack uses, or one run of a program."""
    gpus: Annotated[float, Gt(0)] | Literal["auto"] = "auto"
    """Share of a GPU that one pack reserves, where it trains on one, at most 1; auto: as many packs
    a GPU as its memory holds, at most 4. Of a program: GPUs of one run; auto: one."""
    checkpoint: Annotated[float, Gt(0)] = 60.0
    """Seconds between two checkpoints of a pack in training."""
    certify: Annotated[int, Ge(0)] = 2
    """How many runs of the study are trained once more alone, to compare them with the pack's."""
