"""Server-Sent Events: the progress of backups and tasks, sent to all who watch (HTML Living Standard, section 9.2).

What is watched is looked at by one watcher, however many watch it, as long as somebody does. A look costs reading the
status of one small file; only what has changed is sent, and of that only the newest to a browser that reads slowly.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import anyio
import anyio.to_thread
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from backstay.downloads.local_parts import until_gone
from backstay.errors import BackstayError, NotFoundError
from backstay.jobs import report
from backstay.jobs.current import current_overview
from backstay.jobs.installation import Installation
from backstay.jobs.tasks import find_task, list_tasks, task_progress
from backstay.jobs.users import session_idle
from backstay.jobs.watching import view_backup, view_of
from backstay.web.progress import Pace, of_backup, of_task

Subject = tuple[str, int]
"""What is watched: ``("backup", 12)``, ``("task", 3)``, ``("running", 0)``: which backups and tasks there are, or
``("overview", 0)``: how all profiles stand."""

MOST_STREAMS: Final = 200
MOST_OF_SESSION: Final = 20
MOST_SUBJECTS: Final = 20
_LOOK_SECONDS: Final = 0.4
_RECORD_SECONDS: Final = 1.0
"""A record is asked for so often where its progress stands still: it may have ended, or its process died."""
_SESSION_SECONDS: Final = 3.0
_HEARTBEAT_SECONDS: Final = 15.0
"""Proxies close connections on which nothing comes."""
_RETRY_MILLISECONDS: Final = 2000
_THREADS: Final = 4
_LAST_WORDS_SECONDS: Final = 1.0


class Streams:
    """All streams of one server, and what they watch; lives in the event loop.

    Args:
        installation: whose.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._limiter = anyio.CapacityLimiter(_THREADS)
        self._watchers: dict[Subject, _Watcher] = {}
        self._open: set[_Stream] = set()
        self._guard: asyncio.Task[None] | None = None
        self._ended = False

    def admits(self, session_id: int) -> bool:
        """Return whether one more stream of a session may begin."""
        of_session = Counter(stream.session_id for stream in self._open)[session_id]
        return not self._ended and len(self._open) < MOST_STREAMS and of_session < MOST_OF_SESSION

    def begin(self, stream: _Stream) -> None:
        """Let a stream hear of its subjects from now on."""
        self._open.add(stream)
        for subject in stream.subjects:
            watcher = self._watchers.get(subject)
            if watcher is None:
                look = _look(self._installation, subject)
                watcher = self._watchers[subject] = _Watcher(subject, look, self._limiter)
            watcher.add(stream)
        if self._guard is None:
            self._guard = asyncio.create_task(self._guarding())

    def leave(self, stream: _Stream) -> None:
        """Forget a stream; what nobody watches any more is not looked at."""
        self._open.discard(stream)
        for subject in stream.subjects:
            watcher = self._watchers[subject]
            if watcher.remove(stream):
                del self._watchers[subject]
        if not self._open and self._guard is not None:
            self._guard.cancel()
            self._guard = None

    def end(self) -> None:
        """End all streams, and take no more: the server ends."""
        self._ended = True
        for stream in self._open:
            stream.end()

    async def _guarding(self) -> None:
        """End the streams of sessions that have ended: one question for all of them."""
        while True:
            await asyncio.sleep(_SESSION_SECONDS)
            asked = {stream.session_id for stream in self._open}
            try:
                living = await anyio.to_thread.run_sync(self._living, asked, limiter=self._limiter)
            except BackstayError:
                # Nobody sees more where it is not known whether they may.
                living = set()
            for stream in self._open:
                if stream.session_id in asked - living:
                    stream.end()

    def _living(self, asked: set[int]) -> set[int]:
        return self._installation.catalogue.sessions.living(asked, datetime.now(UTC), session_idle(self._installation))


class _Watcher:
    """Looks at one subject again and again, and tells the streams when it has changed."""

    def __init__(self, subject: Subject, look: Callable[[], str | None], limiter: anyio.CapacityLimiter) -> None:
        self._subject = subject
        self._look = look
        self._limiter = limiter
        self._streams: set[_Stream] = set()
        self._latest = ""
        self._task = asyncio.create_task(self._watching())

    def add(self, stream: _Stream) -> None:
        self._streams.add(stream)
        if self._latest:
            stream.hear(self._subject, self._latest)

    def remove(self, stream: _Stream) -> bool:
        """Forget a stream; return whether none is left."""
        self._streams.discard(stream)
        if not self._streams:
            self._task.cancel()
        return not self._streams

    async def _watching(self) -> None:
        while True:
            # A catalogue that does not answer now may do so at the next look.
            with contextlib.suppress(BackstayError, OSError):
                found = await anyio.to_thread.run_sync(self._look, limiter=self._limiter)
                if found is not None and found != self._latest:
                    self._latest = found
                    for stream in self._streams:
                        stream.hear(self._subject, found)
            await asyncio.sleep(_LOOK_SECONDS)


