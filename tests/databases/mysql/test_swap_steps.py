"""A swap whose connection is lost at any statement is finished, or taken back: played on a server of a few lines.

What real servers make of these statements is tested in `test_swap`; here each moment is tried, which would take hours
there.
"""

from __future__ import annotations

import copy
import importlib
import itertools
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pymysql
import pytest

from backstay.databases import DatabaseAddress, ExistingTables
from backstay.databases.mysql.staged import Constraint, StagedEntity, StagedLoad, StagedTable
from backstay.databases.skipped import Refusals
from backstay.errors import DatabaseConnectionError, LoadError

# The package has a function of that name.
swapping = importlib.import_module("backstay.databases.mysql.swap")
ADDRESS = DatabaseAddress("mysql", name="site")
NAME = re.compile(r"`([^`]+)`")
ALL_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
KIND_OF = "SELECT table_type AS kind FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s"
RENAMES = re.compile(r"RENAME TABLE `\w+` TO `\w+`(, `\w+` TO `\w+`)*")
CLAUSE = r"ADD (CONSTRAINT `\w+` (?:FOREIGN KEY \(`id`\) REFERENCES `\w+` \(`id`\)|CHECK \(\w+\)))"


@dataclass
class Table:
    """A table: what it holds, its constraints by name, and what kind it is."""

    content: str
    constraints: dict[str, str] = field(default_factory=dict)
    kind: str = "BASE TABLE"


@dataclass
class Server:
    """A server that knows the statements of a swap; the connection is lost before or after one of them."""

    tables: dict[str, Table]
    others: dict[tuple[str, str], str]
    lost_at: int = 0
    after: bool = False
    count: int = 0
    settings: list[str] = field(default_factory=list)
    locked: bool = True
    fold: int = 0

    def close(self) -> None:
        """Let others in."""
        self.locked = False

    def execute(self, statement: str) -> None:
        """Run a statement."""
        self.count += 1
        if self.count == self.lost_at and not self.after:
            raise pymysql.err.OperationalError(2013, "Lost connection")
        self._apply(statement)
        if self.count == self.lost_at:
            raise pymysql.err.OperationalError(2013, "Lost connection")

    def set_where_known(self, name: str, value: object) -> None:
        """Set a variable."""
        self.settings.append(f"{name} = {value}")

    def value(self, query: str) -> object:
        """Answer with one value."""
        self.locked |= "GET_LOCK" in query
        assert "GET_LOCK" in query or query == "SELECT @@lower_case_table_names"
        return 1 if "GET_LOCK" in query else self.fold

    def rows(self, query: str, name: str = "") -> list[dict[str, str]]:
        """Answer with rows."""
        if query.startswith("SHOW CREATE TABLE"):
            table = self._table(NAME.findall(query)[0])
            clauses = "".join(f",\n  {clause}" for clause in table.constraints.values())
            return [{"create table": f"CREATE TABLE `x` (\n  `id` int{clauses}\n)"}]
        if name:
            assert query == KIND_OF
            kind = "VIEW" if ("VIEW", name) in self.others else ""
            kind = self.tables[name].kind if name in self.tables else kind
            return [{"kind": kind}] if kind else []
        assert query == ALL_TABLES
        views = [view for kind, view in self.others if kind == "VIEW"]
        return [{"table_name": table} for table in [*self.tables, *views]]

    def _table(self, name: str) -> Table:
        if name not in self.tables:
            raise pymysql.err.ProgrammingError(1146, f"{name} doesn't exist")
        return self.tables[name]

    def _apply(self, statement: str) -> None:
        names = NAME.findall(statement)
        if statement.startswith("RENAME TABLE"):
            assert RENAMES.fullmatch(statement)
            moved = copy.deepcopy(self.tables)
            for old, new in zip(names[::2], names[1::2], strict=True):
                assert old in moved, f"{old} is not there"
                assert new not in moved, f"{new} is there"
                assert ("VIEW", new) not in self.others, f"{new} is a view"
                moved[new] = moved.pop(old)
                _follow(moved, old, new)
            self.tables = moved
        elif statement.startswith("DROP TABLE IF EXISTS"):
            self.tables.pop(names[0], None)
        elif found := re.match(r"DROP (\w+) IF EXISTS", statement):
            self.others.pop((found[1], names[0]), None)
        elif statement.startswith("ALTER TABLE"):
            self._alter(self._table(names[0]), statement)
        elif found := re.match(r"CREATE (\w+) `", statement):
            if found[1] == "VIEW" and "refused" in statement:
                raise pymysql.err.OperationalError(1449, "The definer does not exist")
            assert (found[1], names[0]) not in self.others
            assert found[1] != "VIEW" or names[0] not in self.tables
            if found[1] == "TABLE":
                self.tables[names[0]] = Table(statement)
            else:
                self.others[found[1], names[0]] = statement
        else:
            assert statement.startswith("SET ")
            self.settings.append(statement)

    def _alter(self, table: Table, statement: str) -> None:
        if dropped := re.search(r" DROP (FOREIGN KEY|CONSTRAINT) `([^`]+)`$", statement):
            clause = table.constraints.get(dropped[2], "")
            if (" CHECK " if dropped[1] == "CONSTRAINT" else " FOREIGN KEY ") not in clause:
                raise pymysql.err.OperationalError(1091, "no such key")
            del table.constraints[dropped[2]]
            return
        assert re.fullmatch(rf"ALTER TABLE `\w+` {CLAUSE}(, {CLAUSE})*", statement)
        for clause in re.findall(CLAUSE, statement):
            name = NAME.findall(clause)[0]
            assert not any(name in other.constraints for other in self.tables.values()), f"{name} is the database's"
            table.constraints[name] = clause

    def state(self) -> tuple[dict[str, Table], dict[tuple[str, str], str]]:
        """What is there."""
        return self.tables, self.others


