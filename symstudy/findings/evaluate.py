"""Testing claims on results, and keeping what was found."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from symstudy.errors import UserError
from symstudy.findings.claim import Claim
from symstudy.findings.finding import Finding, Verdict
from symstudy.plots.figures import Figure, figure_files, theme
from symstudy.store import Store, StudyFolder

__all__ = ["Evaluated", "draw_claim", "evaluate_claim"]


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """A finding of a claim on a study, with what it rests on.

    Attributes:
        claim: The claim.
        study: Name of the study.
        finding: The verdict.
        measured: What `judge` saw; `draw` draws it.
        fingerprint: Hash of the rows.
        queries: The SQL that measured.
        rule_is_frozen: Whether the rule is the one frozen when the study first ran; None if none
            was.
    """

    claim: Claim
    study: str
    finding: Finding
    measured: Any
    fingerprint: str
    queries: tuple[str, ...]
    rule_is_frozen: bool | None

    def to_json(self) -> dict[str, Any]:
        """Return everything but the measured numbers as plain values."""
        return {
            "claim": self.claim.name,
            "title": self.claim.title,
            "statement": self.claim.statement,
            "reference": self.claim.reference,
            "rule": self.claim.rule,
            "rule_hash": self.claim.rule_hash,
            "rule_is_frozen": self.rule_is_frozen,
            "study": self.study,
            "fingerprint": self.fingerprint,
            "judged_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "queries": list(self.queries),
            **self.finding.to_json(),
        }


def evaluate_claim(claim: Claim, folder: StudyFolder) -> Evaluated:
    """Test `claim` on the results of one study and keep the finding in its folder.

    Raises:
        StoreError: If the results cannot be read, or the finding cannot be kept.
    """
    store = Store([folder])
    frozen = folder.read_study().get("rules", {}).get(claim.name)
    measured = claim.measure(store)
    finding = claim.judge(measured)
    evaluated = Evaluated(
        claim=claim,
        study=folder.name,
        finding=finding,
        measured=measured,
        fingerprint=store.fingerprint,
        queries=tuple(store.queries),
        rule_is_frozen=None if frozen is None else frozen == claim.rule_hash,
    )
    folder.write_json(evaluated.to_json(), "findings", f"{claim.name}.json")
    return evaluated


def draw_claim(evaluated: Evaluated, folder: StudyFolder) -> list[str]:
    """Draw what a claim measured; return the paths of picture, table and note.

    Raises:
        StoreError: If the files cannot be written.
    """
    if evaluated.finding.verdict is Verdict.UNTESTED:
        return []
    with theme():
        import matplotlib.pyplot as plt

        figure: Figure = evaluated.claim.draw(evaluated.measured)
        note = {
            "claim": evaluated.claim.name,
            "study": evaluated.study,
            "fingerprint": evaluated.fingerprint,
            "queries": list(evaluated.queries),
        }
        files = figure_files(figure, note)
        plt.close(figure.canvas)
    for suffix, content in files.items():
        folder.write_bytes(content, "figures", f"{evaluated.claim.name}.{suffix}")
    return [folder.join("figures", f"{evaluated.claim.name}.{suffix}") for suffix in files]


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
