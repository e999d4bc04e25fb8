"""Every error that afkit raises, in one tree.

::

    AfkitError
    ├── FacilityError             the facility file is wrong            the administrator mends it
    ├── CallError                 a command was called wrongly          whoever typed it types it anew
    ├── RequestError              what was asked for is refused         the analyst asks for something else
    │   ├── MalformedError            it is no choice at all            reason ``malformed``
    │   ├── UnknownOptionError        there is no such option           reason ``unknown-option``
    │   ├── UnknownChoiceError        there is no such choice           reason ``unknown-choice``
    │   ├── NotEntitledError          it is not granted to this person  reason ``not-entitled``
    │   ├── IncompatibleError         the parts do not fit together     reason ``incompatible``
    │   ├── LimitExceededError        more than the limits leave        reason ``limit-exceeded``
    │   └── NoCapacityError           nothing can run it now            reason ``no-capacity``
    ├── IdentityError             who this is cannot be established     the person logs in again, or the provider is mended
    └── PlatformError             the platform failed                   the administrator looks
        ├── KubernetesError           an answer of the API server
        ├── DeadlineError             something took too long
        ├── ProviderError             an OpenID provider does not answer as it should
        └── DaskStartError            a Dask cluster did not start

Every error has a sentence (``message``) for the person who is at fault, and a ``hint`` that says what to do instead
(it may be empty). Errors of other packages never cross a package border: they are chained as the cause.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "AfkitError",
    "CallError",
    "DaskStartError",
    "DeadlineError",
    "FacilityError",
    "IdentityError",
    "IncompatibleError",
    "KubernetesError",
    "LimitExceededError",
    "MalformedError",
    "NoCapacityError",
    "NotEntitledError",
    "PlatformError",
    "Problem",
    "ProviderError",
    "RequestError",
    "UnknownChoiceError",
    "UnknownOptionError",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a facility file.

    ``code`` is stable (``AF101``), ``severity`` is ``error`` or ``warning``, ``line`` and ``column`` count from 1 (0: the
    file as a whole), ``message`` is one sentence, and ``hint`` says what to write instead.
    """

    code: str
    severity: str
    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """``FILE:LINE:COL: CODE message``, and the hint on a line of its own."""
        head = f"{self.file}:{self.line}:{self.column}: {self.code} {self.message}"
        return f"{head}\n    {self.hint}" if self.hint else head


class AfkitError(Exception):
    """Base of all errors of afkit.

    ``message`` is one sentence, ``hint`` what to do instead (may be empty). ``exit_code`` is that of the command line.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """The sentence, followed by the hint where there is one."""
        return f"{self.message} {self.hint}" if self.hint else self.message


class FacilityError(AfkitError):
    """A facility file has errors. ``problems`` has all of them (warnings too), in the order of the file."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        errors = sum(problem.severity == "error" for problem in self.problems)
        first = next((problem for problem in self.problems if problem.severity == "error"), None)
        file = first.file if first else "The facility file"
        super().__init__(
            f"{file} has {errors} error{'' if errors == 1 else 's'}.",
            "\n".join(str(problem) for problem in self.problems),
        )

    def __str__(self) -> str:
        """The count, then every problem on lines of its own."""
        return f"{self.message}\n{self.hint}"


class CallError(AfkitError):
    """A command of afkit was called wrongly: an argument that means nothing here."""

    exit_code = 2


class RequestError(AfkitError):
    """What a person asked for is refused.

    ``reason`` is the stable code, ``field`` the key of ``user_options`` that is at fault (empty: the whole), ``rule`` the
    path of the facility file's value that decided (empty: none did). Safe to show to the person who asked.
    """

    exit_code = 1
    reason: ClassVar[str] = "malformed"

    def __init__(self, message: str, hint: str = "", *, field: str = "", rule: tuple[str | int, ...] = ()) -> None:
        super().__init__(message, hint)
        self.field = field
        self.rule = rule


class MalformedError(RequestError):
    """What was sent is no choice at all: not an object, of a wrong type, too large, not text."""

    reason = "malformed"


class UnknownOptionError(RequestError):
    """A key that is no option of the profile."""

    reason = "unknown-option"


class UnknownChoiceError(RequestError):
    """A name that does not exist for this person; the hint has near matches among what they may see."""

    reason = "unknown-choice"


class NotEntitledError(RequestError):
    """An advertised choice that this person may not have, or a person who may have nothing at all."""

    reason = "not-entitled"


class IncompatibleError(RequestError):
    """Choices that exist and are granted but do not fit together."""

    reason = "incompatible"


class LimitExceededError(RequestError):
    """More than this person's limits leave; the hint says what is left."""

    reason = "limit-exceeded"


class NoCapacityError(RequestError):
    """Granted and possible, but nothing that exists now can run it."""

    reason = "no-capacity"


class IdentityError(AfkitError):
    """Who a person is cannot be established, or the rules of the facility refuse them.

    ``reason`` is a stable word; those of claims are `afkit.policy.claims.REASONS`.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "", *, reason: str = "refused") -> None:
        super().__init__(message, hint)
        self.reason = reason


class PlatformError(AfkitError):
    """The platform below failed; the person who asked did nothing wrong."""


class KubernetesError(PlatformError):
    """An answer of the Kubernetes API server that is no success.

    ``status`` is the HTTP status (0: no answer), ``reason`` Kubernetes' own word, ``kind``, ``namespace`` and ``name`` the object.
    """

    def __init__(
        self, message: str, hint: str = "", *, status: int = 0, reason: str = "", kind: str = "", namespace: str = "", name: str = ""
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.reason = reason
        self.kind = kind
        self.namespace = namespace
        self.name = name


class DeadlineError(PlatformError):
    """Something did not happen within its time; the message says what was waited for."""


class ProviderError(PlatformError):
    """An OpenID provider is away, or its answer is not what it should be. The answer is never repeated."""


class DaskStartError(PlatformError):
    """A Dask cluster did not start; the message names the cause, the hint what to try."""
