"""Where nets live. `nets` says what a store is; `local` is the one on a disk."""

from portgrad.store.local import LocalStore
from portgrad.store.nets import NetStore, check_name, is_id
from portgrad.store.upload import Upload

__all__ = ["LocalStore", "NetStore", "Upload", "check_name", "is_id"]
