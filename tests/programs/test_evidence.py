from symstudy.findings import Bound
from symstudy.findings.conclude import Measured
from symstudy.findings.evaluate import with_gaps
from symstudy.findings.evidence import Evidence, load
from symstudy.findings.freezing import Caveats
from symstudy.findings.rules.base import Data


def test_convergence_of_programs_is_what_they_report_or_told_as_not_checked(run_programs):
    script = """
    def main(run):
        said = {0: {"converged": True}, 1: {"converged": False}, 2: {}}[run.seed]
        run.report(1, loss=float(run.seed), **said)
    """
    _, store = run_programs(script, '[program]\nentry = "train:main"\n[sweep]\nseed = 3\n')
    counted = load(store, Evidence().converged(grad_ratio=1e-6), ("loss",))
    assert counted.frame["loss"].tolist() == [0.0, 2.0]
    assert counted.excluded == (("gradient above 1e-06 of 1 + objective", 1),)
    assert counted.unchecked == 1


def test_claims_read_history_and_metrics_of_programs(run_programs):
    script = """
    def main(run):
        for step in (1, 2):
            run.report(step, loss=run.config["lr"] * step)
    """
    tables = '[program]\nentry = "train:main"\n[sweep]\n"config.lr" = [1.0, 2.0]\nseed = 2\n'
    _, store = run_programs(script, tables)
    runs = Evidence().done().at_largest("lr")
    assert runs.choose(load(store, runs, ("lr", "loss")).frame)["loss"].tolist() == [4.0, 4.0]
    curves = Evidence().of("select seed, lr, step, loss from history where step = 1")
    assert load(store, curves, ("loss",)).frame["loss"].tolist() == [1.0, 2.0, 1.0, 2.0]


def test_a_metric_that_is_nan_is_told_beside_the_verdict(run_programs):
    script = """
    def main(run):
        run.report(1, loss=float("nan") if run.seed == 1 else 1.0, other=2.0)
    """
    _, store = run_programs(script, '[program]\nentry = "train:main"\n[sweep]\nseed = 3\n')
    told = {
        value: with_gaps(
            Caveats(None, ("seeds were added",)), store, Measured(level_of(value), Data({}))
        ).notes
        for value in ("loss", "other")
    }
    assert told["loss"] == ("seeds were added", "1 runs have NaN as loss and are left out")
    assert told["other"] == ("seeds were added",)


def level_of(value):
    """Return a rule about the level of a metric."""
    return Bound(Evidence().done(), value, at_most=3.0)
