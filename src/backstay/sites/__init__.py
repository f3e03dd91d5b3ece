"""What a directory is: a Joomla or WordPress site, or any other, and which databases belong to it."""

from backstay.sites.find import find_site
from backstay.sites.model import FoundDatabase, Site, SiteKind
from backstay.sites.wordpress_options import read_address

__all__ = ["FoundDatabase", "Site", "SiteKind", "find_site", "read_address"]
