"""The invariants of a rollout as monitors over a history; a violation is a sentence.

    S1 weights whole, 0 to 100, sum 100, existing versions; nothing else is touched
    S2 no raise without ready pods            S8  what is raised is what was proved
    S3 each raise uses a fresh verdict        S12 a foreign edit is never silently overwritten
    S4 raises are a hold apart                S14 missing data is neither a pass nor a failure
    S5 the old version goes last              S19 an end within ten seconds, and no decision in it
    S6 the way back leads to stable alone
    S7 record and route say the same

Pure: they read `tests.live.history` values in order, and are proved against violating histories in
test_monitors.py. What a release must reach is not here; that is what tests assert.
"""

from collections.abc import Iterable, Mapping

from config.schema import Rollout
from tests.live.history import Commit, Item
from tests.live.monitors.agreement import ForeignEdit, RecordAndRoute, WholeWeights
from tests.live.monitors.ends import OldGoesLast, QuickEnd, WayBack
from tests.live.monitors.going import FreshVerdict, HoldApart, MissingData, ReadyPods, SameHash

__all__ = ["MONITORS", "violations"]

MONITORS = (
    WholeWeights,
    ReadyPods,
    FreshVerdict,
    HoldApart,
    OldGoesLast,
    WayBack,
    RecordAndRoute,
    SameHash,
    ForeignEdit,
    MissingData,
    QuickEnd,
)


def violations(items: Iterable[Item], policies: Mapping[str, Rollout]) -> list[str]:
    """Return a sentence for each violation of any invariant."""
    monitors = [kind(policies) for kind in MONITORS]
    found = []
    for item in items:
        for monitor in monitors:
            about = f" ({item})" if isinstance(item, Commit) else f" (at {item.at:.3f})"
            found += [f"{monitor.name}: {sentence}{about}" for sentence in monitor.see(item)]
    for monitor in monitors:
        found += [f"{monitor.name}: {sentence} (at the end)" for sentence in monitor.end()]
    return found
