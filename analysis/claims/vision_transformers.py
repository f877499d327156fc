"""Networks of two sizes that solve one task break about as many symmetries, not in proportion.

The degree of breaking of an attention layer is the sum over its heads of the singular values of
W_Q W_K^T, and of W_V W_O, above 0.02 of each head's largest. Every run of a seed has the same
ratios, of the means over layers in the largest network over those in the smallest; a pair of
published files is one seed, so that it has an effect and decides nothing.
"""

from symstudy.findings import All, Bound, Evidence, Given, Reported, claim

SIMILAR = 1.15
"""Ratio of breaking up to which two networks count as alike."""
EQUAL_ACCURACY = 0.015
MIN_BUDGET = 6.0
RATIO = "ratio of breaking"
RELATIVE = "ratio of breaking over that of the directions"
AT_RANDOM = "ratio of breaking over that of the directions, random weights"
GAP = "test accuracy of the large network less that of the small one"
TRAINED = {
    "breaking": "query_key_breaking + value_output_breaking",
    "query_key": "query_key_breaking",
    "value_output": "value_output_breaking",
    "common": "query_key_layer_breaking + value_output_layer_breaking",
    "spread": "query_key_effective_rank + value_output_effective_rank",
    "directions": "head_directions",
}
"""What is averaged over layers at the end, by its name; the column of its ratio is `NAME_ratio`."""
MEANS = ", ".join(f"avg({sql}) filter (where is_final) as {n}" for n, sql in TRAINED.items())
REPORTED = {
    "query_key": "ratio of breaking, query-key alone",
    "value_output": "ratio of breaking, value-output alone",
    "common": "ratio of breaking, one threshold for all heads",
    "spread": "ratio of effective ranks",
}
PAIR = "over (partition by seed, label_noise, lr_over_batch, least_gamma)"


def trained(value: str) -> str:
    """Return the SQL of a value of runs that were trained; null at random weights."""
    return f"case when not is_random then {value} end"


def compared(value: str, sign: str = "/") -> str:
    """Return the SQL of the mean of `value` in the large network over that in the small one."""
    means = (f"avg({value}) filter (where is_{size}) {PAIR}" for size in ("large", "small"))
    return f" {sign} ".join(means)


QUERY = f"""
    with degrees as (
        select study, run_id, avg({TRAINED["breaking"]}) filter (where step = 0) as at_start,
               {MEANS}
        from layers
        where head_directions is not null
        group by all
    ),
    counted as (
        select seed, outcome, decay_budget, coalesce(gamma, 0) as gamma, test_accuracy,
               coalesce(label_noise, 0) as label_noise,
               coalesce(lr_over_batch, 0) as lr_over_batch,
               case when gamma > 0 then gamma else 'infinity'::double end as least_gamma,
               runs.mean_head_directions as size, degrees.* exclude (study, run_id, at_start),
               coalesce(weights = 'random', false) as is_random,
               case when weights = 'random' then degrees.breaking
                    when path is null then degrees.at_start end as at_random,
               coalesce(outcome = 'done' and (coalesce(gamma, 0) = 0 or decay_budget is null
                        or decay_budget >= {MIN_BUDGET}), false) as is_evidence
        from runs left join degrees using (study, run_id)
        where runs.mean_head_directions is not null or outcome <> 'done'
    ),
    ends as (
        select *, min(size) filter (where is_evidence) over () as least,
               max(size) filter (where is_evidence) over () as most
        from counted
    ),
    sized as (
        select *, is_evidence and size = least and least < most as is_small,
               is_evidence and size = most and least < most as is_large
        from ends
    )
    select *, {compared("at_random")} as ratio_at_random,
           {compared("test_accuracy", "-")} as accuracy_gap,
           {", ".join(f"{compared(trained(n))} as {n}_ratio" for n in TRAINED)},
           breaking_ratio / directions_ratio as relative_ratio,
           ratio_at_random / directions_ratio as relative_at_random
    from sized
"""


@claim(
    title="Two sizes, one task: the same number of broken symmetries",
    statement=(
        "Vision transformers of different size that solve the same task break about as many "
        "symmetries of their attention, although the larger has more to break."
    ),
    study="vision_transformers",
    reference="arXiv:2502.05300, Fig. 3 (left)",
)
def vision_transformers(runs: Evidence) -> All:
    """Alike up to 1.15 and below the ratio of the directions, if both solve the task alike.

    At random weights the measure itself must be in proportion. On the runs with the least label
    noise, the largest lr / batch and the smallest gamma above 0.
    """
    pairs = runs.of(QUERY).budget(MIN_BUDGET).at_smallest("label_noise")
    pairs = pairs.at_largest("lr_over_batch").at_smallest("least_gamma")
    gap = EQUAL_ACCURACY
    return All(
        Given(
            All(
                Bound(pairs, "breaking_ratio", at_most=SIMILAR, name=RATIO),
                Bound(pairs, "relative_ratio", at_most=1.0, name=RELATIVE),
            ),
            Bound(pairs, "relative_at_random", at_least=0.99, at_most=1.01, name=AT_RANDOM),
            Bound(pairs, "accuracy_gap", at_least=-gap, at_most=gap, name=GAP),
        ),
        *(
            Reported(Bound(pairs, f"{column}_ratio", at_most=SIMILAR, name=name))
            for column, name in REPORTED.items()
        ),
    )
