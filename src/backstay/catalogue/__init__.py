"""Profiles, backup records, tokens and jobs, kept in a database in the one folder that holds all state."""

from backstay.catalogue.home import ENVIRONMENT_VARIABLE, Home, default_home, open_home
from backstay.catalogue.jobs import Job
from backstay.catalogue.profiles import Profile
from backstay.catalogue.records import Backup, Status
from backstay.catalogue.store import Catalogue, open_catalogue
from backstay.catalogue.tokens import Token
from backstay.catalogue.vault import Vault, write_private

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "Backup",
    "Catalogue",
    "Home",
    "Job",
    "Profile",
    "Status",
    "Token",
    "Vault",
    "default_home",
    "open_catalogue",
    "open_home",
    "write_private",
]
