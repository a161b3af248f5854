"""Options that several commands share, and their values."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click

from daemon.core.model import TargetKey

Command = Callable[..., Any]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Place:
    """Which cluster, and where in it.

    Attributes:
        namespace: as given with -n; None is the kubeconfig context's.
        daemon_namespace: where to look for evidence if it may not be listed everywhere.
        route_namespaces: where to look for routes if they may not be listed everywhere.
    """

    kubeconfig: str | None
    context: str | None
    namespace: str | None
    daemon_namespace: str
    route_namespaces: tuple[str, ...]


class NameType(click.ParamType[str]):
    """A Kubernetes name, refused before any request is made with it."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name as it is."""
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            self.fail(f"{value!r} is not a name (small letters, digits, '-')", param, ctx)
        return value


class TargetType(click.ParamType[str]):
    """`echo` or `namespace/echo`."""

    name = "target"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as it is, once its form is right."""
        parts = str(value).split("/")
        if len(parts) > 2 or not all(_NAME.fullmatch(part) for part in parts):
            self.fail(f"{value!r} is not a target; write NAME or NAMESPACE/NAME", param, ctx)
        return str(value)


class DurationType(click.ParamType[timedelta]):
    """`30s`, `5m`, `1h30m`: the policy's spelling."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read the policy's spelling; the parser is loaded only when a duration is given."""
        if isinstance(value, timedelta):
            return value
        from config.quantities import parse_duration

        try:
            return parse_duration(str(value))
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


def with_place(command: Command) -> Command:
    """Add the options that say which cluster; the command gets them as `place`."""

    @click.option("--kubeconfig", metavar="FILE", help="Kubeconfig to use.")
    @click.option("--context", metavar="NAME", help="Context of the kubeconfig.")
    @click.option(
        "-n", "--namespace", type=NameType(), help="The target's namespace [the context's]."
    )
    @click.option(
        "--daemon-namespace",
        type=NameType(),
        default="crossfade",
        show_default=True,
        envvar="CROSSFADE_NAMESPACE",
        help="Where the daemon keeps its evidence, if it may not be listed everywhere.",
    )
    @click.option(
        "--route-namespace",
        "route_namespaces",
        type=NameType(),
        multiple=True,
        default=("gloo-system",),
        show_default=True,
        help="Where the routes are, if they may not be listed everywhere; repeatable.",
    )
    @functools.wraps(command)
    def with_options(
        kubeconfig: str | None,
        context: str | None,
        namespace: str | None,
        daemon_namespace: str,
        route_namespaces: tuple[str, ...],
        **rest: Any,
    ) -> Any:
        place = Place(kubeconfig, context, namespace, daemon_namespace, route_namespaces)
        return command(place=place, **rest)

    return with_options


def key_of(target: str, namespace: str) -> TargetKey:
    """Read `NAME` or `NAMESPACE/NAME`; the namespace inside wins."""
    head, slash, tail = target.rpartition("/")
    return TargetKey(head if slash else namespace, tail)
