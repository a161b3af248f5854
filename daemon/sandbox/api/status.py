"""Status bodies: what the API answers when it refuses, worded as the real one words it.

Every refusal inside the API server is a `StatusError`; only the HTTP layer turns it into bytes.
"""

from collections.abc import Iterable
from typing import Any

from daemon.ports import Obj

_CODES = {
    "BadRequest": 400,
    "Unauthorized": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "MethodNotAllowed": 405,
    "NotAcceptable": 406,
    "AlreadyExists": 409,
    "Conflict": 409,
    "Expired": 410,
    "Gone": 410,
    "RequestEntityTooLarge": 413,
    "UnsupportedMediaType": 415,
    "Invalid": 422,
    "TooManyRequests": 429,
    "InternalError": 500,
    "ServiceUnavailable": 503,
    "Timeout": 504,
}


class StatusError(Exception):
    """A refusal.

    Attributes:
        reason: CamelCase word of the API; fixes the HTTP code.
        details: body of `details`, or None to leave it out.
        retry_after: seconds for the Retry-After header, or None.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        details: dict[str, Any] | None = None,
        *,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after = retry_after

    @property
    def code(self) -> int:
        """HTTP code."""
        return _CODES[self.reason]

    def body(self) -> Obj:
        """The Status object."""
        body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details is not None:
            body["details"] = self.details
        return body | {"code": self.code}


def success(group: str, plural: str, name: str, uid: str) -> Obj:
    """Body of a DELETE that removed the object at once."""
    details = {"name": name, "kind": plural, "uid": uid}
    if group:
        details["group"] = group
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }


def qualified(group: str, plural: str) -> str:
    """`deployments.apps`, or `pods` of the core group."""
    return f"{plural}.{group}" if group else plural


def _details(group: str, plural: str, name: str) -> dict[str, Any]:
    details = {"name": name, "group": group, "kind": plural}
    return {key: value for key, value in details.items() if value}


def not_found(group: str, plural: str, name: str) -> StatusError:
    """404 of an object."""
    message = f'{qualified(group, plural)} "{name}" not found'
    return StatusError("NotFound", message, _details(group, plural, name))


def no_such_resource() -> StatusError:
    """404 of a path."""
    return StatusError("NotFound", "the server could not find the requested resource", {})


def already_exists(group: str, plural: str, name: str) -> StatusError:
    """409 of a create."""
    message = f'{qualified(group, plural)} "{name}" already exists'
    return StatusError("AlreadyExists", message, _details(group, plural, name))


MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def conflict(group: str, plural: str, name: str, why: str = MODIFIED) -> StatusError:
    """409 of a stale resourceVersion or of a precondition."""
    message = f'Operation cannot be fulfilled on {qualified(group, plural)} "{name}": {why}'
    return StatusError("Conflict", message, _details(group, plural, name))


Cause = tuple[str, str, str]
"""(reason, message, field), e.g. ("FieldValueInvalid", 'Invalid value: "x": must …', "spec.x")."""


def wrong_uid(group: str, plural: str, name: str, wanted: str, found: str) -> StatusError:
    """409 of a uid precondition."""
    why = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    return conflict(group, plural, name, why)


def wrong_name(name: str, wanted: str) -> StatusError:
    """400 of a body that names another object than the URL."""
    return bad_request(
        f"the name of the object ({name}) does not match the name on the URL ({wanted})"
    )


def invalid(group: str, kind: str, name: str, causes: Iterable[Cause]) -> StatusError:
    """422 with the fields that were refused. `kind` is the CamelCase kind, or "" for a patch."""
    listed = list(causes)
    texts = [f"{field}: {message}" for _, message, field in listed]
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = _details(group, kind, name)
    details["causes"] = [
        {"reason": reason, "message": message, "field": field} for reason, message, field in listed
    ]
    return StatusError(
        "Invalid", f'{qualified(group, kind)} "{name}" is invalid: {joined}', details
    )


def rejected_patch() -> StatusError:
    """422 of a JSON Patch that cannot be applied; the real API server says no more than this."""
    return StatusError(
        "Invalid", "the server rejected our request due to an error in our request", {}
    )


def bad_request(message: str) -> StatusError:
    """400."""
    return StatusError("BadRequest", message)


def expired(message: str) -> StatusError:
    """410 of a resourceVersion or continue token that is no longer known."""
    return StatusError("Expired", message)


def forbidden(group: str, plural: str, name: str, why: str) -> StatusError:
    """403 of RBAC or of admission."""
    object_name = f' "{name}"' if name else ""
    message = f"{qualified(group, plural)}{object_name} is forbidden: {why}"
    return StatusError("Forbidden", message, _details(group, plural, name))
