"""What a directory is: a Joomla or WordPress site, or any other, and which databases belong to it."""

from backstay.platforms.find import find_site
from backstay.platforms.model import FoundDatabase, Site, SiteKind
from backstay.platforms.wordpress_options import read_address

__all__ = ["FoundDatabase", "Site", "SiteKind", "find_site", "read_address"]
