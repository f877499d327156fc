"""Mutations of launches: lease, checkpoints, worker, dispatch, planning, retries, devices."""

from mutation import Change, Mutation

__all__ = ["LAUNCH"]

GUARANTEES = "tests/launch/test_guarantees.py"

LAUNCH = (
    Mutation(
        "doubled rows are not settled",
        "symstudy/launch/planning.py",
        (
            Change(
                "notes.extend((*repair(folder), *settle(folder)))", "notes.extend(repair(folder))"
            ),
        ),
        (
            (
                "tests/launch/test_write_faults.py::"
                "test_a_run_that_two_drivers_trained_is_settled_by_the_next_launch"
            ),
        ),
    ),
    Mutation(
        "a worker does not ask for the lease before it writes",
        "symstudy/launch/worker.py",
        (Change("        self.check_lease()\n        write_pack(", "        write_pack("),),
        (f"{GUARANTEES}::test_a_worker_writes_no_row_for_a_driver_that_was_replaced",),
    ),
    Mutation(
        "a checkpoint writer never sees another driver",
        "symstudy/launch/stop_poll.py",
        (
            Change(
                "return stop_reason(self.folder, self.config.launch) or (\n"
                '            "" if holds_lease(self.config, self.folder) else TAKEN_OVER\n'
                "        )",
                "return stop_reason(self.folder, self.config.launch)",
            ),
        ),
        (
            (
                f"{GUARANTEES}::"
                "test_a_pack_in_training_stops_and_saves_nothing_when_its_driver_was_replaced"
            ),
        ),
    ),
    Mutation(
        "the plan is written after packs are trained",
        "symstudy/launch/session.py",
        (
            Change(
                "write_ledger(folder, study, launch, new, plan.packs)",
                "write_ledger(folder, study, launch, [], plan.packs)",
            ),
            Change(
                "        launcher.launch(config, dispatch, tell)\n",
                "        launcher.launch(config, dispatch, tell)\n"
                "        write_ledger(folder, study, launch, new, [])\n",
            ),
        ),
        (f"{GUARANTEES}::test_runs_and_packs_are_in_the_ledger_before_they_are_trained",),
    ),
    Mutation(
        "a half-trained pack is packed anew",
        "symstudy/launch/planning.py",
        (
            Change(
                "for checkpoint in list_checkpoints(folder):",
                "for checkpoint in ():",
            ),
        ),
        (f"{GUARANTEES}::test_a_half_trained_pack_is_trained_on_as_it_was_packed",),
    ),
    Mutation(
        "errors of writing are ignored and the pack counts as done",
        "symstudy/launch/worker.py",
        (
            Change(
                "    except StoreError as error:\n        paused = str(error)\n",
                "    except StoreError:\n        pass\n",
            ),
        ),
        ("tests/launch/test_write_faults.py::test_a_pack_that_could_not_be_written_is_not_done",),
    ),
    Mutation(
        "a pack that paused by itself does not end the dispatch",
        "symstudy/launch/dispatch.py",
        (
            Change(
                "elif report.is_refused or not self.control.check_stop():",
                "elif report.is_refused or self.control.check_stop():",
            ),
        ),
        ("tests/launch/test_control.py::test_results_that_cannot_be_written_are_told_at_the_end",),
    ),
    Mutation(
        "a driver on another machine is taken for dead by the number of its process",
        "symstudy/launch/lease.py",
        (
            Change(
                "return lease.host != platform.node() or is_process(lease.pid)",
                "return is_process(lease.pid)",
            ),
        ),
        (
            (
                "tests/launch/test_lease.py::"
                "test_a_driver_of_another_machine_is_not_known_by_the_number_of_its_process"
            ),
        ),
    ),
    Mutation(
        "failed runs are not trained again when asked",
        "symstudy/launch/planning.py",
        (Change("failed_count=not retry", "failed_count=True"),),
        ("tests/launch/test_study_run.py::test_failed_runs_are_trained_again_only_if_asked",),
    ),
    Mutation(
        "a device fault behind another error is taken for a mistake of the run",
        "symstudy/launch/device_faults.py",
        (Change("seen = seen.__cause__ or seen.__context__", "seen = None"),),
        (
            (
                "tests/launch/test_device_faults.py::"
                "test_a_fault_is_found_behind_the_error_that_it_caused"
            ),
        ),
    ),
    Mutation(
        "a run is lost when a pack that did not fit is split",
        "symstudy/launch/worker.py",
        (Change("runs[len(runs) // 2 :]", "runs[len(runs) // 2 + 1 :]"),),
        ("tests/launch/test_study_run.py::test_a_pack_that_does_not_fit_is_split_until_it_does",),
    ),
)
"""Faults of drivers and workers."""
