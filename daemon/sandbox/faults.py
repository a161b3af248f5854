"""All faults of a running world in one place: cause them, list what is broken now, mend it.

    faults = WorldFaults(world)
    await faults.cause("api.answer", {"code": 409, "verb": "patch"})   # as the command line does
    faults.api.answer(code=409, verb="patch")                          # as a test does

What is listed is read from the world itself, never from a memory of what was asked for. Each cause
returns a sentence that says what is so from now on. Not here: how a fault works (api/faults.py,
gateway/controller.py, knobs.py), and how a person asks for it.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from daemon.errors import CrossfadeError
from daemon.ports import Obj, Resource
from daemon.sandbox.actions import NAMESPACE
from daemon.sandbox.api.faults import Fault
from daemon.sandbox.fault_words import FaultError, count, describe, span
from daemon.sandbox.kinds import DEPLOYMENTS, PODS
from daemon.sandbox.knobs import PORTS_ANNOTATION, PREFIX, KnobError, read_knobs
from daemon.sandbox.world import World

MATCHED: Final = frozenset(
    {"verb", "group", "resource", "subresource", "namespace", "name", "user", "agent"}
)
"""By what a fault of the API server may choose requests."""
REFUSED: Final = (403, 404, 409, 410, 422, 429, 500, 503, 504)
GROUPS: Final = ("api", "gateway", "pods")


class ApiFaults:
    """The API server: refusals, silence, slowness, lost answers, watches, and its clock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbered: dict[int, Fault] = {}
        self._last = 0

    def answer(
        self, *, code: int, times: int | None = 1, retry_after: int | None = None, **match: str
    ) -> str:
        """Refuse requests with a code, without effect."""
        if code not in REFUSED:
            raise FaultError(f"{code} is none of {', '.join(map(str, REFUSED))}")
        faults = self._world.api.faults
        return self._number(
            faults.answer(code, times=times, retry_after=retry_after, **_match(match))
        )

    def hang(self, *, times: int | None = None, **match: str) -> str:
        """Never answer."""
        return self._number(self._world.api.faults.hang(times=times, **_match(match)))

    def slow(self, *, seconds: float, times: int | None = None, **match: str) -> str:
        """Answer late."""
        return self._number(self._world.api.faults.slow(seconds, times=times, **_match(match)))

    def lose_answer(self, *, times: int | None = 1, **match: str) -> str:
        """Carry requests out and close the connection without an answer."""
        return self._number(self._world.api.faults.lose_answer(times=times, **_match(match)))

    def silence_watches(self, **match: str) -> str:
        """Let watches say nothing though things change."""
        return self._number(self._world.api.faults.silence(**_match(match)))

    def end_watches(self, *, code: int = 410, times: int | None = 1, **match: str) -> str:
        """End watches with an ERROR event."""
        if code not in REFUSED:
            raise FaultError(f"{code} is none of {', '.join(map(str, REFUSED))}")
        faults = self._world.api.faults
        return self._number(faults.watch_error(code, times=times, **_match(match)))

    def cut_watches(self, **match: str) -> str:
        """Cut the connections of open watches, once."""
        cut = self._world.api.faults.cut_watches(**_match(match))
        return f"cut {count(cut, 'open watch', 'open watches')}"

    def clock(self, *, seconds: float) -> str:
        """Let the API server's clock be so many seconds ahead of the machine's, or behind."""
        self._world.api_clock.ahead = seconds
        return self._clock_said() or "the API server's clock is right again"

    def listed(self) -> dict[str, str]:
        """Number -> what is broken; `api clock` for the clock."""
        self._forget_spent()
        found = {str(number): describe(fault) for number, fault in self._numbered.items()}
        return found | ({"api clock": said} if (said := self._clock_said()) else {})

    def lift(self, number: int) -> bool:
        """End one fault; tell whether it was there."""
        self._forget_spent()
        fault = self._numbered.pop(number, None)
        if fault is not None:
            fault.lift()
        return fault is not None

    def clear(self) -> None:
        """Lift all faults and set the clock right."""
        for fault in self._numbered.values():
            fault.lift()
        self._numbered.clear()
        self._world.api_clock.ahead = 0.0

    def _number(self, fault: Fault) -> str:
        self._forget_spent()
        self._last += 1
        self._numbered[self._last] = fault
        return f"{self._last}: {describe(fault)}"

    def _forget_spent(self) -> None:
        self._numbered = {n: it for n, it in self._numbered.items() if it.left != 0}

    def _clock_said(self) -> str:
        ahead = self._world.api_clock.ahead
        where = "ahead" if ahead > 0 else "behind"
        return f"the API server's clock is {span(abs(ahead))} {where}" if ahead else ""