def _follow(tables: dict[str, Table], old: str, new: str) -> None:
    """Have foreign keys refer to a table under its new name, and names that the server made follow their table."""
    for name, table in tables.items():
        found = {}
        for constraint, clause in table.constraints.items():
            renamed = constraint
            if name == new and re.fullmatch(rf"{old}_ibfk_\d+", constraint):
                renamed = new + constraint.removeprefix(old)
            text = clause.replace(f"REFERENCES `{old}`", f"REFERENCES `{new}`")
            found[renamed] = text.replace(f"`{constraint}`", f"`{renamed}`", 1)
        table.constraints = found


def key(name: str, table: str, refers: str) -> Constraint:
    return Constraint(table, name, f"CONSTRAINT `{name}` FOREIGN KEY (`id`) REFERENCES `{refers}` (`id`)")


OLD_KEY, OTHER_KEY = key("fk_t", "jos_t", "jos_p"), key("fk_other", "other", "jos_p")
BY_SERVER, CHECK = key("jos_t_ibfk_1", "jos_t", "other"), Constraint("jos_t", "chk", "CONSTRAINT `chk` CHECK (id)")
NEW_KEYS = [key("fk_t", "jos_t", "jos_p"), key("fk_n", "jos_n", "jos_p")]


def place(policy: ExistingTables) -> tuple[Server, StagedLoad]:
    """A site of two tables that are replaced, and one that is not; a table comes in that was not there."""
    server = Server(
        {
            "jos_t": Table("old t", {c.name: c.clause for c in (OLD_KEY, BY_SERVER, CHECK)}),
            "jos_p": Table("old p"),
            "other": Table("other", {"fk_other": OTHER_KEY.clause}),
            "bak_t": Table("older t"),
            "run_new_t": Table("new t"),
            "run_new_p": Table("new p"),
            "run_new_n": Table("new n"),
            "jos_s": Table("new s", kind="SEQUENCE"),
            "jos_m": Table("merged, made in its place"),
            "run_new_z": Table("new z"),
        },
        {
            ("VIEW", "jos_z"): "CREATE VIEW `jos_z` AS SELECT 'a table now'",
            ("VIEW", "jos_v"): "CREATE VIEW `jos_v` AS SELECT 'old'",
            ("TRIGGER", "jos_g"): "CREATE TRIGGER `jos_g` old",
            ("FUNCTION", "jos_f"): "CREATE FUNCTION `jos_f` old",
        },
    )
    backup = "bak_t" if policy is ExistingTables.BACK_UP else ""
    staged = StagedLoad(
        "run",
        policy,
        tables=[
            StagedTable("jos_m", "jos_m", "run_old_m", replaces=True),
            StagedTable("jos_s", "jos_s", "run_old_s"),
            StagedTable("jos_t", "run_new_t", "run_old_t", backup, replaces=True),
            StagedTable("jos_z", "run_new_z", "run_old_z", replaces=True),
            StagedTable("jos_p", "run_new_p", "run_old_p", "", replaces=True),
            StagedTable("jos_n", "run_new_n", "run_old_n"),
        ],
        entities=[
            StagedEntity("TABLE", "jos_m", "CREATE TABLE `jos_m` merged"),
            StagedEntity("FUNCTION", "jos_f", "CREATE FUNCTION `jos_f` new"),
            StagedEntity("VIEW", "jos_v", "CREATE VIEW `jos_v` AS SELECT 'new'"),
            StagedEntity("VIEW", "jos_w", "CREATE VIEW `jos_w` AS SELECT 'new'"),
        ],
        constraints=NEW_KEYS,
        previous_entities=[StagedEntity(kind, name, text) for (kind, name), text in server.others.items()],
        previous_constraints=[OLD_KEY, BY_SERVER, CHECK, OTHER_KEY],
    )
    return server, StagedLoad.from_json(staged.to_json())


