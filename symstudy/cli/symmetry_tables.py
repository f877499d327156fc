"""What `symstudy symmetries` prints, and what it gives as JSON."""

from typing import Any

from symstudy.cli.output import print_table, say

__all__ = ["as_plain", "finite", "print_data_rank", "print_discovery", "print_report"]


def as_plain(report: Any) -> dict[str, Any]:
    """Return a report as values that JSON has."""
    derivation = report.derivation
    layout = derivation.layout
    return {
        "symmetries": report.rows(),
        "neurons": [
            {
                "name": group.name,
                "layer": group.layer,
                "size": group.size,
                "odd": group.odd,
                "even": group.even,
                "homogeneous": group.homogeneous,
                "activations": group.name not in derivation.unseen,
            }
            for group in layout.groups
        ],
        "attention": [
            {
                "layer": layer.layer,
                "heads": layout.block(layer.query_blocks[0]).length(layer.heads),
                "query": list(layer.query_blocks),
                "key": list(layer.key_blocks),
                "value": list(layer.value_blocks),
                "output": list(layer.output_blocks),
            }
            for layer in layout.attention
        ],
        "left_out": [each._asdict() for each in told_refusals(derivation)],
        "jacobian": {key: finite(value) for key, value in report.nullity._asdict().items()},
    }


def finite(value: Any) -> Any:
    """Return a value, None for NaN, which JSON does not have."""
    import math

    return None if isinstance(value, float) and math.isnan(value) else value


def told_refusals(derivation: Any) -> list[Any]:
    """Return what was left out, with the groups whose activations are not seen."""
    from symstudy.symmetry.derivation import Refusal

    unseen = [
        Refusal(
            name,
            "its activations enter or leave no module, so that their ranks are null: return them, "
            "or apply the weights in a module of their own",
        )
        for name in derivation.unseen
    ]
    return [*derivation.refusals, *unseen]


def print_report(report: Any) -> None:
    """Print a report as tables."""
    rows = []
    for row in report.rows():
        error = row["error"]
        bare = row["error_without_epsilon"]
        said = f"{error:.1e}" if bare is None else f"{error:.1e}; {bare:.1e} without epsilon"
        copies = f"{row['copies']} x " if row["copies"] > 1 else ""
        blocks = ", ".join(row["blocks"])
        partners = ", ".join(row["partners"])
        rows.append(
            (
                row["kind"],
                row["axis"] or "",
                f"{copies}{row['size']}",
                row["continuous"],
                row["discrete"] or "",
                row["preserves"],
                said,
                f"{blocks} | {partners}" if partners else blocks,
            )
        )
    headings = ("symmetry", "axis", "size", "continuous", "discrete", "keeps", "error", "blocks")
    print_table(headings, rows)
    left_out = [(each.what, each.reason) for each in told_refusals(report.derivation)]
    if left_out:
        print_table(("left out", "why"), left_out)
    print_nullity(report.nullity)


def print_nullity(found: Any) -> None:
    """Print what the Jacobian says."""
    if found.rank is None:
        say(f"parameters {found.parameters:,}; {found.reason}.")
        return
    say(
        f"parameters {found.parameters:,}; rank of the Jacobian {found.rank:,} on {found.batches} "
        f"batches of inputs (gap {found.gap:.1e}); nullity {found.nullity:,}: explained by these "
        f"symmetries {found.explained:,}, unexplained {found.unexplained:,}."
    )
    if found.reason:
        say(f"{found.reason}.")


def print_discovery(found: Any) -> None:
    """Print what was found on numbers alone."""
    rows = [
        (
            row.where,
            ", ".join(row.moves),
            ", ".join(row.depends_on) or "nothing",
            row.directions,
            row.new,
        )
        for row in found.moved
    ]
    if rows:
        print_table(("found", "moves", "as fast as", "directions", "not derived"), rows)
    plain = found.as_plain()
    say(
        f"discovery among {plain['unknowns']:,} affine generators ({plain['family']}): "
        f"{plain['generators']:,} hold everywhere (gap {plain['gap']:.1e}, error "
        f"{plain['error']:.1e}), {found.directions:,} directions at the point; derived symmetries "
        f"have {found.derived:,}, of which {found.missed:,} were missed."
    )
    if found.nearby is not None:
        say(
            f"near the point {found.nearby.dimension:,} hold (gap {found.nearby.gap:.1e}, error "
            f"{found.nearby.error:.1e}); with them {found.directions_nearby:,} directions."
        )
    if found.unexplained is not None:
        say(f"directions that change nothing and no generator found has: {found.unexplained:,}.")
    if found.doubt:
        say(f"near the point nothing can be told: {found.doubt}")


def print_data_rank(found: Any) -> None:
    """Print how many directions change nothing on the training inputs alone."""
    say(
        f"on the {found.inputs:,} training inputs the rank is {found.rank:,} (gap {found.gap:.1e}):"
        f" {found.directions:,} more directions change nothing there, and something elsewhere."
    )
    if found.reason:
        say(f"{found.reason}.")
