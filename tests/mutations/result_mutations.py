"""Mutations of what else decides numbers: training, identity, statistics, measures, evidence."""

from mutation import Change, Mutation

__all__ = ["RESULTS"]

LOOP = "tests/training/test_loop.py"
DENSE = "tests/training/test_own_kernels.py"
IMAGES = "tests/training/test_image_kernels.py"

RESULTS = (
    Mutation(
        "training goes on from the state of another pack",
        "symstudy/training/loop.py",
        (
            Change(
                'if "about" not in state or state["about"].tobytes() != about:',
                'if "about" not in state:',
            ),
        ),
        ("tests/training/test_checkpoints.py::test_a_state_of_another_pack_is_passed_over",),
    ),
    Mutation(
        "a run that diverged has the measures of its last probe",
        "symstudy/training/recorder.py",
        (Change("name: np.where(dead, np.nan, column)", "name: column"),),
        (f"{LOOP}::test_a_diverging_run_is_frozen_and_its_mates_go_on",),
    ),
    Mutation(
        "the mean over layers is the last layer",
        "symstudy/training/recorder.py",
        (
            Change(
                "kept[lanes] = before + (values - before) / counts[lanes]",
                "kept[lanes] = values",
            ),
        ),
        (f"{LOOP}::test_final_measures_are_means_over_layers",),
    ),
    Mutation(
        "a run that has converged is trained on",
        "symstudy/training/loop.py",
        (
            Change(
                "self.engine.freeze(np.concatenate(new))",
                "self.engine.freeze(new.stopped)",
            ),
        ),
        (
            (
                "tests/training/test_early_stopping.py::"
                "test_a_run_that_has_converged_is_done_at_that_probe"
            ),
        ),
    ),
    Mutation(
        "a batch norm keeps the variance over n",
        "symstudy/kernels/graph_pass.py",
        (Change("state.dtype.type(many / (many - 1.0))", "state.dtype.type(1.0)"),),
        (f"{IMAGES}::test_loss_gradient_and_running_means_are_those_of_the_module",),
    ),
    Mutation(
        "the padding of a chunk counts in the gradient below a batch norm",
        "symstudy/kernels/following_backward.py",
        (Change("        if samples < width:\n", "        if samples < 0:\n"),),
        (f"{IMAGES}::test_loss_gradient_and_running_means_are_those_of_the_module",),
    ),
    Mutation(
        "a module of one's own is compared with the kernels in training alone",
        "symstudy/models/own/kernel_check.py",
        (Change("for is_training in (True, False):", "for is_training in (True,):"),),
        (f"{IMAGES}::test_a_module_that_does_more_than_its_layers_is_trained_by_torch",),
    ),
    Mutation(
        "a dense module of one's own is not compared with the kernels",
        "symstudy/models/own/kernel_form.py",
        (Change("reason = why_unlike(factory, data, stack)", 'reason = ""'),),
        (f"{DENSE}::test_torch_trains_what_the_kernels_do_not_know_and_the_plan_tells_why",),
    ),
    Mutation(
        "a lane that diverges is not frozen where it does",
        "symstudy/kernels/lanes.py",
        (
            Change(
                "                lanes.diverged[k] = lanes.step + s\n                break\n",
                "                lanes.diverged[k] = lanes.step + s\n",
            ),
        ),
        (f"{LOOP}::test_a_run_diverges_at_the_first_step_whose_loss_is_too_large",),
    ),
    Mutation(
        "label noise is drawn from the stream of the initialisation",
        "symstudy/training/data.py",
        (Change('Stream(task.seed, "label_noise")', 'Stream(task.seed, "initialisation")'),),
        ("tests/training/test_data.py::test_label_noise_has_a_stream_of_its_own",),
    ),
    Mutation(
        "label noise of a regression has its level as variance",
        "symstudy/training/data.py",
        (
            Change(
                "return task.y_train + sigma * stream.normal(samples, outputs)",
                "return task.y_train + sigma**0.5 * stream.normal(samples, outputs)",
            ),
        ),
        ("tests/datasets/test_label_noise.py",),
    ),
    Mutation(
        "a download with another checksum is kept",
        "symstudy/datasets/readers/download.py",
        (
            Change(
                "if found != remote.md5 and not holds_same(Path(temporary), remote):", "if False:"
            ),
        ),
        (
            (
                "tests/datasets/test_downloads.py::"
                "test_a_download_with_another_checksum_is_refused_and_leaves_nothing"
            ),
        ),
    ),
    Mutation(
        "online label noise is the same in every block of steps",
        "symstudy/training/data.py",
        (
            Change(
                "stream.normal_blocks(first, steps, self.batch, outputs)",
                "stream.normal_blocks(0, steps, self.batch, outputs)",
            ),
        ),
        ("tests/training/test_data.py::test_online_noise_is_drawn_at_each_step",),
    ),
    Mutation(
        "all streams of a seed are one",
        "symstudy/identity.py",
        (Change('f"stream|{stream}|{seed}"', 'f"stream|{seed}"'),),
        ("tests/study/test_cells.py::test_identifiers_do_not_change_by_accident",),
    ),
    Mutation(
        "of two one-sided tests the surer one gives the p-value",
        "symstudy/statistics/tests.py",
        (Change("stats.t.sf(min(above, below), ", "stats.t.sf(max(above, below), "),),
        (
            "tests/statistics/test_fits.py::test_the_p_value_of_an_equivalence_is_that_of_the_nearer_end",
        ),
    ),
    Mutation(
        "Holm's steps may fall",
        "symstudy/statistics/families.py",
        (
            Change(
                "running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))",
                "running = min(1.0, (len(p_values) - rank) * p_values[i])",
            ),
        ),
        ("tests/statistics/test_fits.py::test_holm_is_holms",),
    ),
    Mutation(
        "values at the margin count as outside in a sign test",
        "symstudy/statistics/tests.py",
        (
            Change(
                "sign_p(int((data >= low).sum()), count)", "sign_p(int((data > low).sum()), count)"
            ),
        ),
        (
            (
                "tests/statistics/test_median.py::"
                "test_a_value_at_the_end_of_what_is_claimed_lies_within_it"
            ),
        ),
    ),
    Mutation(
        "a claim that values fall holds for any correlation below the margin",
        "symstudy/findings/rules/sweep.py",
        (Change("(-math.inf, -least)", "(-math.inf, least)"),),
        (
            (
                "tests/findings/test_rules.py::"
                "test_a_claim_that_values_fall_is_refuted_where_they_rise_or_hardly_fall"
            ),
        ),
    ),
    Mutation(
        "a rank counts singular values above an absolute threshold",
        "symstudy/symmetry/ranks.py",
        (
            Change(
                "is_above: Tensor = values_KR > relative * values_KR[:, :1]",
                "is_above: Tensor = values_KR > relative",
            ),
        ),
        ("tests/symmetry/test_ranks.py::test_threshold_rank_counts_relative_to_the_largest",),
    ),
    Mutation(
        "a dead layer has the rank of its round-off",
        "symstudy/measures/views.py",
        (
            Change(
                "return torch.where(is_alive_K[:, None], values_KR, 0.0)",
                "return values_KR",
            ),
        ),
        ("tests/measures/test_dead_layers.py",),
    ),
    Mutation(
        "runs of which nobody knows whether they have converged are evidence",
        "symstudy/findings/evidence.py",
        (Change("coalesce(grad_ratio, 1) <=", "coalesce(grad_ratio, 0) <="),),
        (
            (
                "tests/findings/test_evidence.py::"
                "test_a_run_of_which_no_gradient_is_known_has_not_converged"
            ),
        ),
    ),
    Mutation(
        "runs that a minimiser polishes are padded",
        "symstudy/study/padding.py",
        (Change("        and train.polish == 0\n", ""),),
        ("tests/study/test_padding.py::test_what_padding_is_not_exact_for_is_never_padded",),
    ),
)
"""Faults that change a number or a verdict and nothing else."""
