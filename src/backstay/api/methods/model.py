"""What a row of the method table holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, model_validator

from backstay.api.status import ApiError

CURRENT_LEVEL = 400
"""The API level that Backstay reports unless a setting says otherwise."""


class Scope(StrEnum):
    """A privilege that a token may carry; each method needs one, and the page of that name ``metrics``."""

    READ = "read"
    BACKUP = "backup"
    DOWNLOAD = "download"
    DELETE = "delete"
    CONFIGURE = "configure"
    METRICS = "metrics"


class Parameters(BaseModel):
    """Base of all parameter models: made from anything, never failing.

    Unknown parameters are ignored, null counts as missing, and a value that cannot be converted becomes the neutral
    one of its type (api-methods.md, general rules).
    """

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _only_named(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return {}
        return {name: value for name, value in data.items() if isinstance(name, str) and value is not None}


class NoParameters(Parameters):
    """A method without parameters."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A documented way for a method to fail.

    Attributes:
        status: status of the reply.
        message: its message; ``{}`` stands for what is named.
        when: when it happens, half a sentence.
    """

    status: int
    message: str
    when: str

    def error(self, *named: object) -> ApiError:
        """The error to raise, with what is named filled in."""
        return ApiError(self.status, self.message.format(*named) if named else self.message)


P = TypeVar("P", bound=Parameters)
R = TypeVar("R")


@dataclass(frozen=True)
class Method(Generic[P, R]):
    """One method of the API: everything that the server, the client and the reference page know about it.

    Attributes:
        name: name as documented; matched without regard to case.
        summary: what it does, one sentence.
        parameters: model of its parameters.
        reply_type: type of its reply; ``bytes`` for a method that answers with a file.
        scope: privilege it needs; None: any caller who is known.
        first_level: API level that introduced it.
        last_level: last API level that answers it; None: it is still answered.
        offered: whether Backstay answers it at all.
        changes: API level and what changed then.
        failures: documented failures beside those that every call may meet.
        example: parameters for an example call.
        example_reply: what such a call answers, as JSON values.
        repeatable: whether a call whose answer was lost may be made again without harm.
    """

    name: str
    summary: str
    parameters: type[P]
    reply_type: Any
    scope: Scope | None
    first_level: int = 300
    last_level: int | None = None
    offered: bool = True
    changes: tuple[tuple[int, str], ...] = ()
    failures: tuple[Failure, ...] = ()
    example: Mapping[str, Any] = field(default_factory=dict)
    example_reply: Any = None
    repeatable: bool = True
    reply: TypeAdapter[R] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reply", TypeAdapter(self.reply_type))

    def answers_at(self, level: int) -> bool:
        """Whether a server that reports this API level answers the method; otherwise it says 501."""
        return self.offered and self.first_level <= level and (self.last_level is None or level <= self.last_level)

    def read_parameters(self, data: object) -> P:
        """The typed parameters from whatever arrived; never fails."""
        return self.parameters.model_validate(data)

    def read_reply(self, data: Any) -> R:
        """The typed reply from decoded JSON.

        Raises:
            pydantic.ValidationError: the reply has another shape altogether.
        """
        return self.reply.validate_python(data)

    def scopes_for(self, parameters: Parameters) -> frozenset[Scope]:
        """The privileges that a call with these parameters needs.

        ``overrides`` may set any configuration key, so a backup that carries some needs ``configure`` as well: with a
        token for backups nobody makes the server read a foreign file.
        """
        needed = frozenset({self.scope} if self.scope else ())
        if getattr(parameters, "overrides", None):
            return needed | {Scope.CONFIGURE}
        return needed
