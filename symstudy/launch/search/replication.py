"""Sequential replication: more seeds where a median is undecided, with the error of all looks.

A branch is judged at each of its looks by the repeated confidence interval of the median
(`symstudy.statistics.sequential`): it is decided once the interval lies within the claimed range,
or outside of it, and gets the seeds of the next look otherwise. Over all looks and branches
together a wrong decision has a chance of at most `alpha`.
"""

from collections.abc import Sequence

from symstudy.launch.search.trials import EvaluatedTrial, Proposal
from symstudy.study.search import Search

__all__ = ["replicate"]


def replicate(search: Search, branch: int, asked: Sequence[EvaluatedTrial]) -> list[Proposal]:
    """Propose the seeds of the next look, or nothing if the branch is decided."""
    # It loads scipy, which most launches have no use for.
    from symstudy.statistics.sequential import judge_looks, plan_looks

    del branch
    config = search.config
    assert config.looks is not None, "checked with the study"
    if any(a.is_open for a in asked):
        return []
    values = {
        run.seed: result.value
        for a in asked
        for run, result in zip(a.trial.runs, a.results, strict=True)
        if result is not None and result.value is not None
    }
    used = max((run.seed + 1 for a in asked for run in a.trial.runs), default=0)
    # Each branch has its share of the error.
    plan = plan_looks(config.looks, config.alpha / len(search.branches))
    decision = judge_looks(values, plan, low=config.low, high=config.high, seeds=used)
    if decision.is_decided:
        return []
    later = [count for count in config.looks if count > used]
    return [Proposal({}, tuple(range(used, later[0])))] if later else []
