"""A larger learning rate has come further when training ends."""

from symstudy.findings import Evidence, Monotone, claim


@claim(
    title="Larger rates have come further",
    statement="After the same few steps, training loss falls with the learning rate.",
    study="resnet",
    reference="this project",
)
def faster_at_larger_rates(runs: Evidence) -> Monotone:
    """Training loss against the learning rate."""
    return Monotone(runs.done(), "train_loss", along="lr", sign=-1, at_least=0.9)
