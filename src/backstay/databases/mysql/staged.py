"""What a load has put beside the old tables, as plain data: enough to swap it in, or to take it back.

It is written down before the swap, so that another process can finish or undo what this one began.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from backstay.databases.model import ExistingTables
from backstay.databases.mysql.definitions import Session
from backstay.databases.mysql.tokens import quote_string


@dataclass(frozen=True, slots=True)
class StagedTable:
    """A table (or sequence) loaded under a temporary name.

    Attributes:
        name: its name once it is swapped in.
        new: its name until then.
        old: the name that what stands in its place is given.
        backup: the name that the old one keeps in the end; empty if it is dropped.
        replaces: whether something stands in its place.
    """

    name: str
    new: str
    old: str
    backup: str = ""
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class StagedEntity:
    """A view, routine, trigger, event or MERGE table: made when the tables are in place."""

    kind: str
    name: str
    statement: str
    session: Session = field(default_factory=Session)
    where: str = ""


def sql_text(entity: StagedEntity) -> str:
    """Return what makes an object, with its session settings and delimiters, as the ``mysql`` client reads it."""
    session = entity.session.of(entity.statement)
    settings = (
        f"SET SESSION sql_mode = {quote_string(session.sql_mode)}, time_zone = {quote_string(session.time_zone)}, "
        f"character_set_client = {quote_string(session.charset)}, "
        f"collation_connection = {quote_string(session.collation)};\n"
    )
    if entity.kind in {"TABLE", "SEQUENCE", "VIEW"}:
        return f"{settings}{entity.statement};\n"
    delimiter = "$$"
    while delimiter in entity.statement:
        delimiter += "$"
    return f"{settings}DELIMITER {delimiter}\n{entity.statement}{delimiter}\nDELIMITER ;\n"


@dataclass(frozen=True, slots=True)
class Constraint:
    """A foreign key (or MySQL's CHECK): its table, its name (may be empty), and the clause that adds it."""

    table: str
    name: str
    clause: str


@dataclass(slots=True)
class StagedLoad:
    """A load that waits for its swap.

    Attributes:
        run: eight hexadecimal digits that its temporary names share.
        policy: what becomes of the tables it replaces.
        tables: what was loaded.
        entities: what is made when the tables are in place, in order.
        constraints: what is added to the tables when they are in place.
        previous_entities: what stood in the way, as it was defined.
        previous_constraints: foreign keys (and MySQL's CHECKs) of the tables that are replaced, and foreign keys of
            others that refer to them.
    """

    run: str
    policy: ExistingTables
    tables: list[StagedTable] = field(default_factory=list)
    entities: list[StagedEntity] = field(default_factory=list)
    constraints: list[Constraint] = field(default_factory=list)
    previous_entities: list[StagedEntity] = field(default_factory=list)
    previous_constraints: list[Constraint] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return dataclasses.asdict(self) | {"policy": self.policy.value}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> StagedLoad:
        """Read what :meth:`to_json` gave."""

        def entity(found: dict[str, Any]) -> StagedEntity:
            return StagedEntity(**{**found, "session": Session(**found["session"])})

        return cls(
            run=data["run"],
            policy=ExistingTables(data["policy"]),
            tables=[StagedTable(**found) for found in data["tables"]],
            entities=[entity(found) for found in data["entities"]],
            constraints=[Constraint(**found) for found in data["constraints"]],
            previous_entities=[entity(found) for found in data["previous_entities"]],
            previous_constraints=[Constraint(**found) for found in data["previous_constraints"]],
        )
