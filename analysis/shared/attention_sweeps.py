"""The degree of attention against one factor of the task: what three claims share.

The degree of symmetry breaking of a layer is the rank of W_Q W_K^T and that of W_V W_O, of every
head, in every gauge the same; summed over layers it is the capacity in use.
"""

from symstudy.findings import All, Evidence, Monotone, Reported

__all__ = ["degree_rules"]

LEAST = 0.8
"""Spearman's correlation that a sweep has to reach, in the claimed direction."""
DECIDES = "adamw"
"""Optimiser whose runs at the largest gamma decide: the paper's."""
QUERY = f"""
    select *, optimizer = '{DECIDES}'
              and gamma = max(gamma) filter (where optimizer = '{DECIDES}') over () as is_deciding,
           case when task_dim = 0 then token_dim - 1 else task_dim end as task_dimension,
           layers * mean_query_key_breaking as query_key,
           layers * mean_value_output_breaking as value_output,
           layers * (mean_query_key_breaking + mean_value_output_breaking) as degree,
           layers * (mean_query_key_effective_rank + mean_value_output_effective_rank) as spread
    from runs
    where model = 'transformer' and data = 'in_context' and optimizer in ('adam', 'adamw')
          and gamma > 0 and (label_noise = 0 or noise_mode = 'online')
"""
DEGREE = "degree of breaking"
BESIDE = {
    "query_key": "degree of W_Q W_K^T",
    "value_output": "degree of W_V W_O",
    "spread": "effective rank of both products",
}


def degree_rules(runs: Evidence, along: str, sign: int) -> All:
    """Return the rules of a degree that goes one way after AdamW at the largest gamma.

    Both products alone, their effective ranks, smaller gamma and Adam are reported beside.

    Args:
        runs: All runs of a study.
        along: What changes, input_scale, label_noise or task_dimension; the others stand at scale
            1, no noise and the largest dimension.
        sign: 1 if the degree is to grow with it, -1 if to fall.
    """
    networks = runs.of(QUERY).done()
    main = swept(networks, along).at("optimizer", DECIDES).at_largest("gamma")
    others = swept(networks.where("not is_deciding"), along)

    def goes(evidence: Evidence, value: str, name: str, by: tuple[str, ...] = ()) -> Monotone:
        return Monotone(evidence, value, along=along, sign=sign, at_least=LEAST, name=name, by=by)

    return All(
        goes(main, "degree", DEGREE),
        *(Reported(goes(main, value, name)) for value, name in BESIDE.items()),
        Reported(goes(others, "degree", DEGREE, ("optimizer", "gamma"))),
    )


def swept(networks: Evidence, along: str) -> Evidence:
    """Return the runs in which nothing but one factor changes."""
    if along != "input_scale":
        networks = networks.at("input_scale", 1.0)
    if along != "label_noise":
        networks = networks.at("label_noise", 0.0)
    return networks if along == "task_dimension" else networks.at_largest("task_dimension")
