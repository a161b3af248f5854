"""What became of a request: wait until the record names it as handled, and say what happened.

The record is the answer; an Event only adds why a request was ignored. Nothing here writes.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import click

from daemon.cli.exits import Exit, Failure
from daemon.cli.find import Found, list_all, read_again
from daemon.cli.request import Wish, Written
from daemon.cli.session import Session
from daemon.cli.text import plain, words
from daemon.core.model import Damaged, Phase, Record, TargetKey, Verb
from daemon.core.reasons import Reason
from daemon.core.record import parse_time
from daemon.core.weights import rest_of
from daemon.errors import ForbiddenError, TransientError
from daemon.kube.objects import EVENTS
from daemon.ports import Obj

POLL_SECONDS: Final = 0.25
EVENT_POLLS: Final = 8
"""The Event follows the record within a second or so; without it the record has to do."""
GOING_BACK: Final = (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
AT_FULL: Final = (Phase.BAKING, Phase.FINALISING, Phase.RETIRING)


def nothing_to_do(found: Found, wish: Wish) -> str | None:
    """Return a sentence where the wish is fulfilled already, None where it has to be written.

    Raises:
        Failure: the wish cannot be fulfilled as things stand.
    """
    match found.record:
        case Damaged(why):
            raise Failure(f"{found.key}: the record on the route {why}; mend it first")
        case None:
            if wish.verb not in (Verb.ABORT, Verb.RESUME):
                raise Failure(f"{found.key}: its record is lost; abort, or resume to go on")
            return None
        case Record() as record:
            return _fulfilled(found.key, record, wish)


def _fulfilled(key: TargetKey, record: Record, wish: Wish) -> str | None:
    match wish.verb, record.phase:
        case Verb.ABORT, Phase.ROLLED_BACK:
            return f"already rolled back: {record.stable} serves everybody"
        case Verb.ABORT, Phase.IDLE:
            raise Failure(
                f"{key}: there is nothing to abort: {record.stable} serves everybody; to go back "
                f"to another version: crossfade retry {key} --version VERSION"
            )
        case Verb.PROMOTE, Phase.BAKING if wish.skip:
            return None  # At 100 % a check can still be skipped.
        case Verb.PROMOTE, Phase.BAKING | Phase.FINALISING | Phase.RETIRING:
            return f"{record.canary} is at 100% already ({words(record.phase)})"
        case Verb.PAUSE, _ if record.paused is not None:
            by = f" by {record.paused.by}" if record.paused.by else ""
            return f"already paused{by}: {record.paused.reason}"
        case _:
            return None


async def wait_for_answer(
    session: Session, found: Found, wish: Wish, written: Written, patience: timedelta
) -> Exit:
    """Wait until the daemon has obeyed or ignored the request; print which.

    Raises:
        Failure: it was ignored, or the time is over.
    """
    clock = session.clock
    begun = clock.monotonic()
    before = found.known
    answered = False
    while clock.monotonic() - begun < patience.total_seconds():
        record = await _record(session, found)
        if record is None or written.id not in record.handled:
            before = record or before
        else:
            if not answered:
                sentence = happened(wish, written, before, record)
                if sentence is None:
                    raise Failure(await _ignored(session, found.key, wish, written, record))
                click.echo(f"{found.key}: {sentence}", nl=False)
            answered = True
            if wish.verb is not Verb.ABORT:
                click.echo()
                return Exit.DONE
            if _is_back(record, before):
                seconds = clock.monotonic() - begun
                click.echo(f" ✔ traffic seen on {record.stable} only ({seconds:.1f} s)")
                return Exit.DONE
        await clock.sleep(POLL_SECONDS)
    if answered:
        click.echo()
    raise Failure(await _too_late(session, found, written, patience), Exit.TIMED_OUT)


async def _record(session: Session, found: Found) -> Record | None:
    try:
        record = (await read_again(session.cluster, replace(found, evidence=None))).record
    except TransientError:  # the time-out bounds how long we go on trying
        return None
    return record if isinstance(record, Record) else None


def _is_back(record: Record, before: Record | None) -> bool:
    """RolledBack is written once the gateway was seen to serve stable alone, never before."""
    another = (
        before is not None and record.id != before.id and record.phase is not (Phase.ROLLING_BACK)
    )
    return record.phase is Phase.ROLLED_BACK or another


def happened(wish: Wish, written: Written, before: Record | None, record: Record) -> str | None:
    """Say what the request did, or None where the record shows no effect of it."""
    match wish.verb:
        case Verb.ABORT:
            if record.phase not in GOING_BACK and (before is None or record.id == before.id):
                return None
            return _fall(before or record, record)
        case Verb.PROMOTE:
            return _promoted(written, before, record)
        case Verb.PAUSE:
            return _paused(record) if record.paused is not None else None
        case Verb.RESUME:
            was_paused = (
                before is None or before.paused is not None or record.decision != before.decision
            )
            if record.paused is not None or not was_paused:
                return None
            return f"resumed ({words(record.phase)}, {record.weight}%)."
        case Verb.RETRY:
            if before is not None and record.id == before.id:
                return None
            return f"{record.canary} is tried again ({words(record.phase)})."


def _fall(before: Record, record: Record) -> str:
    canary = before.canary or record.canary or "the new version"
    if before.weight == 0:
        return f"{canary} stays at 0%, {record.stable} serves everybody."
    return f"{canary} {before.weight}% → 0%, {record.stable} {rest_of(before.weight)}% → 100%."


def _promoted(written: Written, before: Record | None, record: Record) -> str | None:
    if record.phase in AT_FULL:
        was = f"{before.weight}% → " if before is not None and before.weight < 100 else ""
        return f"{record.canary} {was}100% ({words(record.phase)})."
    if record.promote is None or record.promote.id != written.id:
        return None
    if record.phase in (Phase.PREPARING, Phase.SMOKE):
        return f"{record.canary} goes straight to 100% once its pods are ready and smoke passes."
    return f"{record.canary} goes from {record.weight}% straight to 100%."


def _paused(record: Record) -> str:
    if record.phase is Phase.IDLE:
        return f"paused; {record.stable} serves everybody."
    return f"paused at {record.weight}% ({words(record.phase)}); rollback stays armed."


# ---------------------------------------------------------------- what went otherwise


async def _ignored(
    session: Session, key: TargetKey, wish: Wish, written: Written, record: Record
) -> str:
    """Return why, from the Event; else what the record says."""
    for _ in range(EVENT_POLLS):
        if note := await _event(session, key, wish, written):
            return note
        await session.clock.sleep(POLL_SECONDS)
    if record.reason in (Reason.NO_WAY_BACK, Reason.REQUEST_IGNORED) and record.message:
        return f"{key}: {record.message}"
    return (
        f"{key}: {wish.verb} had no effect; {words(record.phase)} at {record.weight}%: "
        f"{record.message or words(record.reason)}"
    )


async def _event(session: Session, key: TargetKey, wish: Wish, written: Written) -> str | None:
    try:
        events = await list_all(session.cluster, EVENTS, key.namespace)
    except (ForbiddenError, TransientError):
        return None
    notes = sorted(
        (_seen_at(event), plain(str(event["note"])))
        for event in events
        if event.get("reason") == Reason.REQUEST_IGNORED
        and event.get("regarding", {}).get("name") == written.deployment
        and str(event.get("note", "")).startswith(f"{key}: {wish.verb} ")
        and _seen_at(event) >= written.asked_at - timedelta(seconds=1)
    )
    return notes[-1][1] if notes else None


def _seen_at(event: Obj) -> datetime:
    series = event.get("series") or {}
    moment = series.get("lastObservedTime") or event["metadata"]["creationTimestamp"]
    return parse_time(moment)


async def _too_late(session: Session, found: Found, written: Written, patience: timedelta) -> str:
    record = await _record(session, found)
    seconds = f"{patience.total_seconds():g} s"
    if record is None or written.id not in record.handled:
        return (
            f"{found.key}: not handled within {seconds}. The request stays on Deployment "
            f"{written.deployment} and is obeyed as soon as the daemon sees it; does it run?"
        )
    why = words(record.held.reason) if record.held else words(record.reason)
    return (
        f"{found.key}: written to the route, but within {seconds} not every proxy was seen to "
        f"serve {record.stable} alone ({why}); watch it: crossfade status {found.key} --watch"
    )
