"""One HTTP request to an address that a person chose: bounded in time and size, and never shown in a log."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

from backstay.errors import ConnectionFailedError
from backstay.notifications.address import Address, blanked
from backstay.version import __version__

CONNECT_SECONDS: Final = 10.0
ALL_SECONDS: Final = 30.0
_LOGGERS = ("httpx2", *(f"httpcore2.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")))
_silent: ContextVar[bool] = ContextVar("silent", default=False)


class _Silent(logging.Filter):
    """Drops what the HTTP library logs of requests of this module: the path of a URL is a secret here."""

    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return not _silent.get()


def post(address: Address, url: str, content: bytes, headers: Mapping[str, str]) -> None:
    """Send one POST request; return if the answer's status is 2xx.

    Redirects are not followed: a receiver must not choose where a request from this machine goes. Of the answer
    nothing but the status is read.

    Args:
        address: whose it is, for what is shown.
        url: where it goes, with its secrets.
        content: the body.
        headers: of the request.

    Raises:
        ConnectionFailedError: no answer in 30 seconds, or another status. The sentence holds no secret.
    """
    import asyncio

    _keep_out_of_logs()
    token = _silent.set(True)
    try:
        status = asyncio.run(_status(url, content, {"User-Agent": f"Backstay/{__version__}", **headers}))
    except TimeoutError:
        raise ConnectionFailedError(
            f"{address.shown} did not answer within {ALL_SECONDS:.0f} seconds: check that it is up."
        ) from None
    except _Unreachable as problem:
        reason = blanked(str(problem), address).rstrip(".")
        raise ConnectionFailedError(f"{address.shown} can't be reached: {reason}.") from None
    finally:
        _silent.reset(token)
    if 300 <= status < 400:
        raise ConnectionFailedError(
            f"{address.shown} answered with a redirect (HTTP {status}), which is not followed: give the final address."
        )
    if not 200 <= status < 300:
        raise ConnectionFailedError(f"{address.shown} answered HTTP {status}: check its address and what it expects.")


class _Unreachable(Exception):  # noqa: N818 - not an error that anybody meets
    """The request was not answered."""


async def _status(url: str, content: bytes, headers: Mapping[str, str]) -> int:
    # Imported here, as above: most processes send nothing, and it is slow.
    import asyncio

    import httpx2

    limits = httpx2.Timeout(ALL_SECONDS, connect=CONNECT_SECONDS)
    try:
        async with (
            asyncio.timeout(ALL_SECONDS),
            httpx2.AsyncClient(timeout=limits, follow_redirects=False) as client,
            client.stream("POST", url, content=content, headers=dict(headers)) as answer,
        ):
            return answer.status_code
    except (httpx2.TimeoutException, TimeoutError):
        raise TimeoutError from None
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError) as error:
        raise _Unreachable(_reason(error)) from None


def _reason(error: BaseException) -> str:
    """Return what the system said first of all, where the library only says that every attempt failed."""
    deepest: BaseException | None = error
    while deepest is not None:
        if isinstance(deepest, OSError) and deepest.errno:
            return os.strerror(deepest.errno) if deepest.errno > 0 else str(deepest.strerror)
        following = deepest.__cause__ or deepest.__context__
        deepest = following.exceptions[0] if isinstance(following, BaseExceptionGroup) else following
    return str(error) or type(error).__name__


def _keep_out_of_logs() -> None:
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(known, _Silent) for known in logger.filters):
            logger.addFilter(_Silent())
