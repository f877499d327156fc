"""Results: Parquet files, a ledger, and read-only SQL over them."""

from typing import TYPE_CHECKING

from symstudy.on_demand import names_on_demand

if TYPE_CHECKING:
    from symstudy.store.explorer import ExplorerFrame
    from symstudy.store.files.folder import StudyFolder
    from symstudy.store.files.locations import find_studies, open_location
    from symstudy.store.tables.certificates import Certificate, read_certificate
    from symstudy.store.tables.connection import Answer, Store, open_store
    from symstudy.store.tables.launches import LaunchRecord, read_launches
    from symstudy.store.tables.ledger import (
        Account,
        Verification,
        folder_labels,
        planned_runs,
        read_account,
        verify,
    )
    from symstudy.store.tables.provenance import Provenance, current_provenance
    from symstudy.store.tables.retrying import take_back
    from symstudy.store.tables.superseded import drop_planned, never_trained
    from symstudy.store.tables.view_statements import quoted
    from symstudy.store.tables.worker_time import WorkerTime, worker_times

__all__ = [
    "Account",
    "Answer",
    "Certificate",
    "ExplorerFrame",
    "LaunchRecord",
    "Provenance",
    "Store",
    "StudyFolder",
    "Verification",
    "WorkerTime",
    "current_provenance",
    "drop_planned",
    "find_studies",
    "folder_labels",
    "never_trained",
    "open_location",
    "open_store",
    "planned_runs",
    "quoted",
    "read_account",
    "read_certificate",
    "read_launches",
    "take_back",
    "verify",
    "worker_times",
]


if not TYPE_CHECKING:  # type checkers see the imports above and refuse any other name
    __getattr__ = names_on_demand(__name__)
