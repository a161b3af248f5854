"""Spells short forms out, so that everything after sees one form.

    metrics: {prometheus: URL}        -> {prometheus: {url: URL}}
    smoke: [ "GET / -> 200", {...} ]  -> {requests: [{name, method, path, expect}, ...]}
    smoke: {via: URL, ...}            -> gateway: {url: URL}
    steps: [5, {weight: 100, bake}]   -> [{weight: 5}, {weight: 100}], bake

Invariant: works on one layer (defaults, a profile, a rollout) before layers are merged, and keeps
places. What is not a short form is left as it is; the validation says what is wrong with it.
"""

import json
import re
from dataclasses import dataclass
from typing import Final

from config.errors import Problem, quoted
from config.keys import METHOD_KEYS
from config.nodes import ListNode, MapNode, Node, Place, ScalarNode, plain

_SMOKE_LINE: Final = re.compile(r"([A-Z]+) +(\S+) +-> +([0-9]{3})", re.ASCII)
_METHODS: Final = tuple(key.upper() for key in METHOD_KEYS)


@dataclass(slots=True)
class ShortForms:
    """Spells layers out and reports what cannot be."""

    problems: list[Problem]

    def spell_out(self, layer: MapNode) -> MapNode:
        """The layer in long form."""
        if isinstance(metrics := layer.get("metrics"), MapNode):
            layer = layer.with_entries({"metrics": _metrics(metrics)}, _key(layer, "metrics"))
        layer = self._smoke(layer)
        return self._steps(layer)

    def _smoke(self, layer: MapNode) -> MapNode:
        match layer.get("smoke"):
            case ListNode() as requests:
                smoke = _map(requests.place, {"requests": self._requests(requests)})
            case MapNode() as smoke:
                if isinstance(listed := smoke.get("requests"), ListNode):
                    spelled: dict[str, Node] = {"requests": self._requests(listed)}
                    smoke = smoke.with_entries(spelled, _key(smoke, "requests"))
                if (via := smoke.get("via")) is not None:
                    layer = self._via(layer, via, smoke.key_place("via"))
                    smoke = smoke.without("via")
            case ScalarNode(value=str()) as line:
                self._report(line.place, "is one text; write a list of requests")
                return layer
            case _:
                return layer
        return layer.with_entries({"smoke": smoke}, _key(layer, "smoke"))

    def _via(self, layer: MapNode, via: Node, key: Place) -> MapNode:
        """`via` is the gateway's address, for the probes too."""
        gateway = layer.get("gateway") or _map(via.place, {})
        if not isinstance(gateway, MapNode):
            return layer
        if "url" in gateway.entries:
            self._report(key, f"stands beside {gateway.key_place('url').path}; keep one of them")
            return layer
        places = {"gateway": layer.keys.get("gateway", key)}
        return layer.with_entries(
            {"gateway": gateway.with_entries({"url": via}, {"url": key})}, places
        )

    def _requests(self, requests: ListNode) -> ListNode:
        return ListNode(tuple(self._request(item) for item in requests.items), requests.place)

    def _request(self, node: Node) -> Node:
        match node:
            case ScalarNode(value=str() as line):
                return self._smoke_line(node, line)
            case MapNode():
                return self._request_map(node)
            case _:
                return node

    def _smoke_line(self, node: ScalarNode, line: str) -> Node:
        match = _SMOKE_LINE.fullmatch(line)
        if match is None or match[1] not in _METHODS:
            self._report(
                node.place, f"{quoted(line)} is not a request; write for example GET / -> 200"
            )
            return node
        method, path, status = match.groups()
        here = node.place
        expect = _map(here, {"status": ScalarNode(int(status), status, here)})
        return _map(
            here,
            {
                "name": _text(f"{method} {path}", here),
                "method": _text(method, here),
                "path": _text(path, here),
                "expect": expect,
            },
        )

    def _request_map(self, node: MapNode) -> Node:
        methods = [key for key in METHOD_KEYS if key in node.entries]
        if len(methods) != 1:
            self._report(node.place, f"name exactly one of {', '.join(METHOD_KEYS)}, with the path")
            return ScalarNode(None, "", node.place)
        (key,) = methods
        path, place = node.entries[key], node.key_place(key)
        spelled = node.without(key).with_entries(
            {"method": _text(key.upper(), place), "path": path}, {"path": place}
        )
        if "name" not in node.entries and isinstance(path, ScalarNode):
            spelled = spelled.with_entries(
                {"name": _text(f"{key.upper()} {path.text}"[:80], path.place)}
            )
        return self._json_body(spelled)

    def _json_body(self, request: MapNode) -> MapNode:
        """`json` becomes the body and says so in the header, where none says otherwise."""
        if (value := request.get("json")) is None:
            return request
        place = request.key_place("json")
        if "body" in request.entries:
            self._report(place, "stands beside body; keep one of them")
            return request.without("json")
        body = json.dumps(plain(value), separators=(",", ":"), ensure_ascii=False)
        request = request.without("json").with_entries({"body": _text(body, place)})
        headers = request.get("headers") or _map(place, {})
        if not isinstance(headers, MapNode) or "content-type" in {
            key.lower() for key in headers.entries
        }:
            return request
        headers = headers.with_entries({"Content-Type": _text("application/json", place)})
        return request.with_entries({"headers": headers}, _key(request, "headers"))

    def _steps(self, layer: MapNode) -> MapNode:
        steps = layer.get("steps")
        if not isinstance(steps, ListNode):
            return layer
        items: list[Node] = []
        for item in steps.items:
            if isinstance(item, MapNode):
                layer, item = self._step(layer, item)  # noqa: PLW2901 - the same step, spelled out
            elif isinstance(item, ScalarNode):
                item = _map(item.place, {"weight": item})  # noqa: PLW2901 - the same step, spelled out
            items.append(item)
        return layer.with_entries(
            {"steps": ListNode(tuple(items), steps.place)}, _key(layer, "steps")
        )

    def _step(self, layer: MapNode, step: MapNode) -> tuple[MapNode, MapNode]:
        """At 100 the time is called bake, and there it belongs to the whole rollout."""
        weight = step.get("weight")
        last = isinstance(weight, ScalarNode) and weight.value == 100
        if last and "hold" in step.entries:
            self._report(step.key_place("hold"), "the step 100 has no hold; write bake")
        if (bake := step.get("bake")) is None:
            return layer, step.without("hold") if last else step
        key = step.key_place("bake")
        if not last:
            self._report(key, "only the step 100 has a bake; write hold")
        elif "bake" in layer.entries:
            self._report(key, f"stands beside {layer.key_place('bake').path}; keep one of them")
        else:
            layer = layer.with_entries({"bake": bake}, {"bake": key})
        return layer, step.without("bake", "hold") if last else step.without("bake")

    def _report(self, place: Place, message: str) -> None:
        self.problems.append(Problem(*place, message))


def _metrics(metrics: MapNode) -> MapNode:
    source = metrics.get("prometheus")
    if not isinstance(source, ScalarNode) or source.value is None:
        return metrics
    spelled = _map(source.place, {"url": source})
    return metrics.with_entries({"prometheus": spelled}, _key(metrics, "prometheus"))


def _key(node: MapNode, key: str) -> dict[str, Place]:
    return {key: node.keys[key]} if key in node.keys else {}


def _map(place: Place, entries: dict[str, Node]) -> MapNode:
    return MapNode(entries, {key: node.place for key, node in entries.items()}, place)


def _text(value: str, place: Place) -> ScalarNode:
    return ScalarNode(value, value, place)
