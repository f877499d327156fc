from jump_plants import course, planted_rows

from symstudy.findings import Verdict
from symstudy.testing.claims import judge_store


def jumping(run, rng, **kinds):
    """A course of the kind of the activation, of drops that break symmetries if not said."""
    return planted_rows(course(rng, kinds.get(run.cell.model.activation, "symmetry")))


def judge(claims, plant, **kinds):
    store = plant("learning_jumps_activations", lambda run, rng: jumping(run, rng, **kinds))
    return judge_store(claims["learning_jumps_activations"], store)


def test_both_activations_are_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert sum(part.decides for part in finding.parts) == 8


def test_one_activation_alone_is_not_enough(claims, plant):
    finding = judge(claims, plant, sin="norm")
    verdicts = {part.name: part.verdict for part in finding.parts if part.decides}
    assert finding.verdict is Verdict.REFUTED
    for name, verdict in verdicts.items():
        expected = Verdict.REFUTED if "sin" in name else Verdict.SUPPORTED
        assert verdict is expected, name


def test_the_figure_has_rows_for_each_activation(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims["learning_jumps_activations"]
    with theme():
        store = plant("learning_jumps_activations", jumping)
        figure = claim.draw(claim.measure(store))
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert figure.drawn["panel"].nunique() == 2 * (3 + 4)
