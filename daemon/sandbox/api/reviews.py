"""The kinds that are questions: access reviews, token reviews, and "who am I"."""

from collections.abc import Mapping
from typing import Any

from daemon.ports import Obj
from daemon.sandbox.api.rbac import Person, Rbac, person_of, question_of
from daemon.sandbox.api.resources import Kind
from daemon.sandbox.api.status import bad_request


class Reviews:
    """Answers reviews.

    Args:
        tokens: bearer token -> user; empty: everybody may do everything.
    """

    def __init__(self, rbac: Rbac, tokens: Mapping[str, str], admins: frozenset[str]) -> None:
        self._rbac = rbac
        self._tokens = tokens
        self._admins = admins

    def answer(self, kind: Kind, body: Any, person: Person) -> Obj:
        """The review with its status filled in.

        Raises:
            StatusError: 400, it is none.
        """
        if not isinstance(body, dict) or body.get("kind", kind.kind) != kind.kind:
            raise bad_request(f"the object is no {kind.kind}")
        spec = body.get("spec") or {}
        if kind.kind == "TokenReview":
            status = self._token(str(spec.get("token", "")))
        elif kind.kind == "SelfSubjectReview":
            status = {"userInfo": _info(person)}
        elif kind.kind == "SubjectAccessReview":
            groups = tuple(spec.get("groups") or ())
            known = person_of(str(spec.get("user", "")), self._admins)
            status = self._access(Person(known.user, known.groups + groups), spec)
        else:
            status = self._access(person, spec)
        return {
            "kind": kind.kind,
            "apiVersion": kind.storage,
            "metadata": {"creationTimestamp": None},
            "spec": spec,
            "status": status,
        }

    def _access(self, person: Person, spec: Mapping[str, Any]) -> Obj:
        allowed = not self._tokens or self._rbac.allows(person, question_of(spec))
        return {"allowed": allowed, "reason": "RBAC: allowed" if allowed else ""}

    def _token(self, token: str) -> Obj:
        user = self._tokens.get(token)
        if user is None:
            return {"user": {}, "error": "[invalid bearer token]"}
        return {"authenticated": True, "user": _info(person_of(user, self._admins))}


def _info(person: Person) -> Obj:
    return {"username": person.user, "groups": list(person.groups)}
