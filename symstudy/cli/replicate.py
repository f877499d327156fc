"""The command replicate: plans a study of new seeds that asks again what another one has asked."""

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from symstudy.cli.options import Json, ProjectFolder, Results
from symstudy.cli.output import note, print_json, say
from symstudy.cli.project import project_to_run
from symstudy.errors import UserError

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Results")(replicate)


class Original(NamedTuple):
    """The study that is replicated.

    Attributes:
        folder: Its folder of results.
        results: Path or URI of the folder that it lies in.
        record: What its `study.json` says.
    """

    folder: Any
    results: str
    record: Mapping[str, Any]


def replicate(
    study: Annotated[
        str,
        typer.Argument(metavar="STUDY", help="Folder of a study's results, or its study file."),
    ],
    results: Results = "results",
    power: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="Chance with which the replication decides.")
    ] = 0.9,
    effect: Annotated[
        float,
        typer.Option(
            min=0.01, max=1.0, help="Share of the observed distance from the bound that is assumed."
        ),
    ] = 0.5,
    seeds: Annotated[
        int | None,
        typer.Option(min=5, help="Number of seeds, if power is not to say it.", show_default=False),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the new study file; beside the old one, or here, if not given.",
            show_default=False,
        ),
    ] = None,
    present_rule: Annotated[
        bool,
        typer.Option(
            "--present-rule", help="Freeze the rule as it is now, where it has changed since."
        ),
    ] = False,
    project: ProjectFolder = None,
    as_json: Json = False,
) -> None:
    """Write a study of new seeds that tests the claims of another one again, by its frozen rules.

    The number of seeds is planned before, for half of the distance from the rule's bound that was
    observed, and the seeds are those of no earlier study of the same claims. It is a family of its
    own. Trains nothing.

    Examples: `symstudy replicate results/width_saturation`;
    `symstudy replicate results/digits --power 0.95 --effect 0.7`
    """  # fmt: skip
    from symstudy.findings.discovery import load_claims
    from symstudy.findings.evaluate import claims_of
    from symstudy.findings.replication import plan_replication, seeds_of_all
    from symstudy.store import Store

    original = find_original(study, results)
    served = original.record["claims"]
    known = load_claims(project_to_run(project), note, needed=served)
    claims = claims_of(original.folder, known, served)
    rules = frozen_rules(original, claims, present=present_rule)
    store = Store([original.folder])
    parts = []
    if seeds is None:
        for claim in claims:
            measured = claim.measure(store)
            parts += plan_replication(measured, share=effect, power=power, claims=len(claims))
        seeds = seeds_of_all(parts)
    if seeds is None:
        raise UserError(
            f"a replication must take at most 1,000 seeds, but {effect:.0%} of the distance from "
            f"the rule's bound that {study!r} has observed needs more. Say a larger share with "
            "--effect, or a number with --seeds."
        )
    path, new = write_replication(original, rules, seeds, to, store)
    command = f"symstudy run {shlex.quote(str(path))} --results {shlex.quote(original.results)}"
    if as_json:
        print_json(
            {
                "study": new.name,
                "file": str(path),
                "seeds": list(new.seeds),
                "parts": [{**part._asdict(), "aim": part.aim.label} for part in parts],
                "command": command,
            }
        )
        return
    say(f"{path}: {new.title}")
    for part in parts:
        needs = "too many" if part.seeds is None else part.seeds
        seen = (
            "all seeds alike"
            if math.isinf(part.distance)
            else f"observed {part.distance:.3g} sd from its bound, assumed "
            f"{effect * part.distance:.3g}"
        )
        say(
            f"  {part.name}: {seen}; to be {part.aim.label} with a chance of {power:.0%} takes "
            f"{needs} seeds"
        )
    say(f"  seeds    {len(new.seeds)} new ones, {new.seeds[0]} to {new.seeds[-1]}")
    say("  rule     frozen; its family is its own claims")
    say(f"Run it once, to its end: {command}")


def find_original(given: str, results: str) -> Original:
    """Return the study that is meant.

    Raises:
        UserError: If there are no results of it, or it is none that can be replicated.
    """
    from symstudy.store import find_studies
    from symstudy.study import load_study

    location = given.rstrip("/")
    if given.endswith(".toml"):
        location = f"{results.rstrip('/')}/{load_study(Path(given)).name}"
    folders = find_studies([location])
    if len(folders) != 1 or not location.endswith(folders[0].place):
        names = ", ".join(folder.name for folder in folders)
        raise UserError(
            f"STUDY must be the results of one study, but {given!r} holds {names}. Type one of "
            f"them: symstudy replicate {location}/{folders[0].place}"
        )
    record = folders[0].read_study()
    name = folders[0].name
    if record.get("kind") == "pilot":
        raise UserError(
            f"a replication must be of a study that decides, but {name!r} is a pilot. Run its "
            "question as a study of another name with new seeds."
        )
    if not record.get("claims"):
        raise UserError(f"a replication must have a claim to test, but {name!r} serves none.")
    return Original(folders[0], location.rpartition("/")[0] or ".", record)


