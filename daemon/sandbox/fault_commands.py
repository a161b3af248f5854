"""The commands `sandbox fault ...`: break a running sandbox on purpose, list it, mend it.

Each command asks the control endpoint of a `sandbox up` and prints the sentence it answers. What a
fault imitates stands in its help. Not here: how a fault works.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import durationpy

from daemon.cli.exits import Exit, Failure
from daemon.errors import CrossfadeError, TransientError
from daemon.sandbox.control import ask_control, find_control
from daemon.sandbox.faults import GROUPS, REFUSED
from daemon.sandbox.knobs import MetricsFault

MOST_TIMES: Final = 1_000_000
LONGEST_SECONDS: Final = 366 * 86_400.0
"""A year and a day: the clock may jump that far; other durations have bounds of their own."""
SENDERS: Final = {"daemon": "crossfade/", "kubectl": "kubectl/", "everybody": ""}
"""How their User-Agents begin. Crossfade's own command line counts as the daemon."""
Command = TypeVar("Command", bound=Callable[..., Any])


class _Seconds(click.ParamType[float]):
    """A duration such as 500ms, 2s or 1m30s, in seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        try:
            seconds = float(durationpy.from_str(str(value)).total_seconds())
        except durationpy.DurationError:
            seconds = -1.0
        if not 0 <= seconds <= LONGEST_SECONDS:
            self.fail(f"{value!r} is no duration such as 500ms, 2s or 1m30s", param, ctx)
        return seconds


DURATION: Final = _Seconds()


@click.group()
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the sandbox keeps its kubeconfig; otherwise that of KUBECONFIG, or the newest.",
)
@click.pass_context
def fault(ctx: click.Context, directory: Path | None) -> None:
    """Break a running sandbox on purpose.

    Every fault stays until its times are used up or `clear` ends it; `list` shows what is broken.
    """
    ctx.obj = directory


def _ask(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        file = find_control(click.get_current_context().obj, os.environ)
        return ask_control(file, method, path, body)
    except TransientError as problem:
        raise Failure(str(problem), Exit.UNREACHABLE) from problem
    except CrossfadeError as problem:
        raise Failure(str(problem)) from problem


def _cause(kind: str, /, **arguments: Any) -> None:
    click.echo(_ask("POST", "/faults", {"fault": kind, **arguments})["said"])


@fault.command("list")
def list_faults() -> None:
    """Show what is broken now.

    A line begins with what `clear` takes: the fault's number, or the part of the sandbox.
    """
    found = _ask("GET", "/faults")["faults"]
    for name, said in found.items():
        click.echo(f"{name:<14} {said}")
    if not found:
        click.echo("nothing is broken")


@fault.command()
@click.argument("what", default="all", metavar="[NUMBER|api|gateway|pods|all]")
def clear(what: str) -> None:
    """Mend a numbered fault, one part of the sandbox, or all of it.

    Pods become what their Deployment says; the API server's clock is right again.
    """
    if not what.isdecimal() and what not in (*GROUPS, "all"):
        raise click.BadParameter(
            f"{what!r} is neither a number nor one of {', '.join(GROUPS)}, all"
        )
    click.echo(_ask("POST", "/clear", {"what": what})["said"])


# ---------------------------------------------------------------- the API server


@fault.group()
def api() -> None:
    """The API server: refusals, silence, slowness, lost answers, watches, its clock."""


def _choosing(command: Command) -> Command:
    """Add the options that choose requests."""
    for option in (
        click.option("--name", metavar="NAME", help="Only for the object of this name."),
        click.option("--namespace", metavar="NAME", help="Only in this namespace."),
        click.option(
            "--resource", metavar="PLURAL", help="Only this kind, such as virtualservices."
        ),
        click.option(
            "--verb",
            type=click.Choice(["get", "list", "watch", "create", "update", "patch", "delete"]),
            help="Only this verb.",
        ),
        click.option(
            "--from",
            "agent",
            type=click.Choice(list(SENDERS)),
            default="daemon",
            show_default=True,
            help="Whose requests; everybody includes the sandbox's own parts.",
        ),
    ):
        command = option(command)
    return command


def _times(default: int | None) -> Callable[[Command], Command]:
    """Add the options that say how often."""
    usual = "until cleared" if default is None else "once"

    def decorate(command: Command) -> Command:
        often = click.option(
            "--times",
            type=click.IntRange(1, MOST_TIMES),
            default=default,
            metavar="N",
            help=f"For so many requests; otherwise {usual}.",
        )
        always = click.option(
            "--until-cleared", is_flag=True, help="For every request from now on."
        )
        return often(always(command) if default is not None else command)

    return decorate


def _match(options: dict[str, Any]) -> dict[str, Any]:
    """Turn options into what the endpoint takes; what is not given matches everything."""
    options = dict(options)
    options["agent"] = SENDERS[options["agent"]] or None
    if options.pop("until_cleared", False):
        options["times"] = None
    return {key: value for key, value in options.items() if value is not None or key == "times"}


@api.command()
@click.argument("code", type=click.Choice([str(code) for code in REFUSED]))
@click.option("--retry-after", type=click.IntRange(0, 3600), metavar="SECONDS", help="Ask to wait.")
@_times(1)
@_choosing
def answer(code: str, retry_after: int | None, **options: Any) -> None:
    """Refuse requests with a code, without effect.

    409: somebody wrote first. 410: too old to go on from. 429: too busy (--retry-after). 500, 503,
    504: the API server, or a webhook or etcd behind it, is ill. 403: a right was taken away.
    """
    _cause("api.answer", code=int(code), retry_after=retry_after, **_match(options))


@api.command()
@_times(None)
@_choosing
def hang(**options: Any) -> None:
    """Never answer: a connection into a network that drops everything.

    Watches that are open go on; `silence-watches` stops those. Clearing closes the connections.
    """
    _cause("api.hang", **_match(options))


@api.command()
@click.argument("late", type=DURATION)
@_times(None)
@_choosing
def slow(late: float, **options: Any) -> None:
    """Answer late: an API server or an etcd under load."""
    _cause("api.slow", seconds=late, **_match(options))


@api.command("lose-answer")
@_times(1)
@_choosing
def lose_answer(**options: Any) -> None:
    """Carry requests out and lose the answer: a load balancer that goes away in between.

    Nobody can tell it from a request that never arrived, but by reading again.
    """
    _cause("api.lose-answer", **_match(options))


@api.command("cut-watches")
@_choosing
def cut_watches(**options: Any) -> None:
    """Cut the connections of open watches, once: an API server that restarts."""
    _cause("api.cut-watches", **_match(options))


@api.command("silence-watches")
@_choosing
def silence_watches(**options: Any) -> None:
    """Let watches stay open and say nothing: a connection that died without a word."""
    _cause("api.silence-watches", **_match(options))


@api.command("end-watches")
@click.argument("code", type=click.Choice([str(code) for code in REFUSED]), default="410")
@_times(1)
@_choosing
def end_watches(code: str, **options: Any) -> None:
    """End a watch with an ERROR event; 410 is history that was compacted away: list again."""
    _cause("api.end-watches", code=int(code), **_match(options))


@api.command()
@click.option("--ahead", type=DURATION, metavar="DURATION", help="Of the machine's clock.")
@click.option("--behind", type=DURATION, metavar="DURATION", help="Of the machine's clock.")
def clock(ahead: float | None, behind: float | None) -> None:
    """Let the API server's clock jump: a control plane node without NTP, or a failover to one.

    `--ahead 0s` sets it right.
    """
    if (ahead is None) == (behind is None):
        raise click.UsageError("say either --ahead or --behind")
    _cause("api.clock", seconds=ahead if ahead is not None else -(behind or 0.0))


# ---------------------------------------------------------------- the gateway


@fault.group()
def gateway() -> None:
    """The gateway: a control plane that rejects or does not follow, proxies that restart."""


@gateway.command()
@click.argument("reason", default="rejected on purpose")
def reject(reason: str) -> None:
    """Reject every VirtualService: invalid configuration somewhere in each host.

    Hosts keep the routes they had; no change of theirs takes effect, a rollback neither. After
    `restart` they are lost.
    """
    _cause("gateway.reject", reason=reason)


@gateway.command()
@click.argument("late", type=DURATION)
def delay(late: float) -> None:
    """Let changes be live after up to so long: Gloo's tick, one second in a real one."""
    _cause("gateway.delay", seconds=late)


