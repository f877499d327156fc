"""Checks that the configurations of several models share."""

__all__ = ["check_factors", "check_init_rank"]


def check_init_rank(rank: int, width: int) -> None:
    """Check that `width` neurons have `rank` dimensions.

    Raises:
        ValueError: If they have not.
    """
    if rank > width:
        raise ValueError(
            f"`model.init_rank` must be at most `model.width`, but got {rank} and {width}"
        )


def check_factors(reparametrise: str, copies: int, rank: int) -> None:
    """Check that initial weights of a special form are not drawn anew as products.

    Raises:
        ValueError: If they would be.
    """
    if reparametrise in ("hadamard", "factorised") and (copies > 1 or rank > 0):
        raise ValueError(
            "`model.reparametrise` must be 'none' or 'gate' where init_copies or init_rank is set, "
            f"but got {reparametrise!r}, which draws the factors of the weights anew"
        )
