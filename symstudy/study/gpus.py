"""GPUs by their data sheets, and the names that vendors, drivers and Ray give them."""

import re
from typing import NamedTuple

__all__ = ["SHEETS", "DataSheet", "Slice", "match_gpu", "slice_of"]


class DataSheet(NamedTuple):
    """A GPU by its vendor's data sheet.

    Attributes:
        name: What `--device` takes.
        gigabytes: Memory in GB; the least where it is sold with several under one name.
        single: Peak in float32 without tensor cores, Tflop/s.
        double: The same in float64.
        bandwidth: Of its memory, GB/s.
    """

    name: str
    gigabytes: float
    single: float
    double: float
    bandwidth: float


class Slice(NamedTuple):
    """A part of a GPU that is a device of its own (NVIDIA's MIG).

    Attributes:
        compute: Sevenths of the GPU's processors.
        gigabytes: Memory in GB.
    """

    compute: int
    gigabytes: float


SHEETS = (
    DataSheet("p100", 16, 9.3, 4.7, 732),
    DataSheet("v100", 16, 15.7, 7.8, 900),
    DataSheet("v100-32gb", 32, 15.7, 7.8, 900),
    DataSheet("t4", 16, 8.1, 0.25, 320),
    DataSheet("a10", 24, 31.2, 0.49, 600),
    DataSheet("a10g", 24, 31.5, 0.49, 600),
    DataSheet("a30", 24, 10.3, 5.2, 933),
    DataSheet("a40", 48, 37.4, 0.58, 696),
    DataSheet("a100", 40, 19.5, 9.7, 1555),
    DataSheet("a100-80gb", 80, 19.5, 9.7, 1935),
    DataSheet("l4", 24, 30.3, 0.47, 300),
    DataSheet("l40", 48, 90.5, 1.41, 864),
    DataSheet("l40s", 48, 91.6, 1.43, 864),
    DataSheet("h20", 96, 44.0, 1.0, 4000),
    DataSheet("h100", 80, 67.0, 34.0, 3350),
    DataSheet("h100-pcie", 80, 51.0, 26.0, 2000),
    DataSheet("h100-nvl", 94, 60.0, 30.0, 3900),
    DataSheet("h200", 141, 67.0, 34.0, 4800),
    DataSheet("gh200", 96, 67.0, 34.0, 4000),
    DataSheet("b200", 180, 75.0, 37.0, 8000),
    DataSheet("gb200", 186, 80.0, 40.0, 8000),
    DataSheet("b300", 270, 75.0, 1.25, 8000),
    DataSheet("gb300", 279, 80.0, 1.3, 8000),
    DataSheet("a6000", 48, 38.7, 0.6, 768),
    DataSheet("rtx6000-ada", 48, 91.1, 1.42, 960),
    DataSheet("rtxpro6000", 96, 125.0, 1.95, 1792),
    DataSheet("rtx2080-ti", 11, 13.4, 0.42, 616),
    DataSheet("rtx3080", 10, 29.8, 0.46, 760),
    DataSheet("rtx3090", 24, 35.6, 0.56, 936),
    DataSheet("rtx4080", 16, 48.7, 0.76, 717),
    DataSheet("rtx4090", 24, 82.6, 1.29, 1008),
    DataSheet("rtx5080", 16, 56.3, 0.88, 960),
    DataSheet("rtx5090", 32, 104.8, 1.64, 1792),
    DataSheet("mi300x", 192, 163.4, 81.7, 5300),
)
"""The H100 without a suffix is the one on an SXM board, the A100 the one of 40 GB."""

SAYS_NOTHING = re.compile(
    r"nvidia|tesla|geforce|quadro|rtx|amd|instinct|gpu|generation|blackwell|server|workstation|"
    r"edition|pcie|sxm\d?|nvl|oam|hbm\d\w?|vf|ac|lc|\d+gb"
)
"""Words of a full name that tell no other GPU: vendor, board, memory."""

MIG = re.compile(r"mig\W(\d)g\W(\d+)gb(\W\w+)*$")
"""How a driver ends the name of a slice: `MIG 1g.10gb`."""


def match_gpu(name: str) -> DataSheet | None:
    """Return the data sheet of the GPU of a name; None if the name is of none in the table.

    Names may be those of `--device`, of the driver (`NVIDIA A100-SXM4-80GB`) or of Ray
    (`GeForce-RTX-4090`). A word that is not understood, as in `RTX 4090 Laptop GPU`, makes it
    another GPU, of which nothing is known here. A slice has the sheet of its whole GPU.
    """
    found = words_of(MIG.sub("", name.lower()))
    fitting = [sheet for sheet in SHEETS if words_of(sheet.name) <= found]
    # The longest first: h100-pcie before h100.
    for sheet in sorted(fitting, key=lambda sheet: -len(words_of(sheet.name))):
        if all(SAYS_NOTHING.fullmatch(word) for word in found - words_of(sheet.name)):
            return sheet
    return None


def slice_of(name: str) -> Slice | None:
    """Return which part of a GPU a name says; None where it is a whole one."""
    found = MIG.search(name.lower())
    return Slice(int(found[1]), float(found[2])) if found else None


def words_of(name: str) -> frozenset[str]:
    """Return the words of a GPU's name, a number of the RTX series as one."""
    joined = re.sub(r"rtx\W*(pro)?\W*(\d{4})", r"rtx\1\2", name.lower())
    # Ray's own name for the larger A100.
    spelled = re.sub(r"(\d+)g\b", r"\1gb", joined)
    return frozenset(re.findall(r"\w+", spelled))
