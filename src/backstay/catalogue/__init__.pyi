# The public names of this package; each module is loaded when a name of it is first used.

from .alarms import Alarm, AlarmChange, Finding
from .backup_search import BackupSearch, FoundState
from .copies import Copy, CopyPart, CopyState
from .counts import Counts, Earlier, Emptied, Usual
from .destinations import DestinationOptions, NamedDestination
from .groups import Group
from .home import ENVIRONMENT_VARIABLE, Home, default_home, open_home
from .jobs import Job
from .journal import JournalEntry, JournalSearch
from .newest import CompleteBackup, FailedBackup
from .observations import Observation
from .profiles import ROOT_KEY, Profile
from .recipients import Delivery, Recipient, RecipientOptions
from .records import Backup, Status
from .remote_runs import ANY_MACHINE, REMOTE_RUN_STATES, RemoteRun, RemoteRunState
from .repositories import NamedRepository
from .schedules import ProofOptions, Run, Schedule
from .sites import Connection, NewSite, Site, SiteKind, SiteValues
from .snapshots import SnapshotPart, SnapshotRow
from .store import PATIENT_SECONDS, Catalogue, open_catalogue
from .tasks import Task, TaskState
from .tokens import Token
from .vault import Vault, write_private

__all__ = [
    "ANY_MACHINE",
    "ENVIRONMENT_VARIABLE",
    "PATIENT_SECONDS",
    "REMOTE_RUN_STATES",
    "ROOT_KEY",
    "Alarm",
    "AlarmChange",
    "Backup",
    "BackupSearch",
    "Catalogue",
    "CompleteBackup",
    "Connection",
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
    "Group",
    "Home",
    "Job",
    "JournalEntry",
    "JournalSearch",
    "NamedDestination",
    "NamedRepository",
    "NewSite",
    "Observation",
    "Profile",
    "ProofOptions",
    "Recipient",
    "RecipientOptions",
    "RemoteRun",
    "RemoteRunState",
    "Run",
    "Schedule",
    "Site",
    "SiteKind",
    "SiteValues",
    "SnapshotPart",
    "SnapshotRow",
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
