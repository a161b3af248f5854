"""The policy of the scenes, with every time as short as it may be."""

import copy
from collections.abc import Mapping
from typing import Any

import yaml

SHORT: dict[str, Any] = {
    "namespace": "echo",
    "selector": {"app": "echo"},
    "route": {"gloo": {"virtualService": "gloo-system/echo", "upstream": "gloo-system/echo"}},
    "gateway": {
        "url": "http://gateway-proxy.gloo-system:80",
        "host": "echo.example",
        "path": "/",
    },
    "smoke": ["GET / -> 200"],
    "steps": [{"weight": 25, "hold": "1s"}, {"weight": 60, "hold": "1s"}, {"weight": 100}],
    "bake": "1s",
    "confirmTimeout": "5s",
    "analysis": {
        "interval": "400ms",
        "minRequests": 10,
        "onNoData": {"wait": "2m", "then": "pause"},
    },
    "after": {"drain": "0s", "keepOld": "1s", "then": "scaleToZero"},
}
"""The policy of most tests: everything on, every time as short as it may be."""


def policy_text(changes: Mapping[str, Any], *, pod_port: int, name: str = "echo") -> str:
    """Write a policy file: the short one with other keys; a None leaves one out."""
    entry = copy.deepcopy(SHORT) | {"metrics": {"pods": {"port": pod_port}}}
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(entry.get(key), Mapping)
        entry[key] = _without_none({**entry[key], **value}) if both else value
    entry = _without_none(entry)
    whole = {"apiVersion": "crossfade.dev/v1", "kind": "Policy", "rollouts": {name: entry}}
    return yaml.safe_dump(whole, sort_keys=False)


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
