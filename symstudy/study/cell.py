"""What is planned: cells, points of the swept hyperparameters, and runs, cells with a seed."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from symstudy.components import Component
from symstudy.datasets import AbstractDatasetConfig
from symstudy.identity import replica_seed, run_id
from symstudy.models import AbstractModelConfig
from symstudy.study.program import Program, ProgramSettings
from symstudy.study.sections import ProbeConfig
from symstudy.study.train import Train

__all__ = ["Cell", "Grid", "Run", "different_tables", "expand_runs"]

T = TypeVar("T")


class Cell(NamedTuple):
    """One point of the swept hyperparameters.

    Attributes:
        cell_id: Identifier.
        parts: Its tables, in the order in which a study file has them: model, data, the resolved
            train table and probe of what is trained here; program and config of a program.
        identity: Canonical JSON that the identifiers hash.
        config: Canonical JSON of all fields.
        shape: What a pack's runs must have in common.
    """

    cell_id: str
    parts: tuple[Component, ...]
    identity: str
    config: str
    shape: str

    def __repr__(self) -> str:
        """Return what identifies the cell; the rest is long."""
        return f"Cell({self.cell_id}, {self.identity})"

    @property
    def tables(self) -> dict[str, Component]:
        """The tables by name, in the order in which a study file has them."""
        return {part.table: part for part in self.parts}

    def with_part(self, part: Component) -> "Cell":
        """Return the cell with `part` in the place of its table of that name, texts as they are."""
        parts = tuple(part if old.table == part.table else old for old in self.parts)
        return self._replace(parts=parts)

    @property
    def is_program(self) -> bool:
        """Whether its runs are those of a program of the user's own, which has no model here."""
        return isinstance(self.parts[0], Program)

    def part(self, kind: type[T]) -> T:
        """Return the table of a kind: of a program there is no model, and the other way round."""
        for part in self.parts:
            if isinstance(part, kind):
                return part
        raise AssertionError(f"{self} has no {kind.__name__}")

    @property
    def model(self) -> AbstractModelConfig:
        """Model table."""
        return self.part(AbstractModelConfig)  # type: ignore[type-abstract]  # of whichever kind

    @property
    def data(self) -> AbstractDatasetConfig:
        """Data table."""
        return self.part(AbstractDatasetConfig)  # type: ignore[type-abstract]  # of whichever kind

    @property
    def train(self) -> Train:
        """Resolved train table."""
        return self.part(Train)

    @property
    def probe(self) -> ProbeConfig:
        """Probe table."""
        return self.part(ProbeConfig)

    @property
    def program(self) -> Program:
        """Program table."""
        return self.part(Program)

    @property
    def settings(self) -> ProgramSettings:
        """Hyperparameters of the program: its config table."""
        return self.part(ProgramSettings)


def different_tables(cells: Iterable[Cell]) -> list[Component]:
    """Return every table of `cells` once: a hundred thousand cells share a few hundred."""
    return list({id(table): table for cell in cells for table in cell.parts}.values())


class Grid(NamedTuple):
    """The cells of a study.

    Attributes:
        cells: All different ones, in the order in which the grid comes to them.
        places: For each place of the grid, the last axis fastest, which of the cells it is: two
            places are one cell where they differ only in a key that nothing there reads, or in an
            axis whose condition does not hold there.
        idle: Axes whose condition holds at no place.
    """

    cells: list[Cell]
    places: list[int]
    idle: tuple[str, ...] = ()


class Run(NamedTuple):
    """One cell with one seed."""

    run_id: str
    cell: Cell
    seed: int

    @property
    def training_seed(self) -> int:
        """Seed of what training draws: initial weights, batches and label noise.

        It is `seed` unless `train.replica` asks for another run on the same data.
        """
        return replica_seed(self.seed, self.cell.train.replica)


def expand_runs(cells: Iterable[Cell], seeds: Sequence[int]) -> list[Run]:
    """Return every cell with every seed, seeds varying fastest."""
    return [Run(run_id(cell.identity, seed), cell, seed) for cell in cells for seed in seeds]
