"""Mutations of what tells a loss that no count shows: of rows, certificates, pairs and plans."""

from mutation import Change, Mutation

__all__ = ["LOSSES"]

TABLES = "symstudy/store/tables"
TESTS = "tests/store/test_losses.py"

LOSSES = (
    Mutation(
        "a row of history that is there twice stands for one that is lost",
        f"{TABLES}/completeness.py",
        (Change("count(*) - list_unique(list(step)) as again,", "0 as again,"),),
        (f"{TESTS}::test_r6_a_row_that_is_there_twice_does_not_stand_for_one_that_is_lost",),
    ),
    Mutation(
        "a pack that is taken out of merged files stands for the same pack trained again",
        "symstudy/store/files/merging.py",
        (Change("if pack not in gone)", "if True)"),),
        (f"{TESTS}::test_r6_a_pack_out_of_a_merged_file_counts_when_it_is_trained_again",),
    ),
    Mutation(
        "a launch takes a row that is there twice for two",
        f"{TABLES}/completeness.py",
        (Change("if all_rows != distinct:", "if all_rows < distinct:"),),
        (f"{TESTS}::test_rows_are_told_apart_a_part_of_the_runs_at_a_time",),
    ),
    Mutation(
        "a deleted certificate is not told",
        f"{TABLES}/completeness.py",
        (Change("or of_certificates < certificates_rows as", "or false as"),),
        (f"{TESTS}::test_r6_certificates_that_are_lost_are_told_and_made_again",),
    ),
    Mutation(
        "a certificate that a launch has left before it died is a loss",
        f"{TABLES}/completeness.py",
        (
            Change(
                "or of_certificates < certificates_rows as",
                "or of_certificates <> certificates_rows as",
            ),
        ),
        (f"{TESTS}::test_certificates_that_a_launch_has_left_before_it_died_are_no_loss",),
    ),
    Mutation(
        "older rows without representations are whole",
        f"{TABLES}/completeness.py",
        (
            Change(
                "representations_rows is null and of_representations < wanted_representations",
                "false",
            ),
        ),
        (f"{TESTS}::test_r6_older_rows_that_have_lost_representations_leave_no_pair_out",),
    ),
    Mutation(
        "of pairs that are in no file nothing is told",
        f"{TABLES}/pairs_record.py",
        (Change('PairLoss(max(0, record["count"] - there), partial', "PairLoss(0, partial"),),
        (f"{TESTS}::test_r6_pairs_that_are_lost_are_told_and_compared_again",),
    ),
    Mutation(
        "a pair without all of its rows is whole",
        f"{TABLES}/pairs_record.py",
        (Change("or measured.num <> at_ends.num + coalesce(at_both.num, 0)", "or false"),),
        (f"{TESTS}::test_r6_pairs_that_are_lost_are_told_and_compared_again",),
    ),
    Mutation(
        "a pair that cannot be compared is left out without a word",
        "symstudy/launch/pairs.py",
        (Change("left_out=len(batch) - count", "left_out=0"),),
        (f"{TESTS}::test_r6_a_pair_without_representations_is_counted_as_left_out",),
    ),
    Mutation(
        "a lost plan of an earlier launch is not told",
        f"{TABLES}/plan_record.py",
        (Change("others = max(0, num_recorded - len(planned) - lost)", "others = 0"),),
        (f"{TESTS}::test_r6_a_plan_that_is_lost_is_told_and_written_again",),
    ),
    Mutation(
        "runs that were dropped count as lost",
        f"{TABLES}/plan_record.py",
        (Change("count_of(launches[-1], DROPPED) + count", "count_of(launches[-1], DROPPED)"),),
        (f"{TESTS}::test_runs_that_are_dropped_are_not_lost",),
    ),
    Mutation(
        "a launch that died before it wrote its plan has lost it",
        f"{TABLES}/plan_record.py",
        (Change('        num_recorded -= count_of(launch, "new_runs")\n', "        pass\n"),),
        (f"{TESTS}::test_a_launch_that_died_before_it_had_planned_has_lost_nothing",),
    ),
    Mutation(
        "a variable that code does not name is not told",
        "symstudy/components/variables_read.py",
        (
            Change(
                "return around if is_read and not text_of(around.slice) else None", "return None"
            ),
        ),
        (
            "tests/study/test_own_names.py::test_w3_a_variable_that_is_not_named_is_told_with_its_line",
        ),
    ),
    Mutation(
        "a number that training takes for 0 makes a cell of its own",
        "symstudy/components/check.py",
        (Change("0.0 < abs(value) < SMALLEST", "0.0 < abs(value) < 0.0"),),
        ("tests/study/test_numbers.py::test_w8_a_number_that_training_takes_for_0_is_refused",),
    ),
    Mutation(
        "runs of a copy under another name count as more evidence",
        "symstudy/findings/shared_runs.py",
        (Change("        if count:\n", "        if count < 0:\n"),),
        (
            (
                "tests/findings/test_standing.py::"
                "test_w8_runs_that_a_copy_under_another_name_has_too_are_one_piece_of_evidence"
            ),
        ),
    ),
)
"""Losses and doubles that no count shows."""
