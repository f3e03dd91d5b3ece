"""Where finished parts are kept."""

from backstay.storage.local import StoredPart, free_space, read_back, remove, sync

__all__ = ["StoredPart", "free_space", "read_back", "remove", "sync"]
