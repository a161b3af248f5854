"""From what a person typed to one target, with a hint where there is none."""

from collections.abc import Sequence
from difflib import get_close_matches

from daemon.cli.exits import Failure
from daemon.cli.find import Found, find_rollouts
from daemon.cli.options import key_of
from daemon.cli.session import Session
from daemon.core.model import TargetKey

MAX_HINTS = 5


async def choose(session: Session, target: str) -> Found:
    """Return the target that was named.

    Raises:
        Failure: it is not adopted; says what is there instead.
    """
    key = key_of(target, session.namespace)
    found = await find_rollouts(session.cluster, session.place, key.namespace)
    for it in found:
        if it.key == key:
            return it
    raise Failure(not_adopted(key, [it.key for it in found]))


def not_adopted(key: TargetKey, there: Sequence[TargetKey]) -> str:
    """Say that there is no record for a target, and what might have been meant."""
    same_name = [str(it) for it in there if it.name == key.name]
    close = get_close_matches(str(key), list(map(str, there)), n=MAX_HINTS, cutoff=0.6)
    if meant := same_name or close:
        return f"{key} is not adopted: no route carries its record; did you mean {meant[0]}?"
    if not there:
        return f"{key} is not adopted: no route that can be listed carries a record"
    named = ", ".join(map(str, there[:MAX_HINTS]))
    more = f" and {len(there) - MAX_HINTS} more" if len(there) > MAX_HINTS else ""
    return f"{key} is not adopted: no route carries its record; there are {named}{more}"