def before() -> tuple[dict[str, Table], dict[tuple[str, str], str]]:
    """What a load that was undone leaves: all that was there, and nothing of the new."""
    tables, others = place(ExistingTables.REPLACE)[0].state()
    return {name: table for name, table in tables.items() if not name.startswith("run_") and name != "jos_s"}, others


def swapped() -> tuple[dict[str, Table], dict[tuple[str, str], str]]:
    tables = {
        "jos_t": Table("new t", {"fk_t": NEW_KEYS[0].clause}),
        "jos_p": Table("new p"),
        "jos_n": Table("new n", {"fk_n": NEW_KEYS[1].clause}),
        "jos_s": Table("new s", kind="SEQUENCE"),
        "jos_m": Table("merged, made in its place"),
        "jos_z": Table("new z"),
        "other": Table("other", {"fk_other": OTHER_KEY.clause}),
        "bak_t": Table("older t"),
    }
    others = {
        ("FUNCTION", "jos_f"): "CREATE FUNCTION `jos_f` new",
        ("VIEW", "jos_v"): "CREATE VIEW `jos_v` AS SELECT 'new'",
        ("VIEW", "jos_w"): "CREATE VIEW `jos_w` AS SELECT 'new'",
    }
    return tables, others


def refusals() -> Refusals:
    return Refusals(pytest.fail)


def swap(staged: StagedLoad) -> None:
    swapping.swap(ADDRESS, staged, refusals())


def undo(staged: StagedLoad) -> None:
    swapping.undo(ADDRESS, staged, refusals())


def finish(staged: StagedLoad) -> None:
    swapping.finish(ADDRESS, staged)


