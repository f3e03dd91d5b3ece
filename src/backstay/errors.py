"""The tree of errors a user can meet.

Each class says in its docstring what happened in general; the message it is raised with is one sentence that
names the thing and says what to do. The command line prints that sentence and exits with the class's code; the
table of codes in ``docs/reference/exit-codes.md`` is made from this file.
"""

from __future__ import annotations

from typing import ClassVar


class BackstayError(Exception):
    """Something went wrong that has no class of its own."""

    exit_code: ClassVar[int] = 1


class UsageError(BackstayError):
    """What was asked for makes no sense as it was asked."""

    exit_code = 2


class NotFoundError(BackstayError):
    """A path, record, profile or part that was named does not exist."""

    exit_code = 3


class AuthenticationError(BackstayError):
    """The server does not know who is asking: the secret or token is missing or wrong."""

    exit_code = 4


class PermissionDeniedError(BackstayError):
    """The server knows who is asking, and does not allow it."""

    exit_code = 5


class ConnectionFailedError(BackstayError):
    """A server could not be reached, or the connection broke and could not be resumed."""

    exit_code = 6


class ProtocolError(BackstayError):
    """A server answered something that is not the Akeeba Backup JSON API."""

    exit_code = 7


class RemoteError(BackstayError):
    """A server of the API understood the request and answered with an error.

    Attributes:
        status: the status of the API's answer (see the method reference), an integer.
    """

    exit_code = 8

    def __init__(self, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.status = status


class ConfigurationError(BackstayError):
    """A setting, profile or configuration file is missing something or holds what cannot be used."""

    exit_code = 9


class ArchiveError(BackstayError):
    """An archive cannot be read or written."""

    exit_code = 10


class DamagedArchiveError(ArchiveError):
    """An archive is cut short, or its bytes are not what they should be."""

    exit_code = 11


class WrongPasswordError(ArchiveError):
    """The password does not open the archive, or none was given."""

    exit_code = 12


class UnsafeEntryError(ArchiveError):
    """An entry of an archive would be written outside the target, or in place of another."""

    exit_code = 13


class ArchiveLimitError(ArchiveError):
    """An archive unpacks to more than the limit that was set."""

    exit_code = 14


class UnknownFormatError(ArchiveError):
    """A file is not an archive of a format that Backstay reads."""

    exit_code = 15


class MissingPartError(DamagedArchiveError):
    """A part of a split archive is not there."""

    exit_code = 16


class EntryRefusedError(ArchiveError):
    """A file cannot be stored in the format that was chosen."""

    exit_code = 17


class UnsupportedEntryError(ArchiveError):
    """An entry of an archive is encrypted, or compressed with a method that Backstay does not read."""

    exit_code = 18


class DatabaseError(BackstayError):
    """A database refused what was asked of it."""

    exit_code = 20


class DatabaseConnectionError(DatabaseError):
    """A database server could not be reached, refused the log-in, or went away."""

    exit_code = 21


class CatalogueAwayError(DatabaseConnectionError):
    """The database that holds the catalogue can't be reached at the moment.

    Attributes:
        lost: a connection broke that had been made before; a new one may well be had at once.
    """

    exit_code = 26

    def __init__(self, message: str, *, lost: bool = False) -> None:
        super().__init__(message)
        self.lost = lost


class DumpError(DatabaseError):
    """A database could not be dumped."""

    exit_code = 22


class LoadError(DatabaseError):
    """A dump could not be loaded into a database."""

    exit_code = 23


class TablesExistError(LoadError):
    """The database already holds tables that the dump would replace."""

    exit_code = 24


class DatabaseLockedError(DumpError):
    """Another program keeps a SQLite file locked."""

    exit_code = 25


class StorageError(BackstayError):
    """The place where archives are kept failed."""

    exit_code = 30


class DiskFullError(StorageError):
    """There is no space left where Backstay writes."""

    exit_code = 31


class RepositoryError(BackstayError):
    """A repository cannot be used, or does not allow what was asked."""

    exit_code = 32


class DamagedRepositoryError(DamagedArchiveError):
    """A file of a repository is missing, cut short, or not what was written."""

    exit_code = 33


class BackupFailedError(BackstayError):
    """A backup was started and did not come to a good end."""

    exit_code = 40


class BackupRunningError(BackstayError):
    """A backup of the same profile is running."""

    exit_code = 41


class ChangedMeanwhileError(BackstayError):
    """Somebody else changed the same thing after it was read."""

    exit_code = 42


class RestoreError(BackstayError):
    """A restore was started and did not come to a good end."""

    exit_code = 50


class TargetNotEmptyError(RestoreError):
    """The place to restore to holds something already."""

    exit_code = 51


class VerificationError(BackstayError):
    """What was read back is not what was written."""

    exit_code = 52


class StoppedError(BackstayError):
    """What was asked for was stopped before its end, on request."""

    exit_code = 60