@gateway.command("status-delay")
@click.argument("late", type=DURATION)
def status_delay(late: float) -> None:
    """Let statuses come later than the routes they speak of: a status that is stale."""
    _cause("gateway.status-delay", seconds=late)


@gateway.command()
@click.argument("proxies", type=int, nargs=-1, metavar="[PROXY]...")
def freeze(proxies: tuple[int, ...]) -> None:
    """Accept everything and tell the proxies nothing: a listener whose routes Envoy refuses.

    Named by numbers from 0; none named: all.
    """
    _cause("gateway.freeze", proxies=list(proxies))


@gateway.command()
@click.argument("proxies", type=int, nargs=-1, metavar="[PROXY]...")
def unbind(proxies: tuple[int, ...]) -> None:
    """Give proxies a listener they cannot bind: a Gateway's bindAddress or bindPort that is taken.

    They close the one they had and refuse connections, while every status stays Accepted. Named by
    numbers from 0; none named: all. `thaw` mends it.
    """
    _cause("gateway.unbind", proxies=list(proxies))


@gateway.command()
def thaw() -> None:
    """Tell every proxy the newest routes again: the listener is mended."""
    _cause("gateway.thaw")


@gateway.command()
def restart() -> None:
    """Restart the control plane: what only its memory held is lost, such as rejected hosts."""
    _cause("gateway.restart")