class GatewayFaults:
    """The gateway: a control plane that does not follow, and proxies that are not told."""

    def __init__(self, world: World) -> None:
        self._gateway = world.gateway

    def reject(self, *, reason: str) -> str:
        """Reject every VirtualService: its host keeps the routes it had."""
        if not reason:
            raise FaultError("a rejection needs a reason")
        self._gateway.reject_everything(reason)
        return self.listed()["reject"]

    def delay(self, *, seconds: float) -> str:
        """Let changes be live after up to so many seconds."""
        self._gateway.apply_delay = seconds
        return f"changes of routes are live after up to {span(seconds)}"

    def delay_statuses(self, *, seconds: float) -> str:
        """Let statuses come so many seconds later than the routes."""
        self._gateway.status_delay = seconds
        return f"statuses come {span(seconds)} after the routes"

    def freeze(self, *, proxies: list[int]) -> str:
        """Tell these proxies nothing any more (none named: all)."""
        known = range(len(self._gateway.envoys))
        for number in proxies:
            _existing(number, known)
        self._gateway.freeze(*proxies)
        return self.listed()["freeze"]

    def unbind(self, *, proxies: list[int]) -> str:
        """Ask for a listener that these proxies cannot bind (none named: all)."""
        known = range(len(self._gateway.envoys))
        for number in proxies:
            _existing(number, known)
        self._gateway.unbind(*proxies)
        return self.listed()["unbind"]

    def thaw(self) -> str:
        """Tell every proxy the newest routes, and let it listen."""
        self._gateway.thaw()
        return "every proxy listens and is told the newest routes"

    def restart(self) -> str:
        """Let the control plane forget what only its memory held."""
        self._gateway.restart()
        return "the control plane has restarted: hosts that are rejected now are lost"

    async def restart_proxy(self, *, number: int) -> str:
        """Stop one proxy; it comes back on its port."""
        _existing(number, range(len(self._gateway.envoys)))
        await self._gateway.restart_proxy(number)
        return f"proxy {number} restarts with the routes it had"

    def listed(self) -> dict[str, str]:
        """Fault -> what is broken."""
        gateway, found = self._gateway, {}
        if gateway.refusing:
            found["reject"] = f"the gateway rejects every VirtualService: {gateway.refusing}"
        if gateway.frozen:
            numbers = ", ".join(map(str, sorted(gateway.frozen)))
            found["freeze"] = f"frozen proxies, told nothing: {numbers}"
        if gateway.unbound:
            numbers = ", ".join(map(str, sorted(gateway.unbound)))
            found["unbind"] = f"proxies that cannot bind their listener: {numbers}"
        if gateway.apply_delay != gateway.options.apply_delay:
            found["delay"] = f"changes of routes are live after up to {span(gateway.apply_delay)}"
        if gateway.status_delay != gateway.options.status_delay:
            found["status-delay"] = f"statuses come {span(gateway.status_delay)} after the routes"
        return found

    def clear(self) -> None:
        """Let it follow again, as it was made."""
        gateway = self._gateway
        gateway.apply_delay = gateway.options.apply_delay
        gateway.status_delay = gateway.options.status_delay
        gateway.reject_everything("")
        gateway.thaw()


