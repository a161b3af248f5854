"""Which policy is in force for which target: the file's, or the one its rollout began with.

A running rollout keeps the policy that its record names by hash, over restarts and edits, and even
when the file no longer names the target, until nothing of it is left to do. Everything else follows
the file at once. Invariant: only rollouts that are not over have a stored policy.
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
        """Take up what was stored before a restart, but for rollouts that are over.

        A copy that cannot be read may be of a running one, where the file names the target.
        """
        for key, it in stored.items():
            if it.rollout is not None and self._is_unfinished(key, it.rollout, it.record):
                self._stored[key] = it.rollout

    def _is_unfinished(self, key: TargetKey, rollout: Rollout, record: Record | None) -> bool:
        if record is None:
            return key in self._file
        if record.phase in ACTIVE:
            return self.hash_of(rollout) == record.policy
        return record.retire is not None

    def store(self, key: TargetKey, rollout: Rollout) -> None:
        """Remember the policy that a rollout begins with."""
        self._stored[key] = rollout

    def finished(self, key: TargetKey) -> bool:
        """Let go of the policy of a rollout that is over; return whether there was one.

        A target that the file no longer names goes with it.
        """
        return self._stored.pop(key, None) is not None

    def followed(self) -> dict[TargetKey, Rollout]:
        """Return every target that has to be watched, under the policy that says where."""
        return self._file | self._stored

    def subject(self, key: TargetKey, record: Record | None) -> Subject | None:
        """Choose the policy for a target, by what its record says."""
        file, stored = self._file.get(key), self._stored.get(key)
        running = record is not None and record.phase in ACTIVE
        if not running:
            chosen = stored or file
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
