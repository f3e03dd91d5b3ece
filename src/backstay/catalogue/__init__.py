"""All state of one home, in a database: profiles, records, tokens, jobs, destinations, copies, recipients."""

from backstay.catalogue.copies import Copy, CopyPart, CopyState
from backstay.catalogue.destinations import DestinationOptions, NamedDestination
from backstay.catalogue.home import ENVIRONMENT_VARIABLE, Home, default_home, open_home
from backstay.catalogue.jobs import Job
from backstay.catalogue.profiles import Profile
from backstay.catalogue.recipients import Delivery, Recipient, RecipientOptions
from backstay.catalogue.records import Backup, Status
from backstay.catalogue.schedules import ProofOptions, Run, Schedule
from backstay.catalogue.store import Catalogue, open_catalogue
from backstay.catalogue.tokens import Token
from backstay.catalogue.vault import Vault, write_private

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "Backup",
    "Catalogue",
    "Copy",
    "CopyPart",
    "CopyState",
    "Delivery",
    "DestinationOptions",
    "Home",
    "Job",
    "NamedDestination",
    "Profile",
    "ProofOptions",
    "Recipient",
    "RecipientOptions",
    "Run",
    "Schedule",
    "Status",
    "Token",
    "Vault",
    "default_home",
    "open_catalogue",
    "open_home",
    "write_private",
]
