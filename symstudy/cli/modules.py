"""What `validate` and `plan` say of the modules of one's own that a study trains."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from symstudy.cli.output import note, say
from symstudy.errors import ModelError
from symstudy.quantities import size

__all__ = ["Dry", "beside_study", "print_modules", "try_modules"]

Dry = Annotated[
    bool,
    typer.Option(
        "--dry/--no-dry",
        help="Train modules of your own for a step on their data, and say what they are.",
    ),
]
MODULE = "model.kind"
"""Key that names a module of one's own."""
FASTER = 1.25
"""Measured gain from which on another setting is worth typing."""


@contextlib.contextmanager
def beside_study(source: Path, overrides: Sequence[str] = ()) -> Iterator[None]:
    """Look for modules beside the study file first, and say where it names one that is refused.

    Args:
        source: The study file.
        overrides: What was typed, `key=value`, in the place of keys of the file.

    Raises:
        ModelError: That of the block, with file and line of the key that it is about.
    """
    from symstudy.components import looking_in
    from symstudy.study.document import read_document

    with looking_in(source.absolute().parent):
        try:
            yield
        except ModelError as error:
            first = str(error).partition(" ")[0]
            lines = read_document(source).lines
            key = first if first in lines else MODULE
            if key not in lines or any(each.startswith(f"{key}=") for each in overrides):
                raise
            raise ModelError(f"{source}:{lines[key]}: {error}") from error


def try_modules(studies: Sequence[Any], *, device: str) -> Any:
    """Return a dry run of the modules of `studies`, versions of one file; None if it has none.

    Args:
        studies: As they were read.
        device: `cuda` to try them there; elsewhere they are tried on the CPU.

    Raises:
        UserError: If a module cannot be built or trained.
    """
    import dataclasses

    trained = [study for study in studies if not study.is_program]
    cells = [cell for study in trained for cell in cells_of(study)]
    if not any(cell.model.is_own_code for cell in cells):
        return None
    from symstudy.training.dry_run import dry_run

    note("symstudy: training a step of each module ...")
    config = dataclasses.replace(studies[0].pack, device="cuda" if device == "cuda" else "cpu")
    return dry_run(cells, config)


def cells_of(study: Any) -> list[Any]:
    """Return the cells of a grid, or examples of those that a search may ask for."""
    if study.search is None:
        return list(study.cells)
    return list({run.cell.cell_id: run.cell for run in study.search.examples()}.values())


def print_modules(found: Any) -> None:
    """Print what was found of the modules."""
    if found is None:
        return
    for trial in found.trials:
        print_trial(trial)
    left = found.shapes - len(found.trials)
    if left:
        built = found.built - len(found.trials)
        say(f"  modules  shapes beside these: {left}, of which {built} were built and counted")


def print_trial(trial: Any) -> None:
    """Print what was found of one module."""
    own = f"{trial.own:,} a run's own ({listed(trial.own_names)})" if trial.own else "0 a run's own"
    say(f"  module   {trial.call}")
    say(f"           takes {trial.inputs}, returns {trial.returns}")
    say(
        f"           {trial.trained:,} parameters trained, {trial.frozen:,} frozen; buffers: "
        f"{trial.shared:,} numbers shared, {own}"
    )
    say(f"           measured in hidden layers: {trial.measured}")
    say(f"           about {size(trial.memory_bytes)} of memory a run")
    for way, times in trial.step_s.items():
        if times:
            said = ", ".join(f"{lanes}: {1e3 * seconds:.3g} ms" for lanes, seconds in times.items())
            say(f"           a step by the runs of a pack, {way}: {said}")
    say(f"           runs go {described(trial)}")
    if trial.unknown:
        say(f"           not compiled with {trial.unknown}")


def listed(names: Sequence[str]) -> str:
    """Return a few of `names`."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def described(trial: Any) -> str:
    """Return how runs go through a module and why, and what was measured of it."""
    if not trial.unknown:
        gain = trial.kernel_gain()
        told = "" if gain is None else f"; measured here, {gain:.1f} times as fast as torch"
        return f"through the compiled kernels, one after another{told}"
    said = "one by one: " + trial.reason if trial.reason else "through in one call of vmap"
    gain = trial.gain()
    if gain is None:
        return said
    said += f"; measured here, one call is {gain:.1f} times as fast as one by one"
    if trial.reason and gain > FASTER:
        return f"{said}. Type pack.vmap=always to take it"
    if not trial.reason and gain < 1 / FASTER:
        return f"{said}. Type pack.vmap=never to leave it"
    return said
