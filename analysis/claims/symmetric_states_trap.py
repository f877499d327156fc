"""Training cannot leave a symmetric state that it starts in.

The gradient of every batch at a state that an orthogonal symmetry leaves as it is, is left as it is
too: g grad = grad. SGD with any batches, momentum and weight decay therefore stays there. Adam acts
on each parameter by itself, so it commutes with permutations and sign flips, and not with
rotations: it keeps copies of neurons, and leaves a low rank. In floating point, round-off grows
exponentially near a saddle, so that a rank is kept for a limited time.
"""

from symstudy.findings import All, Bound, Every, Evidence, Paired, Reported, claim

SHORT = 300
KIND = f"""
    case when init_copies > 1 and init_rank > 0 then 'both'
         when init_copies > 1 then 'copies'
         when init_rank > 0 and coalesce(activation, 'linear') <> 'linear'
             then 'low rank, not linear'
         when init_rank > 0 and steps > {SHORT} then 'low rank, many steps'
         when init_rank > 0 then 'low rank'
         when coalesce(activation, 'linear') <> 'linear' then 'as drawn'
         else 'as drawn, linear' end
"""


@claim(
    title="Symmetric states trap training",
    statement=(
        "A network that starts with copies of neurons keeps them under SGD with any batches, "
        "momentum and weight decay, and under Adam; a linear network that starts with a low rank "
        "keeps it under SGD but not under Adam."
    ),
    study="symmetric_states_trap",
    reference="arXiv:2502.05300, Theorem 3 and its proof (orthogonal symmetries)",
)
def symmetric_states_trap(runs: Evidence) -> All:
    """No run gains a neuron over its copies, or under SGD a rank; Adam gains ranks; the control."""
    trained = (
        runs.where("depth = 2 and dtype = 'float64' and init_copies is not null")
        .define(
            kind=KIND,
            method="case when optimizer = 'sgd' then 'SGD' else 'adaptive' end",
            more_neurons="distinct_exact - ceil(width / init_copies)",
            more_ranks="product_rank_exact - init_rank",
            ranks_left="product_rank - init_rank",
            share="distinct_exact / width",
            log_loss="ln(train_loss)",
        )
        .done()
    )
    copies, low_rank = trained.at("kind", "copies"), trained.at("kind", "low rank")
    gained = "singular values gained"
    return All(
        Bound(low_rank.at("method", "adaptive"), "ranks_left", at_least=1, name=gained),
        Every(low_rank.at("method", "SGD"), "more_ranks", at_most=0, name=gained),
        Every(copies, "more_neurons", at_most=0, by=("method",), name="neurons gained"),
        Bound(trained.at("kind", "as drawn"), "share", at_least=0.9, name="distinct neurons"),
        Reported(
            Paired(
                trained, "log_loss", between="kind", first="as drawn", second="copies",
                at_least=0, name="cost of copies, ln loss",
            )
        ),
        *(
            Reported(Bound(trained.at("kind", kind), "more_ranks", at_most=0, by=by, name=gained))
            for kind, by in (
                ("low rank, many steps", ("method",)),
                ("low rank, not linear", ("method",)),
            )
        ),
    )  # fmt: skip
