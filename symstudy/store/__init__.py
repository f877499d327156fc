"""Results: Parquet files, a ledger, and read-only SQL over them."""

from symstudy.store.connection import Answer, Store, open_store
from symstudy.store.folder import StudyFolder, find_studies, open_location
from symstudy.store.ledger import Account, Verification, planned_runs, read_account, verify
from symstudy.store.provenance import Provenance, current_provenance
from symstudy.store.retrying import take_back

__all__ = [
    "Account",
    "Answer",
    "Provenance",
    "Store",
    "StudyFolder",
    "Verification",
    "current_provenance",
    "find_studies",
    "open_location",
    "open_store",
    "planned_runs",
    "read_account",
    "take_back",
    "verify",
]
