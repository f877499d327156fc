"""Testing claims on results, and keeping what was found."""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from symstudy.errors import UserError
from symstudy.findings.claim import Claim
from symstudy.findings.conclude import Measured
from symstudy.findings.family import Family, family_of
from symstudy.findings.finding import Finding, Verdict
from symstudy.findings.freezing import Caveats, read_caveats
from symstudy.findings.kept import member_of, read_findings
from symstudy.findings.scale import told_scale
from symstudy.findings.shared_runs import EndedRuns, shared_notes
from symstudy.findings.standing import Member, Standing, hold, stand, told
from symstudy.plots.figures import Figure, figure_files, theme
from symstudy.plots.page import letter_panels, write_above
from symstudy.store import Store, StudyFolder
from symstudy.store.tables.view_statements import quoted
from symstudy.study.study import PILOT

__all__ = ["Evaluated", "claims_of", "draw_claim", "evaluate_claim", "settle"]

UNCORRECTED = "without a p-value, so not corrected for its family"
"""Said of a verdict that rests on an interval alone."""


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """A finding of a claim on a study, with what it rests on.

    Attributes:
        claim: The claim.
        study: Name of the study.
        scale: At which scale it was run; empty if nothing says it.
        path: Path or URI of its folder, as a user types it.
        num_served: Claims that the study serves: the family of a replication of it.
        finding: The verdict by the rule alone.
        measured: What `judge` saw; `draw` draws it.
        fingerprint: Hash of the rows.
        queries: The SQL that measured.
        caveats: What was not fixed before the data.
        member: The finding as its family sees it.
        standing: How it stands among the findings of its own study, or those that it was last
            settled with.
    """

    claim: Claim
    study: str
    scale: str
    path: str
    num_served: int
    finding: Finding
    measured: Any
    fingerprint: str
    queries: tuple[str, ...]
    caveats: Caveats
    member: Member
    standing: Standing

    @property
    def rule_is_frozen(self) -> bool | None:
        """Whether the rule is the one frozen when the study first ran; None if none was."""
        return self.caveats.rule_is_frozen

    @property
    def place(self) -> str:
        """The study, and at which scale it was run."""
        return f"{self.study} ({self.scale})" if self.scale else self.study

    @property
    def held(self) -> Finding:
        """The finding as it stands in its family."""
        return hold(self.finding, self.standing)

    @property
    def headline(self) -> str:
        """The verdict as it stands, and all that a reader must know beside it."""
        return told(self.standing, self.caveats.notes)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the measured numbers as plain values.

        `verdict` is the one as it stands in the family, and so are those of the parts; `alone`
        says what the rule says by itself.
        """
        values = self.held.to_json()
        for part, plain in zip(self.finding.parts, values["parts"], strict=True):
            plain["alone"] = part.verdict.label
        return {
            "claim": self.claim.name,
            "title": self.claim.title,
            "statement": self.claim.statement,
            "reference": self.claim.reference,
            "rule": self.claim.rule,
            "rule_hash": self.claim.rule_hash,
            "rule_is_frozen": self.rule_is_frozen,
            "caveats": list(self.caveats.notes),
            "study": self.study,
            "scale": self.scale,
            "is_pilot": self.standing.is_pilot,
            "fingerprint": self.fingerprint,
            "judged_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "queries": list(self.queries),
            **values,
            "headline": self.headline,
            "alone": self.standing.alone.label,
            "reason_alone": self.finding.reason,
            "p_value": self.standing.p_value,
            "p_adjusted": self.standing.adjusted,
            "factor": self.standing.factor,
            "family": self.standing.family.to_json(),
        }


def evaluate_claim(
    claim: Claim,
    folder: StudyFolder,
    families: Sequence[Family] = (),
    ended: EndedRuns | None = None,
) -> Evaluated:
    """Test `claim` on the results of one study and keep the finding in its folder.

    Args:
        claim: The claim.
        folder: The study.
        families: Families of claims that are declared; of one in none the family is the claims of
            the study.
        ended: What has been read of this and other studies, where several claims are tested.

    Raises:
        StoreError: If the results cannot be read, or the finding cannot be kept.
    """
    store = Store([folder])
    record = folder.read_study()
    measured = claim.measure(store)
    finding = claim.judge(measured)
    member = Member(
        f"{folder.name}/{claim.name}",
        finding.verdict,
        finding.p_value,
        family_of(folder.name, claim.name, families, record.get("claims", [])),
        record.get("kind") == PILOT,
    )
    caveats = read_caveats(record, claim.name, claim.rule_hash)
    caveats = with_gaps(caveats, Store([folder]), measured)
    notes = [
        *caveats.notes,
        *shared_notes(folder, claim.name, studies_in(member.family), ended or EndedRuns()),
        *([UNCORRECTED] if lacks_p(finding) else []),
    ]
    evaluated = Evaluated(
        claim=claim,
        study=folder.name,
        scale=told_scale(record),
        path=folder.location,
        num_served=max(1, len(record.get("claims", []))),
        finding=finding,
        measured=measured,
        fingerprint=store.fingerprint,
        queries=tuple(store.queries),
        caveats=caveats._replace(notes=tuple(notes)),
        member=member,
        standing=stand([member])[0],
    )
    (settled,) = settle([(folder, evaluated)])
    return settled


def lacks_p(finding: Finding) -> bool:
    """Return whether a verdict rests on an interval, which chance has a part in, without a p-value.

    A verdict without one is not corrected for its family, as one by an exact rule is not.
    """
    if finding.verdict not in {Verdict.SUPPORTED, Verdict.REFUTED}:
        return False
    rest_on = [part for part in finding.parts if part.decides and part.verdict is finding.verdict]
    rests = [(part.interval, part.p_value) for part in rest_on]
    return any(
        interval is not None and p_value is None
        for interval, p_value in rests or [(finding.interval, finding.p_value)]
    )


def with_gaps(caveats: Caveats, store: Store, measured: Any) -> Caveats:
    """Return caveats with a note on each metric that is NaN in runs that are done.

    What symstudy measures is null where it does not apply; a program reports NaN where something
    went wrong. A rule leaves such seeds out, which may be those that a claim is refuted by.
    """
    if not isinstance(measured, Measured):
        return caveats
    known = {
        name
        for (name,) in store.sql(
            "select column_name from (describe runs) where column_type = 'DOUBLE'"
        ).rows
    }
    read = dict.fromkeys(name for need in measured.rule.needs for name in need.columns)
    gaps = []
    for name in (name for name in read if name in known):
        ((count,),) = store.sql(
            f"select count(*) from runs where outcome = 'done' and isnan({quoted(name)})"  # noqa: S608
        ).rows
        if count:
            gaps.append(f"{count} runs have NaN as {name} and are left out")
    return caveats._replace(notes=(*caveats.notes, *gaps))


def studies_in(family: Family) -> frozenset[str]:
    """Return the names of the studies whose claims a declared family has."""
    return frozenset(key.partition("/")[0] for key in family.claims if family.is_declared)


def settle(evaluated: Sequence[tuple[StudyFolder, Evaluated]]) -> list[Evaluated]:
    """Hold findings against their families, and keep them as they stand.

    Findings that are kept in the folders count too, if they are of the rows there are now; claims
    of a family without any count as not tested, with a p-value of 1.

    Args:
        evaluated: Each finding with the folder of its study.

    Raises:
        StoreError: If they cannot be kept.
    """
    new = {(folder.path, item.claim.name) for folder, item in evaluated}
    folders = {folder.path: folder for folder, _ in evaluated}
    kept = [
        member_of(each.values, folder.name)
        for folder in folders.values()
        for each in read_findings(folder).kept
        if not each.is_stale and (folder.path, each.values["claim"]) not in new
    ]
    standings = stand([*(item.member for _, item in evaluated), *kept])
    settled = []
    for (folder, item), standing in zip(evaluated, standings, strict=False):
        found = replace(item, standing=standing)
        folder.write_json(found.to_json(), "findings", f"{found.claim.name}.json")
        settled.append(found)
    return settled


def draw_claim(
    evaluated: Evaluated,
    folder: StudyFolder,
    *,
    formats: Sequence[str] = ("svg",),
    width_mm: float | None = None,
) -> list[str]:
    """Draw what a claim measured; return the paths of pictures, table and note.

    Args:
        evaluated: The finding.
        folder: Where the files go.
        formats: Formats of the picture.
        width_mm: Width in print; what the figure needs if None.

    Raises:
        StoreError: If the files cannot be written.
    """
    if evaluated.finding.verdict is Verdict.UNTESTED:
        return []
    with theme(width_mm):
        import matplotlib.pyplot as plt

        figure = with_headline(evaluated.claim.draw(as_it_stands(evaluated)), evaluated)
        note = {
            "claim": evaluated.claim.name,
            "study": evaluated.study,
            "headline": evaluated.headline,
            "fingerprint": evaluated.fingerprint,
            "queries": list(evaluated.queries),
        }
        letter_panels(figure.canvas)
        files = figure_files(figure, note, formats)
        plt.close(figure.canvas)
    for suffix, content in files.items():
        folder.write_bytes(content, "figures", f"{evaluated.claim.name}.{suffix}")
    return [folder.join("figures", f"{evaluated.claim.name}.{suffix}") for suffix in files]


def as_it_stands(evaluated: Evaluated) -> Any:
    """Return what a claim measured, for its figure: titles say verdicts as they stand."""
    measured = evaluated.measured
    if isinstance(measured, Measured):
        return measured._replace(standing=evaluated.standing)
    return measured


def with_headline(figure: Figure, evaluated: Evaluated) -> Figure:
    """Return a figure with the verdict above it, and all that must be known beside it.

    The caption says it too.
    """
    write_above(figure.canvas, f"{evaluated.claim.title}: {evaluated.headline}")
    headline = f"{evaluated.headline[:1].upper()}{evaluated.headline[1:]}"
    return figure._replace(caption=f"{headline}. {figure.caption}")


def claims_of(folder: StudyFolder, claims: dict[str, Claim], wanted: Iterable[str]) -> list[Claim]:
    """Return the claims to test on a study: those wanted, else those that the study serves.

    Raises:
        UserError: If the study serves a claim that is not known here.
    """
    names = list(wanted) or list(folder.read_study().get("claims", []))
    unknown = [name for name in names if name not in claims]
    if unknown:
        raise UserError(
            f"the claims of study {folder.name!r} must be known, but {unknown[0]!r} is not among "
            f"{', '.join(sorted(claims)) or 'none'}. Run from the project's folder, or name it "
            "with --project."
        )
    return [claims[name] for name in names]
