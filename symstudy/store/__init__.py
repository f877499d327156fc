"""Results: Parquet files, a ledger, and read-only SQL over them."""

from symstudy.store.connection import Answer, Store, open_store
from symstudy.store.folder import StudyFolder, find_studies, open_location
from symstudy.store.ledger import Account, Verification, read_account, verify
from symstudy.store.provenance import Provenance, current_provenance

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
    "read_account",
    "verify",
]
