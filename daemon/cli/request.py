"""Write a request where the daemon reads it: one annotation on a Deployment of the target.

Invariants: the patch tests what was read, so nobody's request is overwritten unseen; an abort that
was not handled yet is overwritten by an abort only; the id's time is the API server's.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from daemon.cli.exits import Failure
from daemon.cli.find import Found, list_all
from daemon.cli.session import Session
from daemon.core.model import Record, Request, TargetKey, Verb
from daemon.core.record import MAX_BY_BYTES, cut, format_time
from daemon.core.requests import REQUEST_ANNOTATION, parse_request, request_time
from daemon.errors import ConflictError, InvalidError
from daemon.kube.objects import DEPLOYMENTS
from daemon.kube.patch import encode, expect_annotation, set_annotation
from daemon.ports import Obj

ATTEMPTS: Final = 5
"""Somebody else may write the annotation between our read and our patch, but not five times."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for, before it has an id."""

    verb: Verb
    reason: str = ""
    version: str | None = None
    skip: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """A request that stands on a Deployment. `asked_at` is the API server's time."""

    id: str
    deployment: str
    asked_at: datetime


async def write_request(
    session: Session, found: Found, wish: Wish, *, dry_run: bool = False
) -> Written:
    """Put the request on the canary's, else stable's Deployment.

    Raises:
        Failure: no such Deployment, or an unhandled abort stands there.
        CrossfadeError: the API refused.
    """
    for _ in range(ATTEMPTS):
        deployment = choose_deployment(await _deployments(session, found.key), found)
        metadata = deployment["metadata"]
        standing = (metadata.get("annotations") or {}).get(REQUEST_ANNOTATION)
        now = session.now()
        _never_over_an_abort(standing, found.known, wish, now)
        asked_at = _after(standing, now)
        request_id = f"{format_time(asked_at)}-{secrets.token_hex(2)}"
        patch = [
            expect_annotation(deployment, REQUEST_ANNOTATION),
            set_annotation(
                deployment, REQUEST_ANNOTATION, _text(request_id, wish, found, session.user)
            ),
        ]
        try:
            await session.cluster.json_patch(
                DEPLOYMENTS, found.key.namespace, metadata["name"], encode(patch), dry_run=dry_run
            )
        except (InvalidError, ConflictError) as problem:
            lost_race = problem
        else:
            return Written(request_id, metadata["name"], now)
    raise lost_race


async def _deployments(session: Session, key: TargetKey) -> list[Obj]:
    return await list_all(session.cluster, DEPLOYMENTS, key.namespace)


def choose_deployment(deployments: Sequence[Obj], found: Found) -> Obj:
    """Return the canary's Deployment, else stable's, of those that the record names.

    Raises:
        Failure: none of them exists.
    """
    record = found.known
    names = record.deployments if record else ()
    there = [it for it in deployments if it["metadata"]["name"] in names]
    label = found.evidence.version_label if found.evidence else "version"
    for version in (record.canary, record.stable) if record else ():
        for deployment in there:
            if version is not None and _version(deployment, label) == version:
                return deployment
    if there:
        return there[0]
    named = ", ".join(names) or "none"
    raise Failure(
        f"{found.key}: none of the Deployments that its record names is there ({named}); "
        f"annotate one of its Deployments: kubectl annotate -n {found.key.namespace} "
        f"deployment NAME {REQUEST_ANNOTATION}=VERB"
    )


def _version(deployment: Obj, label: str) -> Any:
    template = deployment.get("spec", {}).get("template", {}).get("metadata", {})
    return (template.get("labels") or {}).get(label)


def _never_over_an_abort(
    standing: str | None, record: Record | None, wish: Wish, now: datetime
) -> None:
    """Refuse to hide an abort that the daemon has not answered yet."""
    if wish.verb is Verb.ABORT or standing is None:
        return
    there = parse_request(standing, now)
    if not isinstance(there, Request) or there.verb is not Verb.ABORT:
        return
    handled = record is not None and there.id in record.handled
    elsewhere = record is not None and there.rollout not in (None, record.id)
    if not handled and not elsewhere:
        by = f" by {there.by}" if there.by else ""
        raise Failure(
            f"an abort{by} waits to be obeyed ({there.id}); {wish.verb} was not written over it"
        )


def _after(standing: str | None, now: datetime) -> datetime:
    """Make the newer request win although the server's clock shows whole seconds."""
    there = parse_request(standing, now) if standing is not None else None
    earlier = request_time(there.id) if isinstance(there, Request) else None
    if earlier is None or earlier < now:
        return now
    return earlier + timedelta(milliseconds=1)


def _text(request_id: str, wish: Wish, found: Found, user: str) -> str:
    """Return the annotation's text. It names the rollout, so that it can never hit a later one."""
    members: dict[str, Any] = {"id": request_id, "verb": str(wish.verb)}
    if found.known is not None and found.record is not None:
        members["rollout"] = found.known.id
    optional = {
        "version": wish.version,
        "by": cut(user, MAX_BY_BYTES),
        "reason": cut(wish.reason),
        "skip": list(wish.skip),
    }
    return json.dumps(members | {key: value for key, value in optional.items() if value})
