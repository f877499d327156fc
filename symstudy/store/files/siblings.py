"""The other studies in a folder of results."""

from pyarrow import fs

from symstudy.store.files.folder import StudyFolder

__all__ = ["studies_beside"]


def studies_beside(folder: StudyFolder) -> list[StudyFolder]:
    """Return the other studies in the folder of results that a study's folder lies in, by path.

    Args:
        folder: Of the study; it need not be there yet.
    """
    above = folder.path.rpartition("/")[0]
    infos = folder.filesystem.get_file_info(fs.FileSelector(above, allow_not_found=True))
    folders = [
        StudyFolder(folder.filesystem, info.path)
        for info in sorted(infos, key=lambda info: info.path)
        if info.type == fs.FileType.Directory and info.path != folder.path
    ]
    return [each for each in folders if each.exists()]
