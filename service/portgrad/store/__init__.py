"""Where nets live. `nets` says what a store is; `local` is the one on a disk."""

from portgrad.store.disk import disk_errors
from portgrad.store.local import LocalStore
from portgrad.store.nets import Figures, NetStore, Shelf, StoredNet, check_name, is_id
from portgrad.store.owners import LOCAL
from portgrad.store.quota import UNLIMITED, Quota
from portgrad.store.staging import Scratch
from portgrad.store.upload import Upload

__all__ = [
    "LOCAL",
    "UNLIMITED",
    "Figures",
    "LocalStore",
    "NetStore",
    "Quota",
    "Scratch",
    "Shelf",
    "StoredNet",
    "Upload",
    "check_name",
    "disk_errors",
    "is_id",
]
