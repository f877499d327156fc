"""Finding which merged files count when the pointer, or the generation that it names, is lost."""

import time

from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files.conditional import read_seen
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.generations import (
    CONTENTS,
    COPY,
    GENERATIONS,
    NAME,
    OLD_MANIFEST,
    POINTER,
    DamagedGenerationError,
    move_pointer,
    parse_generation,
    to_change,
    write_generation,
)
from symstudy.store.files.parts import Generation, from_json, plan_file, stem_of, to_json
from symstudy.store.tables.schema import PLAN, RUNS

__all__ = ["current_generation", "mend_generation"]


def current_generation(folder: StudyFolder) -> Generation:
    """Return the generation that counts; where the pointer is gone, the one that it named.

    Args:
        folder: Folder of the study's results, which is locked.

    Raises:
        StoreError: If the results cannot be read or written, or the pointer is damaged.
    """
    generation = to_change(folder)
    if generation.pointer is not None or folder.has_file(OLD_MANIFEST):
        return generation
    for lost in known_generations(folder):
        # While all that they stand for is there, merged files are no loss: they never counted.
        if is_needed(folder, lost):
            return write_generation(folder, lost, lost.parts, at=time.time())
    return generation


def mend_generation(folder: StudyFolder) -> list[str]:
    """Have a sound pointer to a sound generation, the last that there is.

    Args:
        folder: Folder of the study's results, which is locked.

    Returns:
        What was done, in sentences.

    Raises:
        StoreError: If the results cannot be read or written.
    """
    try:
        generation = current_generation(folder)
    except DamagedGenerationError:
        pass
    else:
        return mend_copies(folder, generation)
    for place in (POINTER, (OLD_MANIFEST,)):
        if folder.has_file(*place):
            folder.write_bytes(folder.read_bytes(*place), *place[:-1], f"{place[-1]}.damaged")
    folder.delete(OLD_MANIFEST)
    seen = read_seen(folder, *POINTER)
    path = folder.join(*POINTER)
    for last in known_generations(folder):
        write_generation(folder, last._replace(pointer=seen), last.parts, at=time.time())
        return [f"{path} was damaged and is set aside; it is made again from {last.name}"]
    move_pointer(folder, "", seen)
    return [f"{path} was damaged and is set aside; merged files do not count any more"]


def mend_copies(folder: StudyFolder, generation: Generation) -> list[str]:
    """Write the file of a generation again, or its copy, if it is not sound."""
    notes = []
    for file in (CONTENTS, COPY) if generation.name else ():
        place = (GENERATIONS, generation.name, file)
        try:
            from_json(generation.name, folder.read_bytes(*place))
        except (StoreError, ValueError):
            folder.write_bytes(to_json(generation.name, generation), *place)
            notes.append(f"{folder.join(*place)} was damaged; it is made again from its copy")
    return notes


def known_generations(folder: StudyFolder) -> list[Generation]:
    """Return the generations of which there is a sound file, the last first."""
    folder.refuse_link(folder.join(GENERATIONS))
    selector = fs.FileSelector(folder.join(GENERATIONS), allow_not_found=True)
    names = [
        info.base_name
        for info in folder.filesystem.get_file_info(selector)
        if info.type == fs.FileType.Directory and NAME.fullmatch(info.base_name)
    ]
    found = []
    for name in sorted(names, reverse=True):
        try:
            found.append(parse_generation(folder, name))
        except DamagedGenerationError:
            continue
    return found


def is_needed(folder: StudyFolder, generation: Generation) -> bool:
    """Return whether a file is gone that merged ones of a generation stand for."""
    runs = {stem_of(path) for path in folder.list_files(RUNS.name, ".parquet")}
    plans = {plan_file(info) for info in folder.list_infos(PLAN.name, ".parquet")}
    return any(
        not runs.issuperset(part.packs) or not plans.issuperset(part.plans)
        for part in generation.parts
    )