class PodFaults:
    """Running pods: knobs that differ from those of their Deployment's template."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def turn(self, *, version: str, knobs: dict[str, str]) -> str:
        """Turn knobs, named as in annotations, on the running pods of a version."""
        try:
            read_knobs({PREFIX + name: value for name, value in knobs.items()})
        except KnobError as fault:
            raise FaultError(str(fault)) from fault
        running = await self._running(version)
        await self._world.turn(version, **{n.replace("-", "_"): v for n, v in knobs.items()})
        return f"{count(running, 'pod', 'pods')} of {version}: {_knobs(knobs)}"

    async def crash(self, *, version: str) -> str:
        """Let the processes of a version crash, once."""
        running = await self._running(version)
        self._world.kill(version)
        return f"{count(running, 'process', 'processes')} of {version} crashed; they start again"

    async def reset_metrics(self, *, version: str) -> str:
        """Let the processes of a version count from zero."""
        running = await self._running(version)
        self._world.reset_metrics(version)
        return f"{count(running, 'process', 'processes')} of {version} count from zero"

    def listed(self) -> dict[str, str]:
        """Version -> the knobs of its pods that their Deployment does not ask for."""
        turned = self._turned().items()
        return {version: f"pods of {version}: {_knobs(changes)}" for version, changes in turned}

    async def clear(self) -> None:
        """Let pods be as their Deployment says."""
        templates = self._templates()
        for version, changes in self._turned().items():
            own = templates.get(version, {})
            back = {name.replace("-", "_"): own.get(name) for name in changes}
            await self._world.turn(version, **back)

    async def _running(self, version: str) -> int:
        pods = await self._world.pods(version)
        if not pods:
            there = ", ".join(sorted(self._templates())) or "none"
            raise FaultError(f"no pod of {version} runs; versions that are there: {there}")
        return len(pods)

    def _turned(self) -> dict[str, dict[str, str]]:
        templates = self._templates()
        found: dict[str, dict[str, str]] = {}
        for pod in self._stored(PODS):
            version = _version_of(pod)
            own, now = templates.get(version, {}), _knobs_of(pod)
            for name in own | now:
                if own.get(name) != now.get(name):
                    found.setdefault(version, {})[name] = now.get(name, "as usual")
        return found

    def _templates(self) -> dict[str, dict[str, str]]:
        templates = [it["spec"]["template"] for it in self._stored(DEPLOYMENTS)]
        return {_version_of(it): _knobs_of(it) for it in templates}

    def _stored(self, resource: Resource) -> list[Obj]:
        """Read past the API, which may itself be broken on purpose."""
        storage = self._world.api.store.storage
        entries = storage.entries(resource.group, resource.plural, NAMESPACE)
        return [entry.obj for entry in entries]


class WorldFaults:
    """Everything that can be broken in a world."""

    def __init__(self, world: World) -> None:
        self.api = ApiFaults(world)
        self.gateway = GatewayFaults(world)
        self.pods = PodFaults(world)
        api, gateway, pods = self.api, self.gateway, self.pods
        self._causes: dict[str, Callable[..., str | Awaitable[str]]] = {
            "api.answer": api.answer,
            "api.hang": api.hang,
            "api.slow": api.slow,
            "api.lose-answer": api.lose_answer,
            "api.silence-watches": api.silence_watches,
            "api.end-watches": api.end_watches,
            "api.cut-watches": api.cut_watches,
            "api.clock": api.clock,
            "gateway.reject": gateway.reject,
            "gateway.delay": gateway.delay,
            "gateway.status-delay": gateway.delay_statuses,
            "gateway.freeze": gateway.freeze,
            "gateway.unbind": gateway.unbind,
            "gateway.thaw": gateway.thaw,
            "gateway.restart": gateway.restart,
            "gateway.restart-proxy": gateway.restart_proxy,
            "pods.turn": pods.turn,
            "pods.crash": pods.crash,
            "pods.reset-metrics": pods.reset_metrics,
        }

    async def cause(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Cause one fault by its name; return what is so from now on.

        Raises:
            FaultError: there is no such fault, or it is not one with these arguments.
        """
        cause = self._causes.get(name)
        if cause is None:
            raise FaultError(f"there is no fault {name!r}; there are {', '.join(self._causes)}")
        try:
            inspect.signature(cause).bind(**arguments)
        except TypeError as fault:
            raise FaultError(f"{name}: {fault}") from fault
        try:
            said = cause(**arguments)
            return said if isinstance(said, str) else await said
        except (CrossfadeError, TimeoutError) as fault:
            raise FaultError(f"{name}: {fault}") from fault

    def listed(self) -> dict[str, str]:
        """What `clear` takes, and the fault -> what is broken now."""
        found = self.api.listed()
        found |= {f"gateway {name}": said for name, said in self.gateway.listed().items()}
        found |= {f"pods {name}": said for name, said in self.pods.listed().items()}
        return found

    async def clear(self, what: str = "all") -> str:
        """Mend one thing: a fault's number, `api`, `gateway`, `pods`, or `all`.

        Raises:
            FaultError: there is no such thing.
        """
        if what.isdecimal():
            if not self.api.lift(int(what)):
                raise FaultError(f"there is no fault {what}; `crossfade sandbox fault list`")
            return f"lifted fault {what}"
        if what not in (*GROUPS, "all"):
            raise FaultError(f"{what!r} is no fault's number and none of {', '.join(GROUPS)}, all")
        if what in ("api", "all"):
            self.api.clear()
        if what in ("gateway", "all"):
            self.gateway.clear()
        if what in ("pods", "all"):
            try:
                await self.pods.clear()
            except (CrossfadeError, TimeoutError) as fault:
                raise FaultError(f"the pods are as they were: {fault}") from fault
        return "everything is mended" if what == "all" else f"no faults of the {what} any more"


def _match(match: dict[str, str]) -> dict[str, str]:
    if unknown := sorted(match.keys() - MATCHED):
        raise FaultError(
            f"requests are not chosen by {unknown[0]}, but by {', '.join(sorted(MATCHED))}"
        )
    return match


def _existing(number: int, known: range) -> None:
    if number not in known:
        raise FaultError(f"there is no proxy {number}; there are {', '.join(map(str, known))}")


def _knobs(knobs: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(knobs.items()))


def _knobs_of(obj: Obj) -> dict[str, str]:
    annotations: dict[str, str] = obj["metadata"].get("annotations") or {}
    return {
        name.removeprefix(PREFIX): value
        for name, value in annotations.items()
        if name.startswith(PREFIX) and name != PORTS_ANNOTATION
    }


def _version_of(obj: Obj) -> str:
    return str((obj["metadata"].get("labels") or {}).get("version", ""))