class _Stream:
    """What one browser is still to be sent."""

    def __init__(self, subjects: Sequence[Subject], session_id: int) -> None:
        self.subjects = tuple(dict.fromkeys(subjects))
        self.session_id = session_id
        self.writing: asyncio.Task[None] | None = None
        self._news: dict[Subject, str] = {}
        self._wake = asyncio.Event()
        self._ending = False

    def hear(self, subject: Subject, text: str) -> None:
        self._news[subject] = text
        self._wake.set()

    def end(self) -> None:
        """End: at once, or within a second where the browser does not read."""
        self._ending = True
        self._wake.set()
        if self.writing is not None:
            asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, self.writing.cancel)

    async def write(self, send: Send) -> None:
        """Send what is heard until the stream ends."""
        await _send(send, f"retry: {_RETRY_MILLISECONDS}\n\n")
        while not self._ending:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _HEARTBEAT_SECONDS)
            self._wake.clear()
            news, self._news = self._news, {}
            events = [f"event: {kind}\ndata: {text}\n\n" for (kind, _number), text in news.items()]
            if not self._ending:
                await _send(send, "".join(events) or ":\n\n")
        await send({"type": "http.response.body", "body": b""})


class EventStream(Response):
    """An answer that goes on until the browser, the session or the server ends.

    Args:
        streams: of the server.
        subjects: what is watched.
        session_id: of whom.
    """

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, subjects: Sequence[Subject], session_id: int) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams = streams
        self._subjects = subjects
        self._session_id = session_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events."""
        if not self._streams.admits(self._session_id):
            busy = PlainTextResponse("Too many streams of events are open: close some windows.\n", 503)
            busy.headers["Retry-After"] = "15"
            await busy(scope, receive, send)
            return
        stream = _Stream(self._subjects, self._session_id)
        gone = asyncio.create_task(until_gone(receive))
        self._streams.begin(stream)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            stream.writing = asyncio.create_task(stream.write(send))
            await asyncio.wait([stream.writing, gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._streams.leave(stream)
            gone.cancel()
            if stream.writing is not None:
                stream.writing.cancel()
                await asyncio.gather(stream.writing, return_exceptions=True)


async def _send(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


def _look(installation: Installation, subject: Subject) -> Callable[[], str | None]:
    """Return the function that looks at a subject: it gives the JSON of its state, or None where nothing is new."""
    kind, number = subject
    pace, looked_at, version, over = Pace(), 0.0, (0, 0), False
    folder = installation.home.job(number) if kind == "backup" else installation.home.task(number)
    describe = {"backup": _backup, "task": _task, "running": _running, "overview": _overview}[kind]

    def look() -> str | None:
        nonlocal looked_at, version, over
        found, now = report.version(folder), time.monotonic()
        if over or (found == version and now - looked_at < _RECORD_SECONDS):
            return None
        version, looked_at = found, now
        try:
            values = describe(installation, number, pace, now)
        except NotFoundError:
            values = {"kind": kind, "id": number, "state": "gone", "over": True, "percent": None, "texts": {}}
        over = values["over"]
        return json.dumps(values)

    return look


def _backup(installation: Installation, number: int, pace: Pace, now: float) -> dict[str, Any]:
    view = view_backup(installation, number)
    pace.add(now, view.progress.bytes_read)
    return of_backup(view, pace.speed())


def _task(installation: Installation, number: int, pace: Pace, now: float) -> dict[str, Any]:
    task, progress = find_task(installation, number), task_progress(installation, number)
    pace.add(now, progress.done if progress else 0)
    return of_task(task, progress, pace.speed())


def _running(installation: Installation, _number: int, _pace: Pace, _now: float) -> dict[str, Any]:
    """Return which backups and tasks have not ended, and how far the backups are."""
    backups = [view_of(installation, one) for one in installation.catalogue.backups.newest(0, 100, status="run")]
    tasks = list_tasks(installation, 0, 100, state="running")
    shown = [{"id": one.id, "profile": one.profile_id, "state": one.state, "percent": one.percent} for one in backups]
    return {"backups": shown, "tasks": [task.id for task in tasks], "over": False}


def _overview(installation: Installation, _number: int, _pace: Pace, _now: float) -> dict[str, Any]:
    """Return a number that changes with what an overview shows."""
    return {"version": current_overview(installation).version, "over": False}
