"""All state of one home, in a database: profiles, records, tokens, jobs, destinations, copies, recipients."""

from backstay.catalogue.alarms import Alarm, AlarmChange, Finding
from backstay.catalogue.backup_search import BackupSearch, FoundState
from backstay.catalogue.copies import Copy, CopyPart, CopyState
from backstay.catalogue.counts import Counts, Earlier, Emptied, Usual
from backstay.catalogue.destinations import DestinationOptions, NamedDestination
from backstay.catalogue.home import ENVIRONMENT_VARIABLE, Home, default_home, open_home
from backstay.catalogue.jobs import Job
from backstay.catalogue.journal import JournalEntry, JournalSearch
from backstay.catalogue.newest import CompleteBackup, FailedBackup
from backstay.catalogue.observations import Observation
from backstay.catalogue.profiles import ROOT_KEY, Profile
from backstay.catalogue.recipients import Delivery, Recipient, RecipientOptions
from backstay.catalogue.records import Backup, Status
from backstay.catalogue.repositories import NamedRepository
from backstay.catalogue.schedules import ProofOptions, Run, Schedule
from backstay.catalogue.store import PATIENT_SECONDS, Catalogue, open_catalogue
from backstay.catalogue.tasks import Task, TaskState
from backstay.catalogue.tokens import Token
from backstay.catalogue.vault import Vault, write_private

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "PATIENT_SECONDS",
    "ROOT_KEY",
    "Alarm",
    "AlarmChange",
    "Backup",
    "BackupSearch",
    "Catalogue",
    "CompleteBackup",
    "Copy",
    "CopyPart",
    "CopyState",
    "Counts",
    "Delivery",
    "DestinationOptions",
    "Earlier",
    "Emptied",
    "FailedBackup",
    "Finding",
    "FoundState",
    "Home",
    "Job",
    "JournalEntry",
    "JournalSearch",
    "NamedDestination",
    "NamedRepository",
    "Observation",
    "Profile",
    "ProofOptions",
    "Recipient",
    "RecipientOptions",
    "Run",
    "Schedule",
    "Status",
    "Task",
    "TaskState",
    "Token",
    "Usual",
    "Vault",
    "default_home",
    "open_catalogue",
    "open_home",
    "write_private",
]
