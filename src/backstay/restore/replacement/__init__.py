"""Search and replace of addresses and paths when a site moves, in database columns and in files."""

from backstay.restore.replacement.address import AddressMove, Place
from backstay.restore.replacement.files import replace_in_files
from backstay.restore.replacement.text import Replacer

__all__ = ["AddressMove", "Place", "Replacer", "replace_in_files"]
