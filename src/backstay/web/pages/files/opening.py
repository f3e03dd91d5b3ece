"""Opening an archive for a page: what takes long is made in the background, a password is asked for and kept nowhere.

A password that somebody typed stays in the memory of this process for some minutes, for the session that typed it
alone; an index that was made with it, too.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from backstay.errors import BackstayError, WrongPasswordError
from backstay.jobs.archive_index import ArchiveIndex
from backstay.jobs.archive_of import open_backup
from backstay.jobs.browsing import Inside, is_ready, look_inside, remembered_index
from backstay.jobs.installation import Installation
from backstay.jobs.records import get_backup
from backstay.jobs.throttle import Throttle
from backstay.jobs.users import Role
from backstay.web.rendering import quoted, unquoted
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_PATIENCE_SECONDS: Final = 1.5
_REMEMBERED_SECONDS: Final = 900
_MOST_REMEMBERED: Final = 50
_MOST_IN_MEMORY: Final = 3


@dataclass(slots=True)
class _Making:
    """An index that is being made in a thread."""

    count: int = 0
    error: BackstayError | None = None
    index: ArchiveIndex | None = None
    ended: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class _Typed:
    """A password that was typed in one session."""

    password: str = field(repr=False)
    until: float
    making: _Making | None = None


class BeingMadeError(Exception):
    """The list of what is in an archive is being made; count: how many entries it has so far."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


_lock = threading.Lock()
_one_at_a_time = threading.Lock()
_makings: dict[tuple[str, int, str], _Making] = {}
_typed: OrderedDict[tuple[str, int, int], _Typed] = OrderedDict()
_throttle = Throttle(time.monotonic)


@contextlib.contextmanager
def opened(visit: Visit, storage: str) -> Iterator[Inside]:
    """Open the archive of the backup of a visit's path.

    Raises:
        BeingMadeError: that takes longer than a page may.
        WrongPasswordError: it needs a password, or another one.
        BackstayError: it cannot be looked into.
    """
    installation, number = visit.installation, visit.number()
    backup = get_backup(installation, number)
    typed = _remembered(visit, number)
    if typed is None:
        if not is_ready(installation, backup, storage):
            _made(installation, number, storage)
        with look_inside(installation, number, storage=storage) as inside:
            yield inside
        return
    if typed.making is None:
        typed.making = _begin(lambda one: _make_typed(installation, number, storage, typed.password, one))
        _forget_oldest()
    index = _waited(typed.making).index
    with look_inside(installation, number, storage=storage, password=typed.password, index=index) as inside:
        yield inside


def _made(installation: Installation, number: int, storage: str) -> None:
    key = (str(installation.home.path), number, storage)
    with _lock:
        making = _makings.get(key)
        if making is None:
            making = _makings[key] = _begin(lambda one: _make(installation, number, storage, one))
    try:
        _waited(making)
    finally:
        if making.ended.is_set():
            with _lock:
                _makings.pop(key, None)


def _begin(make: Callable[[_Making], None]) -> _Making:
    making = _Making()

    def run() -> None:
        try:
            with _one_at_a_time:
                make(making)
        except BackstayError as error:
            making.error = error
        finally:
            making.ended.set()

    threading.Thread(target=run, name="backstay-index", daemon=True).start()
    return making


def _waited(making: _Making) -> _Making:
    if not making.ended.wait(_PATIENCE_SECONDS):
        raise BeingMadeError(making.count)
    if making.error is not None:
        raise making.error
    return making


def _make(installation: Installation, number: int, storage: str, making: _Making) -> None:
    with look_inside(installation, number, storage=storage, on_count=_counting(making)):
        pass


def _make_typed(installation: Installation, number: int, storage: str, password: str, making: _Making) -> None:
    making.index = remembered_index(installation, number, storage, password, _counting(making))


def _counting(making: _Making) -> Callable[[int], None]:
    def count(entries: int) -> None:
        making.count = entries

    return count


def _remembered(visit: Visit, number: int) -> _Typed | None:
    if visit.session is None:
        return None
    now = time.monotonic()
    with _lock:
        for old in [old for old, one in _typed.items() if one.until < now]:
            del _typed[old]
        key = (str(visit.installation.home.path), visit.session.id, number)
        found = _typed.get(key)
        if found is not None:
            found.until = now + _REMEMBERED_SECONDS
            _typed.move_to_end(key)
        return found


def _forget_oldest() -> None:
    with _lock:
        held = [one for one in _typed.values() if one.making is not None]
        for one in held[:-_MOST_IN_MEMORY]:
            one.making = None


def looking(handler: Callable[[Visit, Inside], Response]) -> Callable[[Visit], Response]:
    """Return a page's handler that gets the archive opened, and asks for what that needs."""

    def answer(visit: Visit) -> Response:
        return asking(visit, lambda: _within(visit, handler))

    return answer


def _within(visit: Visit, handler: Callable[[Visit, Inside], Response]) -> Response:
    with opened(visit, visit.asked("storage")) as inside:
        return handler(visit, inside)


def asking(visit: Visit, answer: Callable[[], Response]) -> Response:
    """Return an answer; or the page that waits for the archive's list, or asks for its password."""
    try:
        return answer()
    except BeingMadeError as waiting:
        return visit.page("files/making.html", number=visit.number(), count=waiting.count)
    except WrongPasswordError:
        return _ask(visit, visit.asked("storage"), visit.asked("path"), "", 403)


def _ask(visit: Visit, storage: str, path: str, problem: str, status: int) -> Response:
    return visit.page("files/password.html", status, number=visit.number(), storage=storage, path=path, problem=problem)


def _unlock(visit: Visit) -> Response:
    number, storage, path = visit.number(), visit.field("storage"), visit.field("path")
    password = visit.field("password")
    get_backup(visit.installation, number)
    if not password or _throttle.is_flooding(visit.address):
        return _ask(visit, storage, path, "Type the password of the archive.", 400)
    try:
        open_backup(visit.installation, number, storage, password).close()
    except WrongPasswordError:
        time.sleep(_throttle.delay_after_failure(visit.address))
        return _ask(visit, storage, path, "The password does not open this archive: try another.", 403)
    _throttle.forget(visit.address)
    if visit.session is not None:
        with _lock:
            _typed[str(visit.installation.home.path), visit.session.id, number] = _Typed(
                password, time.monotonic() + _REMEMBERED_SECONDS
            )
            while len(_typed) > _MOST_REMEMBERED:
                _typed.popitem(last=False)
    return visit.redirect(visit.to(f"/backups/{number}/files", path=quoted(unquoted(path)), storage=storage))


ROUTES = (PageRoute("POST", "/backups/{number:int}/files/unlock", Role.VIEWER, _unlock, bound="backup"),)
