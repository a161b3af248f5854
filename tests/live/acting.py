"""What people and users do to a scene: versions come and go, requests, edits by hand, load."""

import copy
import json
import secrets
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from daemon.core.model import Phase
from daemon.core.record import format_time
from daemon.core.requests import REQUEST_ANNOTATION
from daemon.sandbox.api.writing import Options
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.kinds import DEPLOYMENTS
from daemon.sandbox.load import Load, is_failure
from tests.live.following import PATIENCE, Following
from tests.live.history import DAEMON, App, Obj, record_of

PERSON = "kubectl-edit"


class Acting(Following):
    """What can be done to a scene.

    Attributes:
        people: the API as another person uses it (field manager `kubectl-edit`).
    """

    people: SandboxClient

    def __init__(self) -> None:
        super().__init__()
        self._loads: list[Load] = []

    # ------------------------------------------------------------ versions

    async def deploy(self, version: str, *, replicas: int = 2, **knobs: str) -> Obj:
        """Apply the Deployment of a version; knobs as in `error_rate="0.2"`."""
        return await self.world.deploy(version, replicas=replicas, **knobs)

    async def delete(self, version: str) -> None:
        await self.world.delete(DEPLOYMENTS, f"echo-{version}")

    async def gone(self, version: str) -> None:
        """Wait until the last pod of a version is gone, leaving ones too."""

        async def none() -> bool:
            return not await self.world.pods(version)

        await self.world.until(none, f"the pods of {version} to be gone", PATIENCE)

    def deployment(self, version: str) -> Obj:
        return self.world.api.store.find(DEPLOYMENTS, "echo", f"echo-{version}").obj

    def app(self, version: str) -> App | None:
        """Return the Deployment of a version as it stands, or None."""
        return next((it for it in self.scribe.apps() if it.version == version), None)

    def ready(self, version: str) -> int:
        """Count a version's ready pods."""
        return sum(it.ready for it in self.scribe.apps() if it.version == version)

    async def replicas(self, version: str, number: int) -> None:
        """Wait until a Deployment has so many replicas wanted."""
        await self.wait(
            lambda: self.deployment(version)["spec"]["replicas"] == number,
            f"echo-{version} to be scaled to {number}",
        )

    async def without_pods(self, version: str) -> None:
        """Let a version lose all its ready pods while its Deployment stays, and says so."""
        await self.world.turn(version, never_ready="true")
        await self.wait(
            lambda: not (self.deployment(version).get("status") or {}).get("readyReplicas"),
            f"echo-{version} to say that it has no ready pod",
        )

    # ------------------------------------------------------------ people

    async def request(self, verb: str, *, on: str = "v1", **members: Any) -> str:
        """Ask for something, as the CLI does: an annotation on a Deployment; return its id."""
        moment = format_time(datetime.fromtimestamp(self.scribe.now, UTC))
        request = {"id": f"{moment}-{secrets.token_hex(2)}", "verb": verb} | members
        await self.annotate(json.dumps(request), on=on)
        return str(request["id"])

    async def annotate(self, text: str | None, *, on: str = "v1") -> None:
        """Write the request annotation as it is."""
        change = {"metadata": {"annotations": {REQUEST_ANNOTATION: text}}}
        await self.people.merge_patch(DEPLOYMENTS, "echo", f"echo-{on}", change)

    async def edit(self, change: Callable[[Obj], Any]) -> Obj:
        """Edit the route object by hand, as `kubectl edit` does."""
        kind, namespace, name = self.route
        obj = await self.people.get(kind, namespace, name)
        change(obj)
        return await self.people.replace(kind, namespace, name, obj)

    def edit_before_write(self, change: Callable[[Obj], Any], phase: Phase) -> None:
        """Edit the route between the daemon's reading and its next write into this phase."""
        kind, namespace, name = self.route
        store = self.world.api.store
        wanted = f'\\"phase\\":\\"{phase}\\"'.encode()

        def act(plural: str, manager: str, body: bytes) -> bool:
            if (plural, manager) != (kind.plural, DAEMON) or wanted not in body:
                return False
            obj = copy.deepcopy(store.find(kind, namespace, name).obj)
            change(obj)
            store.replace(kind, namespace, name, obj, Options(manager=PERSON))
            return True

        self.scribe.before_patch(act)

    # ------------------------------------------------------------ users

    async def users(self, rps: float) -> Load:
        """Let users ask /work from now on; all counts of a scene are kept."""
        load = await self.world.users(rps)
        self._loads.append(load)
        return load

    @property
    def answers(self) -> Counter[tuple[str, int]]:
        """(version, status) -> users' requests of the whole scene."""
        total: Counter[tuple[str, int]] = Counter()
        for load in self._loads:
            total += load.total.answers
        return total

    @property
    def failed(self) -> int:
        """Users' requests that failed."""
        return sum(n for (_, status), n in self.answers.items() if is_failure(status))

    def of(self, version: str) -> int:
        """Users' requests that a version answered."""
        return sum(n for (it, _), n in self.answers.items() if it == version)

    async def ask(self, *, header: bool = False, proxy: int = 0, path: str = "/") -> str:
        """Ask once, with or without the canary header; return the version, else the status."""
        headers = {"stage": "canary"} if header else None
        answer = await self.world.ask(path, headers, url=self.world.urls[proxy])
        return answer.version or str(answer.status)

    async def guided(self) -> str:
        """Ask with the canary header until our route answers for the record's decision; by whom?"""
        found: list[str] = []

        async def answered() -> bool:
            answer = await self.world.ask("/", {"stage": "canary"})
            record = record_of(self.object)
            shown = answer.headers.get("x-crossfade-decision")
            if record is None or shown != str(record.decision):
                return False
            found.append(answer.version)
            return True

        await self.world.until(answered, "our route to answer the header", PATIENCE)
        return found[-1]
