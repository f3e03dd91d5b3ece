"""What a directory is: a Joomla or WordPress site, or any other, and which databases belong to it."""

from backstay.sites.find import find_site
from backstay.sites.model import FoundDatabase, Site, SiteKind

__all__ = ["FoundDatabase", "Site", "SiteKind", "find_site"]
