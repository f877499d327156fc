"""A Tune searcher whose suggestions are the packs of a source."""

from collections.abc import Mapping
from typing import Any

from ray.tune.search import Searcher

from symstudy.launch.events import Listener, PackStarted
from symstudy.launch.source import AbstractPackSource

__all__ = ["PackSearcher"]


class PackSearcher(Searcher):
    """Suggests the packs of a source to Tune, each as the configuration of one trial."""

    def __init__(
        self,
        source: AbstractPackSource,
        tell: Listener,
        resources: Mapping[str, dict[str, float]],
    ) -> None:
        """Suggest the packs of a source.

        Args:
            source: Packs to train.
            tell: Called with `PackStarted` as each starts.
            resources: What a pack reserves of Ray, by its device.
        """
        super().__init__(metric=None, mode=None)
        self.resources = resources
        self.source = source
        self.tell = tell

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles its searcher, and our state is in the store."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next pack; None if others have to end first."""
        del trial_id
        assignment = self.source.next_assignment()
        if assignment is None:
            return Searcher.FINISHED if self.source.is_over else None
        self.tell(PackStarted(assignment=assignment))
        return {
            "pack": assignment.pack.pack_id,
            "file": assignment.file,
            "certified": assignment.certified,
            "device": assignment.pack.device,
            "resources": self.resources[assignment.pack.device],
        }

    def on_trial_complete(self, trial_id: str, *_: Any, **__: Any) -> None:
        """Nothing to do: `TrialEvents` has passed the report on."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""
