"""The command import: a study file from the sweep file of another tool."""

from pathlib import Path
from typing import Annotated

import typer

from symstudy.cli.output import note, print_data
from symstudy.errors import UserError

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("import", rich_help_panel="Studies")(import_study)


def import_study(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Sweep file of W&B, in YAML.")],
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="STUDY", help="Study file to write; stdout if not given.", show_default=False
        ),
    ] = None,
) -> None:
    """Turn a sweep of Weights & Biases into a study file.

    What a study cannot say is refused by name. Put the study file beside the script.

    Example: `symstudy import wandb-sweep.yaml --output study.toml`
    """
    from symstudy.study.wandb_sweep import import_sweep

    imported = import_sweep(read_yaml(file), str(file))
    for message in imported.notes:
        note(f"{file}: {message}")
    if output is None:
        print_data(imported.text)
        return
    if output.exists():
        raise UserError(f"--output must be a new file, but {str(output)!r} is there. Remove it.")
    output.write_text(imported.text, encoding="utf-8")
    note(f"{output}: written; check it with: symstudy validate {output}")


def read_yaml(file: Path) -> object:
    """Return what a YAML file holds.

    Raises:
        UserError: If it cannot be read.
    """
    import yaml

    try:
        found: object = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(
            f"FILE must be a readable YAML file, but {str(file)!r} is not: {error}"
        ) from error
    return found
