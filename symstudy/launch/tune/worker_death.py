"""Makes Tune take whatever ends a worker for the death of its actor, which it trains again.

Tune knows two errors of Ray: that an actor died, and that a task raised. Of a worker that its
memory monitor killed Ray tells another (`OutOfMemoryError`), as it may of a node that is gone; Tune
takes these for faults of its own, and ends the whole experiment.
"""

from typing import Any

from ray.exceptions import RayActorError, RayError, RayTaskError

__all__ = ["as_worker_death", "retry_after_worker_death"]


def as_worker_death(error: Exception) -> Exception:
    """Return an error of Ray as one by which Tune starts another worker; others as they are."""
    if isinstance(error, RayActorError | RayTaskError) or not isinstance(error, RayError):
        return error
    # The first line has what happened; Ray adds a page of processes and advice.
    death: Any = RayActorError(error_msg=str(error).partition("\n")[0])
    return death.with_traceback(error.__traceback__)  # type: ignore[no-any-return]


def retry_after_worker_death(controller: Any) -> None:
    """Make a Tune controller train again what a worker had when Ray ended it, for any reason."""
    manager = vars(controller).get("_actor_manager")
    if manager is None or "_actor_task_failed" in vars(manager):
        return
    original = manager._actor_task_failed  # noqa: SLF001  # Tune has no hook for it

    def task_failed(tracked_actor_task: Any, exception: Exception) -> None:
        original(tracked_actor_task=tracked_actor_task, exception=as_worker_death(exception))

    manager._actor_task_failed = task_failed  # noqa: SLF001
