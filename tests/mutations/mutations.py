"""The list of mutations that `make test-mutations` tries."""

from launch_mutations import LAUNCH
from loss_mutations import LOSSES
from result_mutations import RESULTS
from store_mutations import STORE

__all__ = ["MUTATIONS"]

MUTATIONS = (*STORE, *LAUNCH, *RESULTS, *LOSSES)
