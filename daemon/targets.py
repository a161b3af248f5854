"""Which policy is in force for which target: the file's, or the one its rollout began with.

A running rollout keeps the policy that its record names by hash, over restarts and edits, and even
when the file no longer names the target. Everything else follows the file at once.
"""

from collections.abc import Mapping

from config.schema import Policy, Rollout
from config.stored import policy_hash
from daemon.core.model import Record, TargetKey
from daemon.core.situation import ACTIVE
from daemon.evidence import Stored
from daemon.observe import Subject


class Targets:
    """The file's rollouts and the stored ones."""

    def __init__(self) -> None:
        self._file: dict[TargetKey, Rollout] = {}
        self._stored: dict[TargetKey, Rollout] = {}
        self._hashes: dict[int, tuple[Rollout, str]] = {}

    def from_file(self, policy: Policy) -> None:
        """Take a new policy file."""
        self._file = {TargetKey(it.namespace, it.name): it for it in policy.rollouts.values()}
        self._hashes.clear()

    def from_evidence(self, stored: Mapping[TargetKey, Stored]) -> None:
        """Take up what was stored before a restart: only unfinished rollouts keep their policy."""
        for key, it in stored.items():
            if it.rollout is None:
                continue
            if key in self._file or (it.record is not None and it.record.phase in ACTIVE):
                self._stored[key] = it.rollout

    def store(self, key: TargetKey, rollout: Rollout) -> None:
        """Remember the policy that a rollout begins with."""
        self._stored[key] = rollout

    def finished(self, key: TargetKey) -> None:
        """A rollout ended: a target that the file no longer names is let go."""
        if key not in self._file:
            self._stored.pop(key, None)

    def followed(self) -> dict[TargetKey, Rollout]:
        """Return every target that has to be watched."""
        return self._stored | self._file if self._stored else dict(self._file)

    def subject(self, key: TargetKey, record: Record | None) -> Subject | None:
        """Choose the policy for a target, by what its record says."""
        file, stored = self._file.get(key), self._stored.get(key)
        running = record is not None and record.phase in ACTIVE
        if not running:
            chosen = file or stored
            return None if chosen is None else Subject(key, chosen, self.hash_of(chosen), False)
        assert record is not None
        for rollout in (stored, file):
            if rollout is not None and self.hash_of(rollout) == record.policy:
                return Subject(key, rollout, record.policy, False)
        chosen = file or stored
        return None if chosen is None else Subject(key, chosen, self.hash_of(chosen), True)

    def hash_of(self, rollout: Rollout) -> str:
        """Return the policy hash; computed once per value."""
        known = self._hashes.get(id(rollout))
        if known is None or known[0] is not rollout:
            known = (rollout, policy_hash(rollout))
            self._hashes[id(rollout)] = known
        return known[1]
