"""Backups, deletions, prunes, two writers and dead ones in any order, against a plain model of what must be there."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from backstay.errors import RepositoryError
from backstay.repository import marks
from backstay.repository.checking import check
from backstay.repository.opened import Repository
from backstay.repository.pruning import prune
from backstay.repository.store import Store
from backstay.repository.writing import SnapshotWriter
from repository.places import content_of, created, fill, opened, pack_files

CONTENTS = [random.Random(number).randbytes(200 + 40 * number) for number in range(12)]
FILES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(CONTENTS), max_size=5)
MACHINES = st.sampled_from(["one", "other"])


class DeathError(BaseException):
    """The process is gone: nothing that runs may go on."""


class Machine(RuleBasedStateMachine):
    """A repository that two machines use."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="backstay-states-"))
        self.machines: dict[str, Repository] = {}
        self.model: dict[str, dict[str, bytes]] = {}
        self.writers: list[tuple[SnapshotWriter, dict[str, bytes]]] = []
        self.left: int | None = None
        self.patch = pytest.MonkeyPatch()
        for name in ("put_file", "delete"):
            self.patch.setattr(Store, name, self._dying(getattr(Store, name)))

    def _dying(self, real: Any) -> Any:
        def call(store: Store, *arguments: Any, **named: Any) -> Any:
            if self.left is not None:
                self.left -= 1
                if self.left < 0:
                    raise DeathError
            return real(store, *arguments, **named)

        return call

    @initialize(encrypted=st.booleans())
    def create(self, encrypted: bool) -> None:
        self.passphrase = "secret" if encrypted else None
        one = created(self.folder, passphrase=self.passphrase)
        self.machines = {"one": one}
        self.reopen("other")

    @rule(machine=MACHINES)
    def reopen(self, machine: str) -> None:
        """A machine comes back with nothing but the secret."""
        if any(writer._repository is self.machines.get(machine) for writer, _ in self.writers):
            return
        if machine in self.machines:
            self.machines[machine].close()
        shutil.rmtree(self.folder / machine, ignore_errors=True)
        self.machines[machine] = opened(self.folder, passphrase=self.passphrase, state=machine)

    @rule(machine=MACHINES, files=FILES)
    def begin(self, machine: str, files: dict[str, bytes]) -> None:
        """A writer looks what is there and refers to it, and ends later."""
        if len(self.writers) < 3:
            writer = SnapshotWriter(self.machines[machine], workers=1)
            fill(writer, files)
            while writer._steps:
                writer._take()
            self.writers.append((writer, files))

    @precondition(lambda self: self.writers)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        writer, files = self.writers.pop(data.draw(st.integers(0, len(self.writers) - 1)))
        try:
            snapshot = writer.finish({})
        except RepositoryError:
            # It was taken for dead.
            assert not marks.is_registered(self.machines["one"].store, writer.id)
            writer.abort()
        else:
            self.model[snapshot.id] = files

    @precondition(lambda self: self.writers)
    @rule(after=st.integers(0, 5), data=st.data())
    def die(self, after: int, data: st.DataObject) -> None:
        """A writer dies while it ends; whether it still had written its snapshot is what it is."""
        writer, files = self.writers.pop(data.draw(st.integers(0, len(self.writers) - 1)))
        before = set(self.machines["one"].snapshot_ids())
        self.left = after
        try:
            snapshot = writer.finish({})
            self.model[snapshot.id] = files
        except (DeathError, RepositoryError):
            pass
        finally:
            self.left = None
        self._bury(writer)
        for identity in set(self.machines["one"].snapshot_ids()) - before:
            self.model[identity] = files

    def _bury(self, writer: SnapshotWriter) -> None:
        writer._pool.shutdown()
        writer._senders.shutdown()
        if writer._pack is not None:
            writer._pack.discard()
        if writer._folder._lock >= 0:
            os.close(writer._folder._lock)
            writer._folder._lock = -1
        self.age(writer.id)

    def age(self, identity: str) -> None:
        """Let a day pass for somebody who gives no sign of life."""
        store = self.machines["one"].store
        if marks.is_registered(store, identity):
            store.put(f"writers/{identity}", json.dumps({"task": "backup", "beat": 1}).encode())
            store.delete(f"beats/{identity}")

    @precondition(lambda self: self.writers)
    @rule(data=st.data())
    def sleep(self, data: st.DataObject) -> None:
        """A writer is taken for dead, and goes on later."""
        writer, _ = data.draw(st.sampled_from(self.writers))
        self.age(writer.id)

    @precondition(lambda self: self.model)
    @rule(machine=MACHINES, data=st.data())
    def remove(self, machine: str, data: st.DataObject) -> None:
        identity = data.draw(st.sampled_from(sorted(self.model)))
        self.machines[machine].remove_snapshot(identity)
        del self.model[identity]

    @rule(machine=MACHINES)
    def prune(self, machine: str) -> None:
        done = prune(self.machines[machine])
        assert done.kept == []

    @rule(machine=MACHINES, after=st.integers(0, 8))
    def prune_and_die(self, machine: str, after: int) -> None:
        before = {writer.id for writer in marks.writers(self.machines[machine].store)}
        self.left = after
        try:
            prune(self.machines[machine])
        except DeathError:
            pass
        finally:
            self.left = None
        for left in marks.writers(self.machines[machine].store):
            if left.id not in before:
                self.age(left.id)

    @rule()
    def pass_time(self) -> None:
        """Packs grow old: whether a running writer has made them is not known any more."""
        for path in pack_files(self.folder) if (self.folder / "place/repositories/site/packs").exists() else ():
            os.utime(path, (1_000_000_000, 1_000_000_000))

    @invariant()
    def everything_that_must_be_there_is_there(self) -> None:
        for repository in self.machines.values():
            assert set(repository.snapshot_ids()) == set(self.model)
            for identity, files in self.model.items():
                assert content_of(repository, repository.snapshot(identity)) == files

    def teardown(self) -> None:
        try:
            for writer, _ in self.writers:
                writer.abort()
            if self.machines:
                # Once nobody writes any more, two prunes leave nothing that is not needed.
                one = self.machines["one"]
                for registered in marks.writers(one.store):
                    marks.deregister(one.store, registered.id)
                prune(one)
                prune(one)
                assert check(one, read_data=1.0).damages == []
                self.everything_that_must_be_there_is_there()
                assert marks.marks(one.store) == []
        finally:
            self.patch.undo()
            for repository in self.machines.values():
                repository.close()
            shutil.rmtree(self.folder)


Machine.TestCase.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
TestStates = Machine.TestCase
