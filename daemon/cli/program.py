"""The command line as a whole: one group, its commands, its version.

Start-up budget 0.3 s: modules named here import click and the standard library only; what a command
needs beyond that it imports when it runs.
"""

from importlib.metadata import PackageNotFoundError, version

import click

from daemon.cli import ask, explain, plan, policy, replay, report, run, show


class _InOrder(click.Group):
    """Lists its commands in the order in which a person meets them."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Keep the order of adding; click would sort by name."""
        return list(self.commands)


def program() -> click.Group:
    """Build the command `crossfade`."""
    group = _InOrder(
        "crossfade",
        help=(
            "Automated progressive delivery for Kubernetes: watches for a new version, proves it, "
            "shifts traffic to it step by step, and takes it back by itself."
        ),
        epilog=(
            "Exit codes: 0 done or promoted, 1 error, 2 bad usage or invalid policy, 3 failed or "
            "rolled back, 4 timed out, 5 waiting for a person, 6 cluster unreachable or forbidden."
        ),
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        no_args_is_help=True,
    )
    click.version_option(installed_version(), prog_name="crossfade")(group)
    for command in (
        *run.COMMANDS,
        *show.COMMANDS,
        *explain.COMMANDS,
        *replay.COMMANDS,
        *report.COMMANDS,
        *plan.COMMANDS,
        *ask.COMMANDS,
        *policy.COMMANDS,
    ):
        group.add_command(command)
    return group


def installed_version() -> str:
    """Return the version of the installed distribution; `unknown` in a bare source tree."""
    try:
        return version("crossfade")
    except PackageNotFoundError:
        return "unknown"
