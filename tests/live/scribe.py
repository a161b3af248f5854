"""Writes the history of one world down: commits as they happen, the data plane by asking Envoy.

It wraps the embedded API's store, so that it knows who wrote, and nothing happens in between. It
changes nothing.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from daemon.errors import CrossfadeError
from daemon.sandbox.api.storage import Change, Entry
from daemon.sandbox.controllers.objects import is_active, is_ready
from daemon.sandbox.echo import Counts
from daemon.sandbox.knobs import PREFIX
from daemon.sandbox.load import is_failure
from daemon.sandbox.world import World
from tests.live.history import OPEN, App, Apps, Blind, Commit, Item, Life, Live, Obj, percent_of

SAMPLE_SECONDS = 0.08
"""Between two looks at a proxy's routes."""
BLINDING = ("vanish", "stale", "garbage", "hang", "nan")
"""Faults of a metrics page after which it says nothing about the present."""
CONTROLLER = "kube-controller-manager"


class Scribe:
    """The history of one world.

    Attributes:
        items: everything, in order.
        live: proxy -> what it does with ordinary requests, as last seen.
        news: called after every item.
    """

    def __init__(
        self, world: World, *, route: tuple[str, str], upstream: str, domain: str = "*"
    ) -> None:
        self.items: list[Item] = []
        self.news: list[Callable[[Item], None]] = []
        self._world = world
        self._route = route
        self._cluster = f"{upstream}_gloo-system"
        self._domain = domain
        self._store: Any = world.api.store
        self._actor = ""
        self._counts: dict[int, tuple[str, Counts]] = {}
        self.live: dict[int, Any] = {}
        self._blind: dict[str, bool] = {}
        self._before_patch: list[Callable[[str, str, bytes], bool]] = []
        self._undo: list[Callable[[], object]] = []
        self._sampling: asyncio.Task[None] | None = None

    # ------------------------------------------------------------ life

    def start(self) -> None:
        store = self._store
        for name in ("update", "create", "create_settled", "patch"):
            original = getattr(store, name)
            setattr(store, name, self._wrapped(name, original))
            self._undo.append(lambda name=name: delattr(store, name))
        self._undo.append(store.storage.listen(self._changed))
        self._sampling = asyncio.create_task(self._sample())  # awaited in stop

    async def stop(self) -> None:
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        if self._sampling is not None:
            self._sampling.cancel()
            with suppress(asyncio.CancelledError):
                await self._sampling

    def note(self, item: Item) -> None:
        self.items.append(item)
        for tell in list(self.news):
            tell(item)

    def life(self, what: str, code: int = 0) -> None:
        self.note(Life(self.now, what, code))

    @property
    def now(self) -> float:
        return float(self._store.clock())

    # ------------------------------------------------------------ who writes

    def before_patch(self, act: Callable[[str, str, bytes], bool]) -> None:
        """Call `act(plural, manager, body)` before each patch until it returns True.

        What it does to the store is done between the reading and the writing of whoever patches.
        """
        self._before_patch.append(act)

    def _wrapped(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            options = next((it for it in arguments if hasattr(it, "manager")), None)
            manager = getattr(options, "manager", self._actor)
            if name == "patch":
                self._intercept(arguments[0].plural, manager, arguments[3].body)
            before, self._actor = self._actor, manager
            try:
                return original(*arguments, **named)
            finally:
                self._actor = before

        return call

    def _intercept(self, plural: str, manager: str, body: bytes) -> None:
        waiting, self._before_patch = self._before_patch, []
        self._before_patch += [act for act in waiting if not act(plural, manager, body)]

    # ------------------------------------------------------------ what is written

    def _changed(self, change: Change) -> None:
        plural = change.key.plural
        if plural in ("pods", "replicasets"):
            self.note(Apps(self.now, self.apps()))
            self._look_at_metrics()
        elif plural == "deployments":
            self._deployment(change)
        elif (plural, change.key.name) == self._route and _is_about(change):
            self._commit(change)

    def _deployment(self, change: Change) -> None:
        old, new = _spec(change.old), _spec(change.new)
        if old != new:
            self._commit(change)
        else:
            self.note(Apps(self.now, self.apps()))

    def _commit(self, change: Change) -> None:
        actor = self._actor if change.new is not None else self._deleter(change.key.name)
        self.note(
            Commit(
                version=change.version,
                at=self.now,
                actor=actor,
                kind=change.key.plural,
                name=change.key.name,
                old=change.old.obj if change.old else None,
                new=change.new.obj if change.new else None,
                apps=self.apps(),
                served=self.served(),
            )
        )

    def _deleter(self, name: str) -> str:
        """Who asked for a deletion: its options name no manager, its agent does."""
        for recorded in reversed(self._world.api.recorder.calls):
            if recorded.call.verb == "delete" and recorded.name == name:
                return recorded.call.agent.partition("/")[0]
        return CONTROLLER

    # ------------------------------------------------------------ what is true now

    def apps(self) -> tuple[App, ...]:
        """Return all Deployments of the target's namespace as they stand."""
        storage = self._store.storage
        sets = [it.obj for it in storage.entries("apps", "replicasets", "echo")]
        pods = [it.obj for it in storage.entries("", "pods", "echo")]
        return tuple(
            _app(it.obj, sets, pods) for it in storage.entries("apps", "deployments", "echo")
        )

    def served(self) -> dict[str, tuple[int, int]]:
        """Return version -> (answered, failed), over all its processes that there ever were."""
        for (_, name), run in list(self._world.node.pods.items()):
            if run.echo is not None:
                version = name.removeprefix("echo-").partition("-")[0]
                self._counts[id(run.echo.counts)] = (version, run.echo.counts)
        found: dict[str, tuple[int, int]] = {}
        for version, counts in self._counts.values():
            answered, failed = found.get(version, (0, 0))
            bad = sum(n for code, n in counts.by_code.items() if is_failure(code))
            found[version] = (answered + counts.by_code.total(), failed + bad)
        return found

    def _look_at_metrics(self) -> None:
        """Note it when all pages of a version turn useless, or one turns well again."""
        pages: dict[str, list[bool]] = {}
        for entry in self._store.storage.entries("", "pods", "echo"):
            if is_active(entry.obj):
                metadata = entry.obj["metadata"]
                fault = (metadata.get("annotations") or {}).get(f"{PREFIX}metrics", "none")
                version = (metadata.get("labels") or {}).get("version", "")
                pages.setdefault(version, []).append(fault in BLINDING)
        for version, faulty in pages.items():
            blind = all(faulty)
            if self._blind.get(version, False) != blind:
                self._blind[version] = blind
                self.note(Blind(self.now, version, blind))

    # ------------------------------------------------------------ the data plane

    async def _sample(self) -> None:
        """Ask every proxy what it does with ordinary requests, again and again."""
        while True:
            for number, envoy in enumerate(self._world.gateway.envoys):
                asked = self.now
                try:
                    shares = self._shares(await envoy.admin.routes())
                except (CrossfadeError, AssertionError, AttributeError):
                    shares = None  # It restarts.
                self.live[number] = shares
                self.note(Live(self.now, asked, number, shares))
            await asyncio.sleep(SAMPLE_SECONDS)

    def _shares(self, hosts: list[Any]) -> dict[str, float] | None:
        for host in hosts:
            if self._domain not in host.get("domains", ()):
                continue
            for route in host.get("routes", ()):
                if route.get("match", {}).get("headers"):
                    continue
                if (found := _shares_of(route.get("route") or {}, self._cluster)) is not None:
                    return found
        return None


def _shares_of(action: Obj, cluster: str) -> dict[str, float] | None:
    members = (action.get("weighted_clusters") or {}).get("clusters") or [
        {"name": action.get("cluster"), "weight": 100} | _matched(action)
    ]
    if any(member.get("name") != cluster for member in members):
        return None
    found: dict[str, int] = {}
    for member in members:
        labels = (member.get("metadata_match") or {}).get("filter_metadata", {}).get("envoy.lb", {})
        found[labels.get("version", OPEN)] = member.get("weight", 0)
    return percent_of(found)


def _matched(action: Obj) -> Obj:
    return {"metadata_match": action["metadata_match"]} if "metadata_match" in action else {}


def _app(deployment: Obj, sets: list[Obj], pods: list[Obj]) -> App:
    metadata, spec = deployment["metadata"], deployment["spec"]
    version = spec["template"]["metadata"]["labels"].get("version", "")
    revision = (metadata.get("annotations") or {}).get("deployment.kubernetes.io/revision")
    found = ""
    for it in sets:
        owners = it["metadata"].get("ownerReferences") or []
        same = (it["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision")
        if any(one["uid"] == metadata["uid"] for one in owners) and same == revision:
            found = it["metadata"]["labels"]["pod-template-hash"]
    ready = [
        (pod["metadata"].get("labels") or {}).get("pod-template-hash")
        for pod in pods
        if (pod["metadata"].get("labels") or {}).get("version") == version
        and "deletionTimestamp" not in pod["metadata"]
        and is_ready(pod)
    ]
    observed = (deployment.get("status") or {}).get("observedGeneration", 0)
    return App(
        name=metadata["name"],
        version=version,
        uid=metadata["uid"],
        replicas=spec.get("replicas", 1),
        hash=found,
        settled=observed >= metadata["generation"],
        ready=ready.count(found) if found else 0,
        others=sum(it != found for it in ready),
    )


def _spec(entry: Entry | None) -> Any:
    return None if entry is None else entry.obj.get("spec")


def _is_about(change: Change) -> bool:
    """Tell a commit of the route from a status that the gateway writes."""
    return bool(_without_status(change.old) != _without_status(change.new))


def _without_status(entry: Entry | None) -> Any:
    """What a commit is about: everything but status and bookkeeping."""
    if entry is None:
        return None
    hidden = ("managedFields", "resourceVersion", "generation")
    metadata = {k: v for k, v in entry.obj["metadata"].items() if k not in hidden}
    return {k: v for k, v in entry.obj.items() if k not in ("status", "metadata")} | {
        "metadata": metadata
    }
