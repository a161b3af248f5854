"""What must not outlive something else: dependents of owners.

Invariant: this only notes what has gone and says what depended on it; `deletion` acts on that
after the write that caused it, so that watchers see causes before effects.
"""

from collections import deque
from collections.abc import Iterator

from daemon.ports import Obj
from daemon.sandbox.api.storage import Change, Entry, Key, Storage


class Dependents:
    """Index from an owner's uid to the objects that name it in ownerReferences."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._by_owner: dict[str, set[Key]] = {}
        self._gone: deque[str] = deque()
        self.terminating: set[Key] = set()
        storage.listen(self._note)

    def _note(self, change: Change) -> None:
        if change.new is not None and change.new.obj["metadata"].get("deletionTimestamp"):
            self.terminating.add(change.key)
        else:
            self.terminating.discard(change.key)
        for uid in _owners(change.old):
            keys = self._by_owner.get(uid, set())
            keys.discard(change.key)
            if not keys:
                self._by_owner.pop(uid, None)
        for uid in _owners(change.new):
            self._by_owner.setdefault(uid, set()).add(change.key)
        if change.new is None and change.old is not None:
            self._gone.append(change.old.obj["metadata"]["uid"])

    def of(self, uid: str) -> list[Entry]:
        """Objects that name this owner."""
        found = map(self._storage.get, sorted(self._by_owner.get(uid, ())))
        return [entry for entry in found if entry is not None]

    def orphaned(self) -> Iterator[tuple[str, Entry]]:
        """(uid of the owner that went, dependent), until nothing more has gone."""
        while self._gone:
            uid = self._gone.popleft()
            for entry in self.of(uid):
                yield uid, entry


def _owners(entry: Entry | None) -> set[str]:
    if entry is None:
        return set()
    references = entry.obj["metadata"].get("ownerReferences") or ()
    return {str(reference.get("uid")) for reference in references}


def without_owner(obj: Obj, uid: str) -> list[Obj]:
    """The ownerReferences that are left when one owner has gone."""
    references = obj["metadata"].get("ownerReferences") or ()
    return [reference for reference in references if reference.get("uid") != uid]
