"""Pairs of networks of which the second sees the inputs through a random matrix."""

from symstudy.findings import All, Bound, Evidence

__all__ = ["middle_rises", "middles_of_networks", "pairs_of_networks"]

PAIRS = """
    with layered as (
        select study, run_id, min(universal_gram_cosine) as universal,
               max(input_gram_cosine) as input
        from layers
        where is_final
        group by all
    ),
    paired as (
        select study, run_a, run_b, min(gram_cosine) as least, max(gram_cosine_p) as chance
        from pairs
        where is_last and input_matrix = 'none'
        group by all
    )
    select a.study, a.run_id, a.seed, a.model, a.optimizer, a.gamma, a.lr_over_batch,
           a.width as width_a, b.width as width_b, a.depth as depth_a, b.depth as depth_b,
           b.input_rank as input_rank_b, paired.least, paired.chance,
           least(la.universal, lb.universal) as universal,
           paired.least - greatest(la.input, lb.input) as above_input,
           case when a.outcome = 'done' then b.outcome else a.outcome end as outcome,
           1 - greatest(a.test_loss / a.trivial_loss, b.test_loss / b.trivial_loss) as learned
    from paired
    join runs as a on a.study = paired.study and a.run_id = paired.run_a
    join runs as b on b.study = paired.study and b.run_id = paired.run_b
    join layered as la on la.study = paired.study and la.run_id = paired.run_a
    join layered as lb on lb.study = paired.study and lb.run_id = paired.run_b
    where b.input_matrix = 'gaussian'
"""

MIDDLES = """
    with middle as (
        select study, run_a, run_b, arg_min(cka, step_a) as first,
               max(cka) filter (where is_last) as alignment,
               max(cka_p) filter (where is_last) as chance
        from pairs
        where input_matrix = 'none' and layer_a = layer_b and layer_a = depth // 2
        group by all
    ),
    inputs as (
        select study, run_id, input_cka
        from layers
        where is_final and layer = depth // 2
    )
    select a.study, a.run_id, a.seed, a.optimizer, a.depth, a.width as width_a,
           b.width as width_b, coalesce(a.activation, 'linear') as activation,
           middle.first, middle.alignment, middle.chance,
           middle.alignment - middle.first as rise,
           middle.alignment - greatest(ia.input_cka, ib.input_cka) as above_input,
           case when a.outcome = 'done' then b.outcome else a.outcome end as outcome,
           least(
               (a.test_accuracy - a.trivial_accuracy) / (1 - a.trivial_accuracy),
               (b.test_accuracy - b.trivial_accuracy) / (1 - b.trivial_accuracy)
           ) as learned
    from middle
    join runs as a on a.study = middle.study and a.run_id = middle.run_a
    join runs as b on b.study = middle.study and b.run_id = middle.run_b
    join inputs as ia on ia.study = middle.study and ia.run_id = middle.run_a
    join inputs as ib on ib.study = middle.study and ib.run_id = middle.run_b
    where b.input_matrix = 'gaussian'
"""
UNLEARNED = "not clearly better than a constant answer"


def pairs_of_networks(runs: Evidence) -> Evidence:
    """Return a row a pair: the least alignment of any two of its layers, and what it is held to."""
    return runs.of(PAIRS)


def middles_of_networks(runs: Evidence) -> Evidence:
    """Return a row a pair of classifiers that have learned: how their middle layers align."""
    return runs.of(MIDDLES).done().where("learned > 0.6", why=UNLEARNED)


def middle_rises(pairs: Evidence, *, at_least: float) -> All:
    """Return the rule that middle layers align: more than at the start, with inputs, by chance.

    Args:
        pairs: Pairs of networks.
        at_least: Least alignment at the end.
    """
    return All(
        Bound(pairs, "alignment", at_least=at_least, name="alignment of middle layers"),
        Bound(pairs, "rise", at_least=0.05, name="rise of the alignment in training"),
        Bound(pairs, "above_input", at_least=0.05, name="alignment above that with inputs"),
        Bound(pairs, "chance", at_most=0.005, name="share of permuted samples as aligned"),
    )
