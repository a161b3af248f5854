"""RBAC from the Role and binding objects in the store, and the review kinds that ask about it.

Rules are read from the store at each question: a changed Role counts at once.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from daemon.ports import Obj
from daemon.sandbox.api.status import StatusError, forbidden
from daemon.sandbox.api.storage import Key, Storage

_GROUP = "rbac.authorization.k8s.io"
MASTERS = "system:masters"
"""Members of this group may do everything."""


class Question(NamedTuple):
    """May somebody do this? `path` is set instead of a resource for other URLs."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


class Person(NamedTuple):
    """Who asks."""

    user: str
    groups: tuple[str, ...] = ()


def person_of(user: str, admins: frozenset[str]) -> Person:
    """Groups follow from the name, as with token files and service accounts."""
    groups = ["system:authenticated"]
    if user.startswith("system:serviceaccount:"):
        namespace = user.split(":")[2]
        groups += ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    if user in admins:
        groups.append(MASTERS)
    return Person(user, tuple(groups))


class Rbac:
    """Answers questions from the objects in the store."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def allows(self, person: Person, question: Question) -> bool:
        """Whether a rule allows it."""
        if MASTERS in person.groups:
            return True
        if question.path:
            return _is_public(question) or any(
                _path_fits(rule, question) for rule in self._rules(person, "")
            )
        return any(_fits(rule, question) for rule in self._rules(person, question.namespace))

    def _rules(self, person: Person, namespace: str) -> Iterator[Obj]:
        places = [
            ("clusterrolebindings", None),
            *([("rolebindings", namespace)] if namespace else []),
        ]
        for plural, where in places:
            for entry in self._storage.entries(_GROUP, plural, where):
                subjects = entry.obj.get("subjects") or ()
                if any(_is_subject(subject, person, namespace) for subject in subjects):
                    yield from self._role(entry.obj["roleRef"], entry.key.namespace)

    def _role(self, reference: Mapping[str, Any], namespace: str) -> Iterator[Obj]:
        if reference.get("kind") == "ClusterRole":
            key = Key(_GROUP, "clusterroles", "", str(reference.get("name")))
        else:
            key = Key(_GROUP, "roles", namespace, str(reference.get("name")))
        entry = self._storage.get(key)
        yield from (entry.obj.get("rules") or ()) if entry else ()


def _is_subject(subject: Mapping[str, Any], person: Person, namespace: str) -> bool:
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "ServiceAccount":
        home = subject.get("namespace") or namespace
        return person.user == f"system:serviceaccount:{home}:{name}"
    return name in person.groups if kind == "Group" else kind == "User" and name == person.user


def _fits(rule: Mapping[str, Any], question: Question) -> bool:
    wanted = question.resource
    if question.subresource:
        wanted += f"/{question.subresource}"
    resources = rule.get("resources") or ()
    names = rule.get("resourceNames") or ()
    return (
        _has(rule.get("verbs"), question.verb)
        and _has(rule.get("apiGroups"), question.group)
        and (_has(resources, wanted) or f"*/{question.subresource}" in resources)
        and (not names or question.name in names)
    )


def _has(listed: Any, wanted: str) -> bool:
    return bool(listed) and ("*" in listed or wanted in listed)


def _is_public(question: Question) -> bool:
    """Discovery is open to everybody who is known, by the default role system:discovery."""
    first = question.path.strip("/").partition("/")[0]
    return question.verb == "get" and first in {
        "api", "apis", "openapi", "version", "healthz", "livez", "readyz",
    }  # fmt: skip


def _path_fits(rule: Mapping[str, Any], question: Question) -> bool:
    urls = rule.get("nonResourceURLs") or ()
    return _has(rule.get("verbs"), question.verb) and any(
        url in {"*", question.path} or (url.endswith("*") and question.path.startswith(url[:-1]))
        for url in urls
    )


def denial(person: Person, question: Question) -> StatusError:
    """403 as the real one words it."""
    if question.path:
        why = f'User "{person.user}" cannot {question.verb} path "{question.path}"'
        return StatusError("Forbidden", f"forbidden: {why}", {})
    resource = question.resource
    if question.subresource:
        resource += f"/{question.subresource}"
    where = (
        f'in the namespace "{question.namespace}"' if question.namespace else "at the cluster scope"
    )
    why = (
        f'User "{person.user}" cannot {question.verb} resource "{resource}" '
        f'in API group "{question.group}" {where}'
    )
    return forbidden(question.group, question.resource, question.name, why)


def question_of(spec: Mapping[str, Any]) -> Question:
    """The question of an access review's spec."""
    asked = spec.get("resourceAttributes")
    if asked is None:
        other = spec.get("nonResourceAttributes") or {}
        return Question(str(other.get("verb", "")), path=str(other.get("path", "/")))
    return Question(
        verb=asked.get("verb", ""),
        group=asked.get("group", ""),
        resource=asked.get("resource", ""),
        subresource=asked.get("subresource", ""),
        namespace=asked.get("namespace", ""),
        name=asked.get("name", ""),
    )
