"""Attention of one lane, forward and backward, head by head.

Arrays are `[feature, token, sample]` with the samples contiguous. Weights of attention are `[head,
token, query, sample]`, so that the loops of a softmax are long. Queries may be fewer than the
tokens: one where only the last token is read out.

Legend of names: `bp` padded samples of a token, `line` items between the features of queries.

References: Vaswani et al. 2017, arXiv:1706.03762, Eq. 1.
"""

from typing import NamedTuple

from symstudy.kernels.functions import exp
from symstudy.kernels.jit import Floats, Index, Real, compiled_apart, stay_apart
from symstudy.kernels.sample_products import sample_products
from symstudy.kernels.vectors import copy, fill, scale_by

__all__ = ["HeadSizes", "attend", "attend_back"]


class HeadSizes(NamedTuple):
    """Sizes of the attention of one layer on one chunk of samples.

    Attributes:
        heads: Number of heads.
        size: Numbers of a query, key and value of a head.
        tokens: Keys and values.
        queries: Queries.
        samples: Samples, padded.
        line: Items between the features of queries and of what they read.
        is_last: 1 where the last token alone asks, 0 where all do.
    """

    heads: Index
    size: Index
    tokens: Index
    queries: Index
    samples: Index
    line: Index
    is_last: Index


@compiled_apart
def softmax(p: Floats, at: Index, tokens: Index, peak: Floats, total: Floats) -> None:
    """Replace the logits p[u, :] of one head, from `at` on, by their softmax over the tokens u.

    A row has as many items as `peak` and `total`: those of all queries and samples.
    """
    stay_apart()
    width = peak.size
    one = p.dtype.type(1.0)
    copy(peak, p[at : at + width])
    for u in range(1, tokens):
        line = p[at + u * width : at + (u + 1) * width]
        for i in range(line.size):
            peak[i] = max(peak[i], line[i])
    fill(total, one - one)
    for u in range(tokens):
        line = p[at + u * width : at + (u + 1) * width]
        for i in range(line.size):
            share = exp(line[i] - peak[i])
            line[i] = share
            total[i] += share
    for i in range(total.size):
        total[i] = one / total[i]
    for u in range(tokens):
        scale_by(p[at + u * width : at + (u + 1) * width], total)


@compiled_apart
def softmax_back(memory: Floats, s_at: Index, p_at: Index, tokens: Index, total: Floats) -> None:
    """Replace dP[u, :] of one head, from `s_at` on, by dS = P (dP - sum_u P dP)."""
    stay_apart()
    width = total.size
    fill(total, total.dtype.type(0.0))
    for u in range(tokens):
        line = memory[s_at + u * width : s_at + (u + 1) * width]
        share = memory[p_at + u * width : p_at + (u + 1) * width]
        for i in range(line.size):
            total[i] += line[i] * share[i]
    for u in range(tokens):
        line = memory[s_at + u * width : s_at + (u + 1) * width]
        share = memory[p_at + u * width : p_at + (u + 1) * width]
        for i in range(line.size):
            line[i] = share[i] * (line[i] - total[i])


@compiled_apart
def attend(
    sizes: HeadSizes,
    memory: Floats,
    query: Index,
    keys: Index,
    pairs: Index,
    read: Index,
    scale: Real,
    peak: Floats,
    total: Floats,
) -> None:
    """Fill the weights of attention and what each query reads.

    Args:
        sizes: Of heads, tokens and samples.
        memory: Holds all arrays, at the places that follow.
        query: Queries `[heads * size, queries, samples]`.
        keys: Keys `[heads * size, tokens, samples]`, and the values after them.
        pairs: Written: softmax of the scaled logits `[heads, tokens, queries, samples]`.
        read: Written: what the queries read, laid out as the queries.
        scale: Factor on the logits.
        peak: Room for a number a query and sample.
        total: The same.
    """
    stay_apart()
    bp, line = sizes.samples, sizes.line
    size, tokens, queries = sizes.size, sizes.tokens, sizes.queries
    columns, asked = tokens * bp, queries * bp
    values = keys + sizes.heads * size * columns
    one = memory.dtype.type(1.0)
    for h in range(sizes.heads):
        own = h * size
        p = pairs + h * queries * columns
        q, o = query + own * line, read + own * line
        k, v = keys + own * columns, values + own * columns
        # S[t, u] = sum_n q[n, t] k[n, u]
        sample_products(
            memory, p, bp, asked, memory, q, bp, line, memory, k, columns, bp,
            queries, tokens, size, bp, scale,
        )  # fmt: skip
        softmax(memory, p, tokens, peak[:asked], total[:asked])
        # o[n, t] = sum_u v[n, u] P[t, u]
        sample_products(
            memory, o, line, bp, memory, v, columns, bp, memory, p, asked, bp,
            size, queries, tokens, bp, one,
        )  # fmt: skip


@compiled_apart
def attend_back(
    sizes: HeadSizes,
    memory: Floats,
    query: Index,
    keys: Index,
    pairs: Index,
    slope_read: Index,
    slope_query: Index,
    slope_keys: Index,
    slope_pairs: Index,
    scale: Real,
    total: Floats,
) -> None:
    """Fill the slopes of queries, keys and values from those of what the queries read.

    Args:
        sizes: Of heads, tokens and samples.
        memory: As `attend` left it.
        query: Where the queries begin.
        keys: Where keys and values begin.
        pairs: Where the weights of attention begin.
        slope_read: Where the slopes of what the queries read begin.
        slope_query: Written: slopes of the queries.
        slope_keys: Written: slopes of keys and values.
        slope_pairs: Room for `[tokens, queries, samples]`.
        scale: Factor on the logits.
        total: Room for a number a query and sample.
    """
    stay_apart()
    bp, line = sizes.samples, sizes.line
    size, tokens, queries = sizes.size, sizes.tokens, sizes.queries
    columns, asked = tokens * bp, queries * bp
    inner = sizes.heads * size * columns
    one = memory.dtype.type(1.0)
    for h in range(sizes.heads):
        own, below = h * size * line, h * size * columns
        p = pairs + h * queries * columns
        q, k, v = query + own, keys + below, keys + inner + below
        dq, dk, dv = slope_query + own, slope_keys + below, slope_keys + inner + below
        do, ds = slope_read + own, slope_pairs
        # dP[t, u] = sum_n do[n, t] v[n, u]
        sample_products(
            memory, ds, bp, asked, memory, do, bp, line, memory, v, columns, bp,
            queries, tokens, size, bp, one,
        )  # fmt: skip
        # dv[n, u] = sum_t do[n, t] P[t, u]
        sample_products(
            memory, dv, columns, bp, memory, do, line, bp, memory, p, bp, asked,
            size, tokens, queries, bp, one,
        )  # fmt: skip
        softmax_back(memory, ds, p, tokens, total[:asked])
        # dq[n, t] = sum_u k[n, u] dS[t, u]
        sample_products(
            memory, dq, line, bp, memory, k, columns, bp, memory, ds, asked, bp,
            size, queries, tokens, bp, scale,
        )  # fmt: skip
        # dk[n, u] = sum_t q[n, t] dS[t, u]
        sample_products(
            memory, dk, columns, bp, memory, q, line, bp, memory, ds, bp, asked,
            size, tokens, queries, bp, scale,
        )  # fmt: skip
