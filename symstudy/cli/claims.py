"""Commands about claims: analyze, report."""

import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

import typer

from symstudy.cli.options import Claims, Json, ProjectFolder, ResultsPath
from symstudy.cli.output import note, print_json, say
from symstudy.cli.project import project_to_run
from symstudy.errors import UserError, unknown_name

__all__ = ["add_commands", "evaluate_all"]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(rich_help_panel="Results")(analyze)
    app.command(rich_help_panel="Results")(report)


def analyze(
    results: ResultsPath = "results",
    names: Claims = None,
    project: ProjectFolder = None,
    as_json: Json = False,
) -> None:
    """Test the claims of each study by their rules; keep the findings.

    Verdicts are corrected for their family: the one that the project's `family.toml` declares, or
    else the claims that the study names. What was not fixed before the data is told beside them.
    The exit status is 0 whatever the verdict, and 2 if a claim could not be tested.

    Examples: `symstudy analyze results`; `symstudy analyze results/digits space_quantization`
    """
    evaluations = evaluate_all(results, names, project)
    evaluated = [found.item for found in evaluations.found]
    if as_json:
        print_json([item.to_json() for item in evaluated])
        evaluations.end()
        return
    for item in evaluated:
        print_finding(item)
    if len(evaluated) > 1:
        print_overview(evaluated)
    evaluations.end()


def print_finding(item: Any) -> None:
    """Print a finding: its headline, what it rests on, and how it stands in its family."""
    finding, standing = item.held, item.standing
    head = item.headline.replace(standing.label, standing.label.upper(), 1)
    say(f"{item.claim.name} on {item.place}: {head}")
    say(f"  {item.claim.statement}")
    say(f"  {finding.reason}")
    for part in finding.parts:
        estimate = f"{part.effect:.3g}" if part.effect is not None else "-"
        interval = f" {part.interval}" if part.interval else ""
        word = part.verdict.label if part.decides else "reported"
        say(f"    {word:>12}  {part.name}: {estimate}{interval} ({part.rule})")
    rule = f"rule {item.claim.rule_hash}{frozen_note(item.rule_is_frozen)}"
    say(f"  {finding.seed_range} seeds; {rule}")
    if standing.adjusted is not None and not standing.falls:
        say(f"  {standing.chance}")
    for why, count in finding.excluded:
        say(f"  {count} runs left out: {why}")
    if finding.unchecked:
        say(
            f"  {finding.unchecked} runs count unchecked: their program does not report whether it "
            "has converged"
        )
    if standing.label in ("inconclusive", "exploratory"):
        say(f"  {next_step(item)}")


def next_step(item: Any) -> str:
    """Return what may decide a claim that is open, as the command to type."""
    from symstudy.findings.replication import plan_replication, seeds_of_all

    if item.standing.is_pilot:
        return "A study of another name with new seeds may decide it."
    command = f"symstudy replicate {shlex.quote(item.path)}"
    try:
        parts = plan_replication(item.measured, claims=item.num_served)
    except UserError:
        # Judged by functions of its own, or without an estimate: nobody knows how many.
        return f"A replication with new seeds may decide it: {command} --seeds N"
    needed = seeds_of_all(parts)
    if needed is None:
        return "No replication of at most 1,000 new seeds decides, for half of what was observed."
    return f"A replication with {needed} new seeds may decide it: {command}"


def print_overview(evaluated: Sequence[Any]) -> None:
    """Print the verdicts of several findings, family by family."""
    for family in dict.fromkeys(item.standing.family for item in evaluated):
        whose = "" if family.is_declared else ", in no declared family"
        say(f"\nHolm's correction over {family.words}{whose}:")
        for item in evaluated:
            if item.standing.family != family:
                continue
            finding = item.finding
            estimate = f"{finding.effect:.3g}" if finding.effect is not None else "-"
            interval = f" {finding.interval}" if finding.interval else ""
            beside = f"; {item.standing.alone.label} alone" if item.standing.falls else ""
            caveats = "".join(f"; {note}" for note in item.caveats.notes)
            say(
                f"  {item.standing.label:>12}  {item.claim.name} on {item.place}: "
                f"{estimate}{interval} {finding.unit}, {finding.seed_range} seeds{beside}{caveats}"
            )


def frozen_note(is_frozen: bool | None) -> str:
    """Return the message about the rule of a claim: frozen, changed or new."""
    if is_frozen is None:
        return ", not frozen with the study"
    return ", frozen before the data" if is_frozen else ", CHANGED since the study first ran"


