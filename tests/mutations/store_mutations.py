"""Mutations of the store: writer, sealed files, ledger, repair, settling, merging, conditions."""

from mutation import Change, Mutation

__all__ = ["STORE"]

FILES = "symstudy/store/files"
TABLES = "symstudy/store/tables"
CRASHES = "tests/store/test_crashes.py"
COMPACTION = "tests/store/test_compaction.py"

STORE = (
    Mutation(
        "the content of a file is not fsynced before its rename",
        f"{FILES}/disk.py",
        (Change("        os.fsync(file.fileno())\n", ""),),
        (f"{CRASHES}::test_a_crash_of_a_writer_loses_no_pack_that_was_written",),
    ),
    Mutation(
        "the directory is not fsynced after a rename",
        f"{FILES}/disk.py",
        (Change("    for folder in folders:\n        sync_folder(folder)", "    del folders"),),
        (f"{CRASHES}::test_a_crash_of_a_writer_loses_no_pack_that_was_written",),
    ),
    Mutation(
        "the name of a new folder is not fsynced",
        f"{FILES}/disk.py",
        (
            Change(
                "    place.mkdir(exist_ok=True)\n    sync_folder(str(place.parent))\n",
                "    place.mkdir(exist_ok=True)\n",
            ),
        ),
        (f"{CRASHES}::test_a_crash_of_a_compaction_loses_and_doubles_nothing[False-4]",),
    ),
    Mutation(
        "`runs` is written first and not last",
        f"{TABLES}/writer.py",
        (
            Change(
                "    parts = [(HISTORY, history), (LAYERS, layers)]\n",
                "    parts = [(HISTORY, history), (LAYERS, layers)]\n    later = []\n",
            ),
            Change(
                "folder.write_table(arrow_table(whole, rows, count), table.name, name)",
                "later.append((arrow_table(whole, rows, count), table.name))",
            ),
            Change(
                "    folder.write_table(arrow_table(whole, rows, len(runs)), RUNS.name, name, "
                "keys=RUN_KEYS)\n",
                "    folder.write_table(arrow_table(whole, rows, len(runs)), RUNS.name, name, "
                "keys=RUN_KEYS)\n"
                "    for written, place in later:\n"
                "        folder.write_table(written, place, name)\n",
            ),
        ),
        (f"{CRASHES}::test_a_crash_of_a_writer_loses_no_pack_that_was_written",),
    ),
    Mutation(
        "the hash of a file's rows is not compared",
        f"{FILES}/sealed.py",
        (Change("return all(found)", "return found.keys and found.footer"),),
        ("tests/store/test_sealed.py::test_every_flipped_byte_but_of_the_seals_own_name_is_found",),
    ),
    Mutation(
        "the checksum of a generation is not compared",
        f"{FILES}/parts.py",
        (Change("return values if is_sound else None", "return values"),),
        (
            (
                "tests/store/test_repair.py::"
                "test_a_generation_that_says_something_else_is_read_from_its_copy"
            ),
        ),
    ),
    Mutation(
        "the pointer moves before what it points to is written",
        f"{FILES}/generations.py",
        (
            Change(
                "    for file in (COPY, CONTENTS):\n"
                "        folder.write_bytes(to_json(name, after), GENERATIONS, name, file)\n"
                "    pointer = move_pointer(folder, name, before.pointer)\n",
                "    pointer = move_pointer(folder, name, before.pointer)\n"
                "    for file in (COPY, CONTENTS):\n"
                "        folder.write_bytes(to_json(name, after), GENERATIONS, name, file)\n",
            ),
        ),
        (f"{COMPACTION}::test_the_pointer_moves_when_all_that_it_points_to_is_written",),
    ),
    Mutation(
        "the pointer moves whoever has moved it meanwhile",
        f"{FILES}/generations.py",
        (
            Change(
                "moved = write_if_unchanged(folder, content, seen, *POINTER)",
                "moved = write_if_unchanged(folder, content, read_seen(folder, *POINTER), "
                "*POINTER)",
            ),
        ),
        ("tests/store/test_compaction.py::test_of_two_that_merge_at_once_one_moves_the_pointer",),
    ),
    Mutation(
        "a write on condition to a disk does not ask for its condition",
        f"{FILES}/conditional.py",
        (
            Change(
                "        if read_disk(place.path) != seen:\n"
                "            return None\n"
                "        disk.rename(",
                "        disk.rename(",
            ),
        ),
        ("tests/store/test_conditional.py::test_a_file_is_made_once",),
    ),
    Mutation(
        "a write on condition to an object store has none",
        f"{FILES}/conditional.py",
        (Change('mode="create" if seen is None else mode,', 'mode="overwrite",'),),
        ("tests/store/test_conditional.py::test_a_file_is_made_once",),
    ),
    Mutation(
        "the lock of a study's files on a disk is not held",
        f"{FILES}/lock.py",
        (
            Change(
                "stack.enter_context(locked_file(path, patience_s=patience_s))",
                "locked_file(path, patience_s=patience_s)",
            ),
        ),
        (
            "tests/store/test_lock.py::test_a_second_one_waits_and_then_says_that_another_is_at_work",
        ),
    ),
    Mutation(
        "the lock of an object store is taken over while its holder keeps changing it",
        f"{FILES}/lock.py",
        (Change("still = still + LOOK_S if found == before else 0.0", "still += LOOK_S"),),
        ("tests/store/test_lock.py::test_a_token_that_changes_is_not_taken_over",),
    ),
    Mutation(
        "a migrated study is of the new version before its cells are written",
        f"{TABLES}/version_4.py",
        (
            Change(
                "    if rows is not None:\n        write_cells(folder, FILE, rows)\n    study =",
                "    study =",
            ),
            Change(
                '        folder.write_study({**study, "schema_version": SCHEMA_VERSION})\n',
                '        folder.write_study({**study, "schema_version": SCHEMA_VERSION})\n'
                "    if rows is not None:\n"
                "        write_cells(folder, FILE, rows)\n",
            ),
        ),
        (
            (
                "tests/store/test_migration.py::"
                "test_a_crash_while_a_study_is_migrated_hides_no_hyperparameter"
            ),
        ),
    ),
    Mutation(
        "rows of layers are not counted",
        f"{TABLES}/completeness.py",
        (
            Change(
                "((has_ended or history_rows is not null) and of_layers <> wanted_layers)",
                "false",
            ),
        ),
        (
            (
                "tests/store/test_completeness.py::"
                "test_one_run_without_a_layer_is_taken_out_and_its_mates_stay"
            ),
        ),
    ),
    Mutation(
        "a run that was stopped in one pack and done in another is not found twice",
        f"{TABLES}/ledger.py",
        (
            Change(
                "select run_id from runs_keys where outcome in ('done', 'stopped') group by",
                "select run_id from runs_keys where outcome = 'done' group by",
            ),
        ),
        (
            (
                "tests/store/test_ledger.py::"
                "test_a_run_stopped_in_one_pack_and_done_in_another_is_there_twice"
            ),
        ),
    ),
    Mutation(
        "files of the plan are known by name only",
        f"{FILES}/parts.py",
        (
            Change(
                "return PlanFile(stem_of(info.path), info.size, info.mtime_ns)",
                "return PlanFile(stem_of(info.path), 0, None)",
            ),
        ),
        (
            (
                "tests/store/test_compaction.py::"
                "test_a_plan_that_is_written_again_under_its_name_is_read"
            ),
        ),
    ),
    Mutation(
        "files that change while they are merged are taken to be as they were",
        f"{FILES}/compaction.py",
        (
            Change(
                "if not all(is_unchanged(self.folder, info) for info in infos):",
                "if not infos:",
            ),
        ),
        (
            (
                "tests/store/test_compaction.py::"
                "test_a_pack_that_is_written_again_while_it_is_merged_counts_as_written"
            ),
        ),
    ),
    Mutation(
        "of doubled rows the one that was not shown is kept",
        f"{TABLES}/settling.py",
        (Change('("finished_at", "descending"),', '("finished_at", "ascending"),'),),
        ("tests/store/test_settling.py::test_each_run_keeps_the_row_that_was_shown",),
    ),
    Mutation(
        "damaged merged files are set aside before others count in their place",
        f"{FILES}/repair.py",
        (
            Change(
                "        if bad:\n            notes.extend(replace_parts(folder, bad))\n",
                "",
            ),
            Change(
                "        notes.extend(set_aside_all(folder, names, broken))\n",
                "        notes.extend(set_aside_all(folder, names, broken))\n"
                "        if bad:\n            notes.extend(replace_parts(folder, bad))\n",
            ),
        ),
        (f"{CRASHES}::test_a_crash_of_a_repair_loses_no_pack_that_can_be_saved",),
    ),
    Mutation(
        "the hash of a checkpoint's arrays is not compared",
        f"{FILES}/states.py",
        (
            Change(
                "if hash_of([memoryview(content)[head.start :]]) != head.arrays_hash:",
                "if not head.arrays_hash:",
            ),
        ),
        ("tests/store/test_checkpoints.py::test_every_flipped_byte_is_noticed",),
    ),
)
"""Faults of the files of a study."""
