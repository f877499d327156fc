"""Kinds of noise of planted seeds: normal, skewed, discrete, uneven, and without variance."""

from symstudy.testing.nulls import NOISES, Noise

__all__ = ["KINDS"]

KINDS: dict[str, Noise] = {
    **NOISES,
    "no variance": lambda rng, shape: rng.choice([-1e-7, 1e-7], shape),
}
"""Noise by name; without variance seeds lie at the edge up to round-off, on either side of it."""