class EvaluatedIn(NamedTuple):
    """A claim evaluated on a study.

    Attributes:
        folder: The study's folder: two studies may say that they have the same name.
        item: The finding with what it rests on.
    """

    folder: Any
    item: Any


class Evaluations(NamedTuple):
    """Claims that were tested, and why others could not be.

    Attributes:
        found: Each wanted claim evaluated on each study.
        failed: What is wrong with each claim that could not be tested.
    """

    found: list[EvaluatedIn]
    failed: list[str]

    def end(self) -> None:
        """Say which claims could not be tested; the exit status is 2 if there are any.

        Raises:
            Exit: If there are some.
        """
        for message in self.failed:
            note(message)
        if self.failed:
            raise typer.Exit(2)


def evaluate_all(
    results: str, names: list[str] | None, project: Any, *, needs_claims: bool = True
) -> Evaluations:
    """Return every wanted claim evaluated on every study; one that fails stops no other.

    Args:
        results: Folder of a study, or of several.
        names: Claims; those that each study serves if none.
        project: Project with the claims.
        needs_claims: Whether it is worth a note if there is nothing to evaluate.
    """
    from symstudy.findings.discovery import import_claims
    from symstudy.findings.evaluate import claims_of, evaluate_claim, settle
    from symstudy.findings.shared_runs import EndedRuns
    from symstudy.project.listing import described
    from symstudy.store import find_studies

    folders = find_studies([results])
    served = [folder.read_study().get("claims", []) for folder in folders]
    needed = names or [name for of_one in served for name in of_one]
    found = project_to_run(project)
    claims, broken = import_claims(found, needed)
    families = declared_families(found)
    for name in names or ():
        if name not in claims and name not in broken:
            raise unknown_name("CLAIM", name, sorted(claims))
    failed = [message for name, message in broken.items() if name in needed]
    for name, message in broken.items():
        if name not in needed:
            note(message)
    evaluated: list[EvaluatedIn] = []
    ended = EndedRuns()
    for folder, own in zip(folders, served, strict=True):
        wanted = [name for name in names or own if name not in broken]
        for claim in claims_of(folder, claims, wanted) if wanted else ():
            try:
                found_here = evaluate_claim(claim, folder, families, ended)
                evaluated.append(EvaluatedIn(folder, found_here))
            except Exception as error:  # noqa: BLE001  # a claim is code of the user's
                failed.append(f"claim {claim.name!r} on {folder.name} fails: {described(error)}")
    if not evaluated and not failed and needs_claims:
        note(
            "No study here serves a claim. Name one, as in: symstudy analyze results "
            "width_saturation"
        )
    # Once all are there: what a family lacks counts as not tested.
    settled = settle(evaluated)
    pairs = zip(evaluated, settled, strict=True)
    return Evaluations([EvaluatedIn(folder, item) for (folder, _), item in pairs], failed)


def declared_families(project: Any) -> tuple[Any, ...]:
    """Return the families of claims that a project declares, and those that come with symstudy.

    Raises:
        ProjectError: If the project's file of families is wrong.
    """
    from symstudy.findings.family import read_families
    from symstudy.project import shipped_project

    shipped = shipped_project()
    folders = [each.analyses for each in (project, shipped) if each is not None]
    # A claim that both declare is in the project's: the first that names it counts.
    return tuple(family for folder in dict.fromkeys(folders) for family in read_families(folder))


def report(
    results: ResultsPath = "results", project: ProjectFolder = None, as_json: Json = False
) -> None:
    """Write one self-contained HTML page: verdicts, figures, completeness and provenance.

    Findings and figures are made anew first, so that the page is about the rows there are now. Of a
    study without claims it shows what is swept against the main measures.
    """
    path, evaluations = make_report(results, project)
    if as_json:
        print_json({"report": path})
    else:
        say(path)
    evaluations.end()


def make_report(results: str, project: Any) -> tuple[str, Evaluations]:
    """Judge all claims, draw their figures, and write the page.

    Args:
        results: Location of the studies.
        project: Folder of the project that was named; None to look for it.

    Returns:
        The page's path, and what the claims were found to be.

    Raises:
        UserError: If the project is none, or the page cannot be written.
    """
    from symstudy.findings.default_figures import draw_defaults, has_claims
    from symstudy.findings.evaluate import draw_claim
    from symstudy.html_report import write_report
    from symstudy.store import find_studies

    evaluations = evaluate_all(results, None, project, needs_claims=False)
    for folder, item in evaluations.found:
        draw_claim(item, folder)
    folders = find_studies([results])
    for folder in folders:
        if not has_claims(folder):
            draw_defaults(folder)
    return write_report(folders, results), evaluations