def on(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Have the swap connect to a played server."""
    monkeypatch.setattr(swapping, "connect", lambda _address: server)
    return server


def battery(
    start: tuple[Server, StagedLoad], first: Callable[[StagedLoad], None], then: Callable[[Server], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Lose the connection at each statement, before it is run and after, and then do something else."""
    for number, after in itertools.product(range(1, 100), (False, True)):
        server, staged = copy.deepcopy(start)
        server.lost_at, server.after = number, after
        on(server, monkeypatch)
        with suppress(DatabaseConnectionError):
            first(staged)
        assert not server.locked
        done = server.count < number
        server.lost_at = 0
        then(server)
        if done:
            assert number > 5
            return
    pytest.fail("it never came to its end")


@pytest.mark.parametrize("policy", [ExistingTables.REPLACE, ExistingTables.BACK_UP])
def test_a_swap_that_was_cut_is_repeated_undone_and_finished(
    monkeypatch: pytest.MonkeyPatch, policy: ExistingTables
) -> None:
    start = place(policy)
    old = {"run_old_t": Table("old t"), "run_old_p": Table("old p")}

    def repeat(server: Server) -> None:
        for _ in range(2):
            swap(start[1])
            assert server.state() == (swapped()[0] | old, swapped()[1])

    def take_back(server: Server) -> None:
        for _ in range(2):
            undo(start[1])
            assert server.state() == before()

    battery(start, swap, repeat, monkeypatch)
    battery(start, swap, take_back, monkeypatch)
    server, staged = copy.deepcopy(start)
    on(server, monkeypatch)
    swap(staged)
    battery((server, staged), undo, take_back, monkeypatch)
    kept = {"bak_t": Table("old t")} if policy is ExistingTables.BACK_UP else {}

    def clear(server: Server) -> None:
        for _ in range(2):
            finish(staged)
            assert server.state() == (swapped()[0] | kept, swapped()[1])

    battery((server, staged), finish, clear, monkeypatch)


def test_what_was_staged_and_not_swapped_in_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    server, staged = place(ExistingTables.REPLACE)
    on(server, monkeypatch)
    swapping.discard(ADDRESS, staged)
    assert server.state() == before()
    assert "SET SESSION foreign_key_checks = 0, unique_checks = 0" in server.settings
    assert server.settings[-2:] == ["system_versioning_alter_history = KEEP", "restrict_fk_on_non_standard_key = 0"]


@pytest.mark.parametrize(
    ("step", "doing"),
    [
        (swap, "the new tables were put in place"),
        (undo, "the old tables were put back"),
        (finish, "the old tables were cleared away"),
        (lambda staged: swapping.discard(ADDRESS, staged), "the temporary tables were dropped"),
    ],
)
def test_a_lost_connection_is_told_with_what_was_being_done(
    monkeypatch: pytest.MonkeyPatch, step: Callable[[StagedLoad], None], doing: str
) -> None:
    server, staged = place(ExistingTables.REPLACE)
    on(server, monkeypatch).lost_at = 1
    with pytest.raises(
        DatabaseConnectionError, match=rf"connection to mysql:.* was lost while {doing}: Lost connection"
    ):
        step(staged)


def test_what_cannot_be_made_again_is_kept_too(monkeypatch: pytest.MonkeyPatch) -> None:
    server, staged = place(ExistingTables.REPLACE)
    staged.previous_entities.append(StagedEntity("VIEW", "jos_x", "CREATE VIEW `jos_x` AS refused"))
    on(server, monkeypatch)
    refused = Refusals(lambda _sentence: None)
    swapping.undo(ADDRESS, staged, refused)
    assert [(one.kind, one.name) for one in refused.objects] == [("view", "jos_x")]


def test_a_refusal_is_told_with_the_names_of_the_site() -> None:
    entity = StagedEntity("VIEW", "jos_v", "CREATE VIEW `jos_v`")
    error = pymysql.err.OperationalError(1146, "run_new_1 and run_new_12 don't exist")
    refused = swapping._refused(entity, error, {"run_new_1": "jos_a", "run_new_12": "jos_b"})
    assert refused.reason == "jos_a and jos_b don't exist"


def test_what_the_server_refuses_to_make_is_kept_and_all_else_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    server, staged = place(ExistingTables.REPLACE)
    staged.entities.insert(0, StagedEntity("VIEW", "jos_x", "CREATE VIEW `jos_x` AS refused"))
    staged.entities.append(StagedEntity("TABLE", "jos_y", "CREATE TABLE `jos_y` merged"))
    staged.entities.append(StagedEntity("TABLE", "other", "CREATE TABLE `other` again"))
    on(server, monkeypatch)
    warnings: list[str] = []
    refused = Refusals(warnings.append)
    swapping.swap(ADDRESS, staged, refused)
    assert [(one.kind, one.name) for one in refused.objects] == [("view", "jos_x")]
    assert "CREATE VIEW `jos_x` AS refused" in refused.objects[0].statement
    assert "definer" in warnings[0]
    assert ("VIEW", "jos_w") in server.others
    assert (server.tables["jos_y"].content, server.tables["other"].content) == ("CREATE TABLE `jos_y` merged", "other")
    assert "sql_mode" in server.settings[-1], "the session's own settings come back"


def test_another_load_into_the_database_is_waited_for_and_then_told(monkeypatch: pytest.MonkeyPatch) -> None:
    server, staged = place(ExistingTables.REPLACE)
    on(server, monkeypatch)
    asked: list[str] = []
    monkeypatch.setattr(Server, "value", lambda _self, query: asked.append(query))
    with pytest.raises(LoadError, match="Another load into this database is running"):
        swap(staged)
    assert asked == ["SELECT GET_LOCK(CONCAT('backstay ', MD5(DATABASE())), 600)"]


def test_names_of_backups_are_short_and_differ() -> None:
    taken: set[str] = set()
    long = "jos_" + "x" * 60
    names = [swapping._backup_name(name, "jos_", taken) for name in ("jos_t", "t", "other", long, long + "y")]
    assert names == ["bak_t", "bak_t_2", "bak_other", "bak_" + "x" * 60, "bak_" + "x" * 52 + "_2"]
    assert swapping._backup_name("jos_t", "", taken) == "bak_jos_t"
    assert swapping._backup_name("t", "jos_", taken) == "bak_t_3"
    assert taken == {*names, "bak_jos_t", "bak_t_3"}


def test_names_are_compared_as_the_server_compares_them() -> None:
    assert [swapping.Names(["Straße"], fold=fold).has("STRASSE") for fold in (True, False)] == [True, False]
    assert [swapping.Names(["STRASSE"], fold=fold).has("strasse") for fold in (True, False)] == [True, False]
    assert swapping.Names(["a"], fold=False).has("a")
    assert not swapping.Names(["a"], fold=True).has("b")


@pytest.mark.parametrize(("setting", "folds"), [(0, False), (1, True), (2, True)])
def test_the_server_is_asked_how_it_compares_names(setting: int, folds: bool) -> None:
    server, _ = place(ExistingTables.REPLACE)
    server.fold = setting
    names = swapping.existing_tables(server)
    assert [names.has(name) for name in ("jos_t", "jos_v", "JOS_T", "none")] == [True, True, folds, False]


def test_only_tables_of_loads_that_never_swapped_are_leftovers() -> None:
    server, _ = place(ExistingTables.REPLACE)
    names = ["backstay_0123abcd_new_1", "backstay_0123abcd_old_1", "backstay_new_1", "my_backstay_0123abcd_new_1"]
    server.tables = {name: Table("") for name in [*names, "_new_"]}
    swapping.drop_leftovers(server)
    assert list(server.tables) == [*names[1:], "_new_"]
