"""Bases of generators with many zeros, by which one sees what each of them does.

Shapes: P parameters, R directions, G generators, U unknowns.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

__all__ = ["INDEPENDENT", "independent_rows", "sparse_basis"]

NEGLIGIBLE = 1e-4
"""Unknowns of a sparse basis below this are 0, relative to the largest."""
PIVOT = 1e-4
"""Least pivot of an echelon form of an orthonormal basis."""
INDEPENDENT = 1e-5
"""Share of a velocity that is independent of others; less may be the rounding of a fit."""
FORMS = 12
"""Echelon forms of which the sparsest generators are taken."""


def independent_rows(rows_GP: Tensor, known_RP: Tensor) -> list[int]:
    """Return the rows that depend neither on `known_RP` nor on the rows before them."""
    chosen = []
    basis_RP = known_RP
    if len(known_RP):
        _, values, turned = torch.linalg.svd(known_RP, full_matrices=False)
        basis_RP = turned[values > INDEPENDENT * values[0]]
    for number, row_P in enumerate(rows_GP):
        rest_P = row_P
        for _ in range(2):  # twice is enough for an orthogonal rest
            rest_P = rest_P - (basis_RP @ rest_P) @ basis_RP
        if float(rest_P.norm()) > INDEPENDENT * float(row_P.norm()):
            chosen.append(number)
            basis_RP = torch.cat([basis_RP, rest_P[None] / rest_P.norm()])
    return chosen


def sparse_basis(
    basis_GU: Float[Tensor, "generators unknowns"],
    tensor_U: Int64[Tensor, " unknowns"],
    cost_U: Float[Tensor, " unknowns"],
) -> Float[Tensor, "generators unknowns"]:
    """Return a basis of the same space with many zeros, sparsest generators first.

    Of the rows of many reduced echelon forms, which differ in the tensors whose entries are pivots
    first, the sparsest independent ones are a basis of least support among them.

    Args:
        basis_GU: Orthonormal.
        tensor_U: Number of the tensor that each unknown moves.
        cost_U: What an unknown that is not 0 counts.
    """
    if len(basis_GU) == 0:
        return basis_GU
    generator = torch.Generator().manual_seed(0)
    tensors = int(tensor_U.max()) + 1
    forms = []
    for _ in range(FORMS):
        order_U = torch.randperm(tensors, generator=generator)[tensor_U]
        forms.append(echelon_form(basis_GU, order_U))
    pool = torch.cat(forms)
    pool = pool[((pool != 0).double() @ cost_U).argsort(stable=True)]
    kept = independent_rows(pool, basis_GU[:0])
    return pool[kept]


def echelon_form(basis_GU: Tensor, order_U: Tensor) -> Tensor:
    """Return the reduced echelon form, with pivots in the unknowns of the lowest order first."""
    rows = basis_GU.clone()
    is_open = torch.ones(len(rows), dtype=torch.bool)
    for order in range(int(order_U.max()) + 1):
        columns = (order_U == order).nonzero()[:, 0]
        while bool(is_open.any()):
            block = torch.where(is_open[:, None], rows[:, columns].abs(), 0.0)
            place = int(block.argmax())
            row, column = place // len(columns), int(columns[place % len(columns)])
            if float(rows[row, column].abs()) <= PIVOT:
                break
            rows[row] = rows[row] / rows[row, column].clone()
            factors = rows[:, column].clone()
            factors[row] = 0.0
            rows = rows - factors[:, None] * rows[row]
            is_open[row] = False
    scale_G1 = rows.abs().amax(dim=1, keepdim=True)
    return torch.where(rows.abs() > NEGLIGIBLE * scale_G1, rows, 0.0)
