"""The tables of a catalogue; the module of each is loaded when it is first asked for, for a list needs but one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Engine

from backstay.catalogue.vault import Vault

if TYPE_CHECKING:
    from backstay.catalogue.activity import ActivityTable
    from backstay.catalogue.alarms import AlarmTable
    from backstay.catalogue.copies import CopyTable
    from backstay.catalogue.counts import CountTable
    from backstay.catalogue.destinations import DestinationTable
    from backstay.catalogue.figures import FigureTable
    from backstay.catalogue.groups import GroupTable
    from backstay.catalogue.jobs import JobTable
    from backstay.catalogue.journal import JournalTable
    from backstay.catalogue.machines import MachineTable, WorkerTable
    from backstay.catalogue.months import MonthTable
    from backstay.catalogue.newest import NewestBackups
    from backstay.catalogue.observations import ObservationTable
    from backstay.catalogue.overview import OverviewTable
    from backstay.catalogue.passkeys import PasskeyTable
    from backstay.catalogue.profiles import ProfileTable
    from backstay.catalogue.recipients import DeliveryTable, RecipientTable
    from backstay.catalogue.records import BackupTable
    from backstay.catalogue.remote_queue import RemoteQueueTable
    from backstay.catalogue.remote_runs import RemoteRunTable
    from backstay.catalogue.repositories import RepositoryTable
    from backstay.catalogue.schedules import RunTable, ScheduleTable
    from backstay.catalogue.site_lines import SiteLines
    from backstay.catalogue.sites import SiteTable
    from backstay.catalogue.snapshots import SnapshotTable
    from backstay.catalogue.tasks import TaskTable
    from backstay.catalogue.tokens import TokenTable
    from backstay.catalogue.users import SessionTable, UserTable

_Table = TypeVar("_Table")


class Tables:
    """The tables of one database.

    Args:
        engine: of the database.
        vault: encrypts what is secret in it.
        machine: name of this machine, where several share the database; else empty.
        patience: seconds for which what is asked waits for a database that is away.
        given_up: whether it waits no longer all the same.
    """

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        machine: str = "",
        patience: float = 0.0,
        given_up: Callable[[], bool] | None = None,
    ) -> None:
        self._engine = engine
        self.vault = vault
        self.machine = machine
        self._patience = patience
        self._given_up = given_up

    @property
    def is_shared(self) -> bool:
        """Whether several machines may work with them."""
        return self._engine.dialect.name == "postgresql"

    @cached_property
    def backups(self) -> BackupTable:
        """Records of backups."""
        from backstay.catalogue.records import BackupTable

        return self._opened(BackupTable(self._engine, self.machine))

    @cached_property
    def profiles(self) -> ProfileTable:
        """What is backed up, and how."""
        from backstay.catalogue.profiles import ProfileTable

        return self._opened(ProfileTable(self._engine, self.vault, self.machine))

    @cached_property
    def jobs(self) -> JobTable:
        """Backups that run or wait."""
        from backstay.catalogue.jobs import JobTable

        return self._opened(JobTable(self._engine, self.vault))

    @cached_property
    def tokens(self) -> TokenTable:
        """Access tokens."""
        from backstay.catalogue.tokens import TokenTable

        return self._opened(TokenTable(self._engine))

    @cached_property
    def destinations(self) -> DestinationTable:
        """Storages."""
        from backstay.catalogue.destinations import DestinationTable

        return self._opened(DestinationTable(self._engine, self.vault))

    @cached_property
    def repositories(self) -> RepositoryTable:
        """Named repositories."""
        from backstay.catalogue.repositories import RepositoryTable

        return self._opened(RepositoryTable(self._engine, self.vault))

    @cached_property
    def snapshots(self) -> SnapshotTable:
        """Which backups are snapshots of repositories."""
        from backstay.catalogue.snapshots import SnapshotTable

        return self._opened(SnapshotTable(self._engine))

    @cached_property
    def copies(self) -> CopyTable:
        """Copies of backups at storages."""
        from backstay.catalogue.copies import CopyTable

        return self._opened(CopyTable(self._engine))

    @cached_property
    def schedules(self) -> ScheduleTable:
        """What is done by itself, and when."""
        from backstay.catalogue.schedules import ScheduleTable

        return self._opened(ScheduleTable(self._engine))

    @cached_property
    def runs(self) -> RunTable:
        """Due moments of schedules."""
        from backstay.catalogue.schedules import RunTable

        return self._opened(RunTable(self._engine))

    @cached_property
    def recipients(self) -> RecipientTable:
        """Who is notified."""
        from backstay.catalogue.recipients import RecipientTable

        return self._opened(RecipientTable(self._engine, self.vault))

    @cached_property
    def deliveries(self) -> DeliveryTable:
        """Messages to them."""
        from backstay.catalogue.recipients import DeliveryTable

        return self._opened(DeliveryTable(self._engine))

    @cached_property
    def figures(self) -> FigureTable:
        """What monitors see."""
        from backstay.catalogue.figures import FigureTable

        return self._opened(FigureTable(self._engine, self.machine))

    @cached_property
    def activity(self) -> ActivityTable:
        """What digests tell."""
        from backstay.catalogue.activity import ActivityTable

        return self._opened(ActivityTable(self._engine))

    @cached_property
    def counts(self) -> CountTable:
        """What backups held."""
        from backstay.catalogue.counts import CountTable

        return self._opened(CountTable(self._engine))

    @cached_property
    def newest(self) -> NewestBackups:
        """Newest backups of profiles."""
        from backstay.catalogue.newest import NewestBackups

        return self._opened(NewestBackups(self._engine))

    @cached_property
    def observations(self) -> ObservationTable:
        """What was seen outside the catalogue."""
        from backstay.catalogue.observations import ObservationTable

        return self._opened(ObservationTable(self._engine, self.machine))

    @cached_property
    def alarms(self) -> AlarmTable:
        """What is wrong."""
        from backstay.catalogue.alarms import AlarmTable

        return self._opened(AlarmTable(self._engine))

    @cached_property
    def overview(self) -> OverviewTable:
        """How every profile stands."""
        from backstay.catalogue.overview import OverviewTable

        return self._opened(OverviewTable(self._engine))

    @cached_property
    def months(self) -> MonthTable:
        """What was done for sites in a month."""
        from backstay.catalogue.months import MonthTable

        return self._opened(MonthTable(self._engine))

    @cached_property
    def site_lines(self) -> SiteLines:
        """How every site stands."""
        from backstay.catalogue.site_lines import SiteLines

        return self._opened(SiteLines(self._engine))

    @cached_property
    def users(self) -> UserTable:
        """Who may use the page."""
        from backstay.catalogue.users import UserTable

        return self._opened(UserTable(self._engine, self.vault))

    @cached_property
    def sessions(self) -> SessionTable:
        """Browsers in which they are signed in."""
        from backstay.catalogue.users import SessionTable

        return self._opened(SessionTable(self._engine))

    @cached_property
    def passkeys(self) -> PasskeyTable:
        """Keys that they sign in with."""
        from backstay.catalogue.passkeys import PasskeyTable

        return self._opened(PasskeyTable(self._engine))

    @cached_property
    def journal(self) -> JournalTable:
        """Who did what."""
        from backstay.catalogue.journal import JournalTable

        return self._opened(JournalTable(self._engine))

    @cached_property
    def tasks(self) -> TaskTable:
        """Long work that is no backup."""
        from backstay.catalogue.tasks import TaskTable

        return self._opened(TaskTable(self._engine, self.vault, self.machine))

    @cached_property
    def machines(self) -> MachineTable:
        """Machines that share the database."""
        from backstay.catalogue.machines import MachineTable

        return self._opened(MachineTable(self._engine))

    @cached_property
    def workers(self) -> WorkerTable:
        """Workers and their leases."""
        from backstay.catalogue.machines import WorkerTable

        return self._opened(WorkerTable(self._engine))

    @cached_property
    def groups(self) -> GroupTable:
        """Groups of sites."""
        from backstay.catalogue.groups import GroupTable

        return self._opened(GroupTable(self._engine))

    @cached_property
    def sites(self) -> SiteTable:
        """Sites as an agency means them."""
        from backstay.catalogue.sites import SiteTable

        return self._opened(SiteTable(self._engine, self.vault))

    @cached_property
    def remote_queue(self) -> RemoteQueueTable:
        """Which runs of remote sites begin next."""
        from backstay.catalogue.remote_queue import RemoteQueueTable

        return self._opened(RemoteQueueTable(self._engine))

    @cached_property
    def remote_runs(self) -> RemoteRunTable:
        """Runs of remote sites."""
        from backstay.catalogue.remote_runs import RemoteRunTable

        return self._opened(RemoteRunTable(self._engine, self.vault, self.machine))

    def _opened(self, table: _Table) -> _Table:
        if not self.is_shared:
            return table
        from backstay.catalogue.retrying import persistent

        return persistent(table, self._patience, self._given_up)
