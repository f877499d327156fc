"""The command that shows the symmetries of a module of the user's own."""

from pathlib import Path
from typing import Annotated, Any

import typer

from symstudy.cli.options import Json
from symstudy.cli.output import note, print_json
from symstudy.cli.symmetry_tables import (
    as_plain,
    finite,
    print_data_rank,
    print_discovery,
    print_report,
)
from symstudy.errors import UserError

__all__ = ["add_commands"]

BATCH = 6
"""Inputs of a batch: BatchNorm needs a few, since of two it leaves nothing but their order."""


def add_commands(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Studies")(symmetries)


def symmetries(
    module: Annotated[
        str,
        typer.Argument(
            metavar="MODULE",
            help="Class or function that gives a torch module, as package.module:Name.",
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="SIZES",
            help="Sizes of one input, as 784 or 3x32x32, or a study file whose data it is given.",
        ),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Option(
            "--arguments",
            metavar="KEY=VALUE",
            help="Keyword argument of the module; once for each.",
            show_default=False,
        ),
    ] = None,
    integers: Annotated[
        int,
        typer.Option(
            "--integers",
            metavar="N",
            min=0,
            help="Inputs are whole numbers from 0 to N - 1, as tokens are; 0 for real numbers.",
        ),
    ] = 0,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            metavar="N",
            min=1,
            help="Batches of 6 inputs that the Jacobian is taken on, however large the module is.",
            show_default=False,
        ),
    ] = None,
    discover: Annotated[
        bool,
        typer.Option(
            "--discover",
            help="Look for symmetries on numbers alone too: generators fitted to null vectors of "
            "the Jacobian at many parameters.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the symmetries of a torch module: derived from its operations, verified on numbers.

    Also: the rank of the Jacobian of its outputs by its parameters, and how many directions that
    change nothing no known symmetry explains. With a study, also how many more change nothing on
    its training inputs.

    Examples: `symstudy symmetries my_models:Wide --data 16 --arguments width=8`;
    `symstudy symmetries my_models:ResNet --data 3x32x32 --json`;
    `symstudy symmetries my_models:Wide --data 4 --arguments width=3 --discover`
    """
    from symstudy.theory.data_symmetry import rank_on_data
    from symstudy.theory.discovered_symmetry import discover as discover_symmetries
    from symstudy.theory.discovery import choose_fields
    from symstudy.theory.explained_symmetry import report_symmetries

    given = dict(pair(text) for text in arguments or [])
    inputs = read_inputs(data, integers)
    built = build(module, given, inputs)
    note(f"symstudy: following the operations of {module} on inputs {list(inputs.batch.shape)} ...")
    if discover:
        choose_fields([tuple(each.shape) for each in built.parameters() if each.requires_grad])
    report = report_symmetries(built, inputs.batch, inputs.data, samples)
    plain = as_plain(report)
    on_data = None
    if inputs.training is not None and report.nullity.rank is not None:
        on_data = rank_on_data(report.derivation, inputs.training, report.nullity.rank)
        plain["training_data"] = {key: finite(each) for key, each in on_data._asdict().items()}
    found = None
    if discover:
        note("symstudy: fitting generators at many parameters ...")
        found = discover_symmetries(report.derivation, report.nullity.nullity)
        plain["discovery"] = found.as_plain()
    if as_json:
        print_json(plain)
        return
    print_report(report)
    if on_data is not None:
        print_data_rank(on_data)
    if found is not None:
        print_discovery(found)


def pair(text: str) -> tuple[str, Any]:
    """Return the key and the value of `key=value`.

    Raises:
        UserError: If it is not of this form.
    """
    from symstudy.study.overrides import parse_value

    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise UserError(
            f"--arguments must be key=value, but got {text!r}. Type --arguments width=8"
        )
    return key, parse_value(key, value)


class Inputs:
    """What a module is given.

    Attributes:
        batch: A batch of random inputs.
        data: A batch of the study's data, if there is a study.
        outputs: Outputs that the data ask for; None if nothing says.
        training: All training inputs of the study; None where there are none, or too few.
        place: Folder of the study file; None if there is none.
    """

    def __init__(self, batch: Any, data: Any = None, outputs: int | None = None) -> None:
        """See the class."""
        self.batch = batch
        self.data = data
        self.outputs = outputs
        self.training: Any = None
        self.place: Path | None = None


def read_inputs(text: str, integers: int) -> Inputs:
    """Return inputs of the sizes in `text`, or of the study file that it names.

    Raises:
        UserError: If it is neither.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    if text.endswith(".toml"):
        return study_inputs(Path(text), generator)
    try:
        shape = tuple(int(size) for size in text.split("x"))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise UserError(
            f"--data must be the sizes of one input or a study file, but got {text!r}. Type --data "
            "784, --data 3x32x32 or --data study.toml"
        )
    if integers:
        return Inputs(torch.randint(integers, (BATCH, *shape), generator=generator))
    return Inputs(torch.randn(BATCH, *shape, generator=generator))


def study_inputs(path: Path, generator: Any) -> Inputs:
    """Return inputs of the shape of the data of a study, and some of its test inputs.

    Raises:
        UserError: If it has no inputs.
    """
    import torch

    from symstudy.study import load_study

    study = load_study(path)
    config = study.cells[0].data
    shape = config.shape
    if config.is_absent:
        raise UserError(f"--data must be a study with data, but {path} has none. Type --data 784")
    sample = shape.input_shape or (shape.inputs,)
    built = config.build_mapped(study.seeds[0])
    rows = built.x_test[:BATCH]
    if len(rows) < BATCH:
        raise UserError(f"--data must have {BATCH} test inputs or more, but {path} has {len(rows)}")
    data = torch.from_numpy(rows).view(BATCH, *sample)
    batch = data if shape.is_integer else torch.randn(data.shape, generator=generator)
    found = Inputs(batch, data if shape.is_integer else data.double(), shape.outputs)
    if len(built.x_train) >= BATCH:
        found.training = torch.from_numpy(built.x_train).view(-1, *sample)
    found.place = path.absolute().parent
    return found


def build(name: str, given: dict[str, Any], inputs: Inputs) -> Any:
    """Return the module, told the sizes of the data where it has parameters for them.

    Raises:
        UserError: If it cannot be built, or is no module.
    """
    import contextlib
    import inspect
    import math

    import torch

    from symstudy.components import load_own, looking_in

    with looking_in(inputs.place) if inputs.place else contextlib.nullcontext():
        call = load_own(name, "MODULE")
    sample = tuple(inputs.batch.shape[1:])
    sizes = {"input_dim": math.prod(sample), "input_shape": sample, "output_dim": inputs.outputs}
    known = inspect.signature(call).parameters if callable(call) else {}
    told = {key: size for key, size in sizes.items() if key in known and size is not None}
    arguments = {**told, **given}
    torch.manual_seed(0)
    try:
        built = call(**arguments)
    except Exception as error:
        said = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise UserError(
            f"{name}({said}) must be buildable, but raised {type(error).__name__}: {error}. Type "
            "--arguments key=value for what it lacks"
        ) from error
    if not isinstance(built, torch.nn.Module):
        raise UserError(
            f"{name} must give a torch.nn.Module, but gave a {type(built).__name__}. Name a class "
            "or a function that returns one, as package.module:Name"
        )
    return built