@gateway.command("restart-proxy")
@click.argument("number", type=int)
def restart_proxy(number: int) -> None:
    """Stop one proxy, which comes back by itself on its port: a gateway pod that is replaced."""
    _cause("gateway.restart-proxy", number=number)


# ---------------------------------------------------------------- pods


@fault.group()
def pods() -> None:
    """Running pods of a version: crash, flap, fail, slow down, never be ready.

    New pods are as their Deployment says. To break those, put the annotations
    sandbox.crossfade.dev/{error-rate,error-paths,latency,start-delay,crash,flap,never-ready} on its
    pod template.
    """


def _turn(version: str, **knobs: str) -> None:
    spelt = {name.replace("_", "-"): value for name, value in knobs.items()}
    _cause("pods.turn", version=version, knobs=spelt)


@pods.command()
@click.argument("version")
def crash(version: str) -> None:
    """Let the processes crash, once; they start again after a back-off: an OOM kill, a panic."""
    _cause("pods.crash", version=version)


@pods.command()
@click.argument("version")
@click.argument("each", type=DURATION)
def flap(version: str, each: float) -> None:
    """Let pods be ready, then not ready, each for so long: a probe at the edge of its time-out."""
    _turn(version, flap=f"{each:g}s")


@pods.command()
@click.argument("version")
@click.argument("share", type=click.FloatRange(0, 1))
@click.option("--path", "paths", multiple=True, help="Only this path fails; may be repeated.")
def fail(version: str, share: float, paths: tuple[str, ...]) -> None:
    """Let a share of requests, from 0 to 1, be answered 500: a bug in the new version."""
    _turn(version, error_rate=f"{share:g}", error_paths=",".join(paths))


@pods.command("slow")
@click.argument("version")
@click.argument("late", type=DURATION)
def slow_down(version: str, late: float) -> None:
    """Let every answer take so much longer: a slow query, a saturated CPU."""
    _turn(version, latency=f"{late:g}s")


@pods.command("never-ready")
@click.argument("version")
def never_ready(version: str) -> None:
    """Let pods run and not be ready: a dependency that is missing, a wrong probe."""
    _turn(version, never_ready="true")


# ---------------------------------------------------------------- metrics


@fault.command()
@click.argument("version")
@click.argument(
    "kind", type=click.Choice([*(it.value for it in MetricsFault if it.value != "none"), "reset"])
)
def metrics(version: str, kind: str) -> None:
    """Spoil the metrics pages of a version's pods.

    vanish: 404, as after a change of port or path. stale: the page stands still, as behind a cache.
    lie: failures are counted as successes. garbage: a page that is no metrics. hang: no answer.
    nan: values that are no numbers. reset: counters begin at zero, as after a restart.
    """
    if kind == "reset":
        _cause("pods.reset-metrics", version=version)
    else:
        _turn(version, metrics=kind)