def frozen_rules(original: Original, claims: Sequence[Any], *, present: bool) -> dict[str, str]:
    """Return the hash of the rule of each claim that the replication is judged by.

    Raises:
        UserError: If a rule is not the one that was frozen with the study.
    """
    frozen = original.record.get("rules", {})
    for claim in claims:
        if not present and frozen.get(claim.name) != claim.rule_hash:
            was = "was never frozen" if claim.name not in frozen else "has changed since"
            raise UserError(
                f"the rule of {claim.name!r} must be the one that was frozen with "
                f"{original.folder.name!r}, but it {was}. Check the frozen one out, or freeze the "
                "rule as it is now, for the new seeds alone: --present-rule"
            )
    return {claim.name: claim.rule_hash for claim in claims}


def write_replication(
    original: Original, rules: Mapping[str, str], count: int, to: Path | None, store: Any
) -> tuple[Path, Any]:
    """Write the study file of a replication; return its path and the study.

    Raises:
        UserError: If the settings of the original cannot be had, or the file not be written.
    """
    from symstudy.launch.fixed import used_seeds
    from symstudy.store.files.siblings import studies_beside
    from symstudy.study import load_study
    from symstudy.study.frozen import cells_hash, fresh_seeds, settings_hash
    from symstudy.study.sweep import MOST_RUNS
    from symstudy.study.toml import to_toml

    record, name = original.record, original.folder.name
    cells = store.df("select distinct cell_id from planned")["cell_id"]
    if len(cells) * count > MOST_RUNS:
        raise UserError(
            f"a replication must have at most {MOST_RUNS:,} runs, but {len(cells)} settings of "
            f"{name!r} with {count:,} seeds each are more. Say fewer: --seeds "
            f"{max(MOST_RUNS // len(cells), 5)}"
        )
    source = Path(str(record.get("source", "")))
    tables = tables_of(record, source)
    beside = studies_beside(original.folder)
    kin = [each for each in beside if set(each.read_study().get("claims", [])) & set(rules)]
    burnt = [seeds for each in (original.folder, *kin) for seeds in used_seeds(each)]
    # Beside the old file if that is the user's, not where symstudy is installed.
    is_here = source.is_file() and source.absolute().is_relative_to(Path.cwd())
    folder = to or (source.parent if is_here else Path())
    taken = {each.name for each in beside}
    names = (f"{name}-replication{i}" for i in ("", *(f"-{n}" for n in range(2, 1000))))
    called = next(n for n in names if n not in taken and not (folder / f"{n}.toml").exists())
    values = {
        **tables,
        "name": called,
        "title": f"Replication of {name}",
        "kind": "replication",
        "replicates": name,
        "claims": list(rules),
        "rules": dict(rules),
        "sweep": {**tables.get("sweep", {}), "seed": fresh_seeds(count, burnt)},
    }
    path = folder / f"{called}.toml"
    try:
        path.write_text(to_toml(values, f"Written by: symstudy replicate {name}"), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{str(path)!r} must be writable, but is not: {error.strerror}. Name another folder "
            "with --to."
        ) from error
    try:
        study = load_study(path)
    except UserError:
        path.unlink()
        raise
    planned = cells_hash(cells)
    known = {planned, *(launch.get("settings") for launch in record.get("launches", []))}
    if settings_hash(study) not in known:
        path.unlink()
        raise UserError(
            f"a replication must have the settings of {name!r}, but its study file or the code of "
            "its own that it names has changed since. Check out the commit of its last launch."
        )
    return path, study


def tables_of(record: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Return the tables of a study: as it recorded them, or of its file if it is an older one.

    Raises:
        UserError: If there are none, or a search asks for its runs.
    """
    from symstudy.study import load_study

    tables = record.get("document")
    if not isinstance(tables, dict):
        if not source.is_file():
            raise UserError(
                f"a study must have recorded its settings, or its file be where it was, but "
                f"{str(source)!r} is not there. Type the command where the study was run."
            )
        tables = dict(load_study(source, preset=record.get("preset") or "none").document)
    if "search" in tables:
        raise UserError(
            "a replication must be of a grid, but this study is a search, which asks for seeds of "
            "its own: [search.confirm] trains its finds again with new ones."
        )
    return dict(tables)
