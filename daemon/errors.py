"""What can go wrong outside of us, in one tree.

    CrossfadeError
    ├── TransientError        time-outs, 429, 5xx, connection faults: try again later
    │   └── ConflictError     409: somebody wrote first; read again
    ├── PermanentError        trying again cannot help
    │   ├── NotFoundError     404 of a thing that was asked for by name
    │   ├── ForbiddenError    401, 403: names the missing right
    │   ├── InvalidError      422: a failed `test`, a malformed patch, a refused field
    │   └── GoneError         410: the resourceVersion is too old; list again
    └── LostLeadershipError   another writer owns the record: stop acting now

A user's mistake in the policy is `config.errors.PolicyError`. Missing data is a value, no error.
Adapters translate third-party exceptions into these, chained; nothing else leaves an adapter.
"""


class CrossfadeError(Exception):
    """Root of the tree."""


class TransientError(CrossfadeError):
    """Worth another try.

    Attributes:
        retry_after: seconds the other side asked us to wait, or None.
        sent: whether the request may have taken effect (an answer was lost, or the server failed).
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, sent: bool = True
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.sent = sent


class ConflictError(TransientError):
    """409: the object changed since it was read, or a precondition did not hold."""


class PermanentError(CrossfadeError):
    """Trying again cannot help."""


class NotFoundError(PermanentError):
    """404."""


class ForbiddenError(PermanentError):
    """401 or 403; the message names verb, resource and namespace."""


class InvalidError(PermanentError):
    """422: content refused, or a JSON Patch `test` that did not hold (the API tells no difference).

    Attributes:
        causes: `details.causes[].message`, cut to a line each; empty for a failed `test`.
    """

    def __init__(self, message: str, *, causes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.causes = causes


class GoneError(PermanentError):
    """410: the resourceVersion is too old."""


class LostLeadershipError(CrossfadeError):
    """Another writer with the same or a later epoch wrote the record."""
