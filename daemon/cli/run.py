"""The command `run`: from options and environment to `Settings`, then the daemon itself."""

import os
import socket
from pathlib import Path
from typing import Any

import click

from daemon.cli.exits import Failure
from daemon.cli.options import NameType


@click.command()
@click.option(
    "--policy",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    envvar="CROSSFADE_POLICY",
    show_envvar=True,
    help="The policy file; it is read again when it changes.",
)
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Kubeconfig to use [inside a cluster: the pod's own account].",
)
@click.option("--context", metavar="NAME", help="Context of the kubeconfig.")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default=":8080",
    show_default=True,
    envvar="CROSSFADE_LISTEN",
    show_envvar=True,
    help="Where metrics and health are served; :PORT is every address.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    envvar="CROSSFADE_LOG_LEVEL",
    show_envvar=True,
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "console", "json"]),
    default="auto",
    show_default=True,
    envvar="CROSSFADE_LOG_FORMAT",
    show_envvar=True,
    help="auto: console on a terminal, else JSON lines.",
)
@click.option(
    "--namespace",
    type=NameType(),
    envvar="CROSSFADE_NAMESPACE",
    show_envvar=True,
    help="Where evidence is kept [the pod's own namespace, else default].",
)
def run(**options: Any) -> None:
    """Run the daemon until it is told to stop."""
    settings = _settings(**options)
    import asyncio

    from daemon.log import configure_logging

    configure_logging(settings.log_level, settings.log_format)
    from daemon.app import run_daemon
    from daemon.errors import CrossfadeError

    try:
        code = asyncio.run(run_daemon(settings))
    except CrossfadeError as problem:
        raise Failure(str(problem)) from problem
    raise SystemExit(code)


def _settings(*, listen: str, namespace: str | None, **options: Any) -> Any:
    from daemon.settings import Settings, own_namespace, parse_listen

    try:
        host, port = parse_listen(listen)
    except ValueError as problem:
        raise click.BadParameter(str(problem), param_hint="--listen") from problem
    return Settings(
        listen_host=host,
        listen_port=port,
        evidence_namespace=own_namespace(namespace),
        pod_name=os.environ.get("POD_NAME") or socket.gethostname(),
        **options,
    )


COMMANDS = (run,)
