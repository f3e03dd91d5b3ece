"""Copies: which backups lie at which destinations, part by part, and how each copy was proven."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from backstay.catalogue.schema import copies, copy_parts, destinations
from backstay.errors import NotFoundError

CopyState = Literal["sending", "stored", "failed", "deleting"]


@dataclass(frozen=True, slots=True)
class CopyPart:
    """One part of a copy.

    Attributes:
        name: base name, as the local file has it; the same for the same part for ever.
        size: in bytes.
        blake3: of its content when it was sent, 64 hexadecimal digits; empty before.
        checksums: what the service computed over it, by algorithm.
        resume: token that resumes its upload; empty where there is none.
        started: an upload of it was begun, so that there may be something at the destination.
        proof: how its arrival was proven, in words; empty as long as it is not.
    """

    name: str
    size: int = 0
    blake3: str = ""
    checksums: Mapping[str, str] = field(default_factory=dict)
    resume: str = ""
    started: bool = False
    proof: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """One backup at one destination.

    Attributes:
        id: number of the copy.
        backup_id: number of the backup's record.
        destination: name of the destination.
        folder: what stands before the names of its files at the destination: empty, or a folder with its slash.
        state: ``sending`` until every part and the document have arrived and are proven, then ``stored``; ``failed``
            where that was not to be, ``deleting`` where a deletion is still to be finished.
        parts: in the order of the archive, the main file last.
        created: moment the first byte was sent.
        sent_at: moment all of it had arrived.
        proven_at: moment its arrival was proven last.
        proven_how: in words, for a person.
        locked_until: moment before which the service does not delete it; None: it is not locked.
        error: why it failed, why it could not be deleted, or what was wrong with it when it was read last.
    """

    id: int
    backup_id: int
    destination: str
    folder: str
    state: CopyState
    created: datetime
    sent_at: datetime | None
    proven_at: datetime | None
    proven_how: str
    locked_until: datetime | None
    error: str
    parts: tuple[CopyPart, ...] = ()

    def file_name(self, part: str) -> str:
        """Return the name at the destination of a part, or of the document, by its base name."""
        return f"{self.folder}{part}"


class CopyTable:
    """Reads and writes copies."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._beside = engine.execution_options(writes=True, beside=True)

    def of(self, backup_id: int) -> list[Copy]:
        """Return the copies of a backup, oldest first."""
        return self._found(copies.c.backup_id == backup_id)

    def of_many(self, backup_ids: Iterable[int]) -> dict[int, list[Copy]]:
        """Return the copies of several backups by the numbers of these; a backup without copies is left out."""
        found: dict[int, list[Copy]] = {}
        for copy in self._found(copies.c.backup_id.in_(list(backup_ids))):
            found.setdefault(copy.backup_id, []).append(copy)
        return found

    def at(self, destination: str) -> list[Copy]:
        """Return the copies at a destination, oldest first."""
        return self._found(destinations.c.name == destination)

    def all(self, *, state: CopyState | None = None) -> list[Copy]:
        """Return all copies, oldest first, or those in a state."""
        return self._found(*(() if state is None else (copies.c.state == state,)))

    def find(self, backup_id: int, destination: str) -> Copy | None:
        """Return the copy of a backup at a destination, or None."""
        found = self._found(copies.c.backup_id == backup_id, destinations.c.name == destination)
        return found[0] if found else None

    def create(
        self,
        backup_id: int,
        destination: str,
        *,
        created: datetime,
        folder: str = "",
        state: CopyState = "sending",
        locked_until: datetime | None = None,
        parts: Sequence[CopyPart] = (),
        **values: Any,
    ) -> Copy:
        """Note that a copy is being made, or is there.

        Args:
            backup_id: number of the backup's record.
            destination: name of the destination.
            created: this moment.
            folder: see ``Copy``.
            state: ``stored`` for one that was found there.
            locked_until: see ``Copy``.
            parts: see ``Copy``.
            values: other attributes of ``Copy``.

        Raises:
            NotFoundError: there is no destination of that name.
        """
        with self._writer.begin() as connection:
            number = connection.execute(
                select(destinations.c.id).where(destinations.c.name == destination)
            ).scalar_one_or_none()
            if number is None:
                raise NotFoundError(
                    f"There is no storage named {destination!r}: see them with 'backstay storage list'."
                )
            row: dict[str, Any] = {
                "backup_id": backup_id,
                "folder": folder,
                "state": state,
                "created": created,
                "locked_until": locked_until,
                "sent_at": None,
                "proven_at": None,
                "proven_how": "",
                "error": "",
                **values,
            }
            adding = insert(copies).values({**row, "destination_id": number}).returning(copies.c.id)
            copy_id = connection.execute(adding).scalar_one()
            _insert_parts(connection, copy_id, parts, 1)
        return Copy(id=copy_id, destination=destination, parts=tuple(parts), **row)

    def update(self, copy_id: int, **values: Any) -> None:
        """Change columns of a copy, on disk when the call returns."""
        with self._beside.begin() as connection:
            connection.execute(update(copies).where(copies.c.id == copy_id).values(**values))

    def set_parts(self, copy_id: int, parts: Sequence[CopyPart]) -> None:
        """Replace all parts of a copy."""
        with self._writer.begin() as connection:
            connection.execute(delete(copy_parts).where(copy_parts.c.copy_id == copy_id))
            _insert_parts(connection, copy_id, parts, 1)

    def update_part(self, copy_id: int, name: str, **values: Any) -> None:
        """Change columns of one part of a copy, on disk when the call returns."""
        query = update(copy_parts).where(copy_parts.c.copy_id == copy_id, copy_parts.c.name == name)
        with self._beside.begin() as connection:
            connection.execute(query.values(**values))

    def delete(self, copy_id: int) -> None:
        """Forget a copy that is gone."""
        with self._writer.begin() as connection:
            connection.execute(delete(copies).where(copies.c.id == copy_id))

    def _found(self, *conditions: Any) -> list[Copy]:
        query = (
            select(copies, destinations.c.name.label("destination"))
            .join(destinations, destinations.c.id == copies.c.destination_id)
            .where(*conditions)
            .order_by(copies.c.id)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
            numbers = [row.id for row in rows]
            of_these = select(copy_parts).where(copy_parts.c.copy_id.in_(numbers)).order_by(copy_parts.c.number)
            parts: dict[int, list[CopyPart]] = {}
            for part in connection.execute(of_these) if numbers else ():
                parts.setdefault(part.copy_id, []).append(_part(part))
        return [_copy(row, parts.get(row.id, [])) for row in rows]


def _insert_parts(connection: Connection, copy_id: int, parts: Sequence[CopyPart], first: int) -> None:
    rows = [
        {
            "copy_id": copy_id,
            "number": number,
            "name": part.name,
            "size": part.size,
            "blake3": part.blake3,
            "checksums": dict(part.checksums),
            "resume": part.resume,
            "started": part.started,
            "proof": part.proof,
        }
        for number, part in enumerate(parts, first)
    ]
    if rows:
        connection.execute(insert(copy_parts), rows)


def _part(row: Row[Any]) -> CopyPart:
    return CopyPart(
        name=row.name,
        size=row.size,
        blake3=row.blake3,
        checksums=row.checksums,
        resume=row.resume,
        started=row.started,
        proof=row.proof,
    )


def _copy(row: Row[Any], parts: Sequence[CopyPart]) -> Copy:
    return Copy(
        id=row.id,
        backup_id=row.backup_id,
        destination=row.destination,
        folder=row.folder,
        state=row.state,
        created=row.created,
        sent_at=row.sent_at,
        proven_at=row.proven_at,
        proven_how=row.proven_how,
        locked_until=row.locked_until,
        error=row.error,
        parts=tuple(parts),
    )
