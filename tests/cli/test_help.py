"""The command line from outside: quick to start, helpful when wrong, stdout for answers only."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli.program import program

GOOD = """\
apiVersion: crossfade.dev/v1
kind: Policy
metrics: {prometheus: http://prometheus.monitoring:9090}
rollouts:
  echo:
    namespace: echo
    selector: {app: echo}
    route: {gloo: {virtualService: gloo-system/echo, upstream: gloo-system/echo}}
    smoke:
      - GET / -> 200
"""
KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: here
clusters: [{name: here, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: ana, user: {}}]
contexts: [{name: here, context: {cluster: here, user: ana}}]
"""
BAD = GOOD.replace("namespace:", "namspace:").replace("GET / -> 200", "GET / -> 2000")

COMMANDS = [
    "run",
    "status",
    "explain",
    "replay",
    "plan",
    "abort",
    "promote",
    "pause",
    "resume",
    "retry",
    "validate",
    "schema",
]


def crossfade(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "daemon", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def good(tmp_path: Path) -> str:
    file = tmp_path / "good.yaml"
    file.write_text(GOOD)
    return str(file)


@pytest.fixture
def bad(tmp_path: Path) -> str:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)
    return str(file)


HEAVY = ("kubernetes", "aiohttp", "rich", "structlog", "prometheus_client", "apscheduler")


@pytest.mark.parametrize(
    ("arguments", "also"),
    [
        pytest.param(["--help"], ("pydantic", "yaml", "asyncio"), id="help"),
        pytest.param(["--version"], ("pydantic", "yaml", "asyncio"), id="version"),
        pytest.param(["abort", "--help"], ("pydantic", "yaml"), id="help of a command"),
        pytest.param(["validate", "{good}"], (), id="validate"),
        pytest.param(["plan", "{good}", "--rps", "9", "--base", "1%"], (), id="plan"),
        pytest.param(["schema"], (), id="schema"),
    ],
)
def test_a_command_loads_only_what_it_needs(
    arguments: list[str], also: tuple[str, ...], good: str
) -> None:
    arguments = [it.format(good=good) for it in arguments]
    code = (
        "import sys\n"
        f"sys.argv = ['crossfade', *{arguments!r}]\n"
        "from daemon.__main__ import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )

    assert set(ran.stderr.split()) & {*HEAVY, *also} == set()


def test_help_names_every_command_and_the_exit_codes() -> None:
    ran = crossfade("--help")

    assert ran.returncode == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in ran.stdout] == []
    assert "6 cluster unreachable or forbidden" in " ".join(ran.stdout.split())


def test_every_option_of_every_command_is_explained() -> None:
    group = program()
    silent = [
        f"{command.name} {option.name}"
        for command in group.commands.values()
        for option in command.params
        if option.param_type_name == "option" and not getattr(option, "help", None)
        if option.name not in {"output", "log_level"}
    ]

    assert silent == []


def test_version_is_told() -> None:
    assert crossfade("--version").stdout.startswith("crossfade, version ")


def test_a_misspelt_command_gets_a_suggestion_and_exit_2() -> None:
    ran = crossfade("statu")

    assert ran.returncode == 2
    assert "Did you mean 'status'?" in ran.stderr
    assert ran.stdout == ""


def test_a_misspelt_option_gets_a_suggestion() -> None:
    assert "--policy" in crossfade("run", "--polcy", "x").stderr


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["abort"], id="no target"),
        pytest.param(["abort", "a/b/c"], id="a target of three parts"),
        pytest.param(["abort", "../etc"], id="a target that is no name"),
        pytest.param(["status", "-n", "Echo"], id="a namespace that is no name"),
        pytest.param(["status", "echo", "-A"], id="a target and all namespaces"),
        pytest.param(["status", "--watch", "-o", "yaml"], id="a watch as YAML"),
        pytest.param(["promote", "echo", "--skip-check", "latency"], id="a skip without a reason"),
        pytest.param(["abort", "echo", "--timeout", "30sec"], id="a time-out that is no duration"),
        pytest.param(["run"], id="no policy"),
        pytest.param(["run", "--policy", "x", "--listen", "8080"], id="an address without a port"),
        pytest.param(["validate"], id="nothing to validate"),
    ],
)
def test_bad_usage_is_exit_2_with_the_reason_on_stderr(arguments: list[str]) -> None:
    ran = crossfade(*arguments)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr


# ---------------------------------------------------------------- validate, schema


def test_a_good_policy_is_exit_0(good: str) -> None:
    ran = crossfade("validate", good)

    assert (ran.returncode, ran.stdout) == (0, f"{good}: valid, 1 rollout\n")


def test_a_bad_policy_is_exit_2_with_all_its_problems_on_stdout(bad: str) -> None:
    ran = crossfade("validate", bad)

    lines = ran.stdout.splitlines()
    assert ran.returncode == 2
    assert [line.split(": ")[0] for line in lines] == [f"{bad}:6:5", f"{bad}:10:9"]
    assert "did you mean 'namespace'" in lines[0]
    assert ran.stderr == f"{bad}: 2 errors, 0 warnings\n"


def test_all_files_are_checked_even_after_a_bad_one(bad: str, good: str) -> None:
    ran = crossfade("validate", bad, good)

    assert ran.returncode == 2
    assert f"{good}: valid" in ran.stdout


def test_a_policy_may_come_from_a_pipe() -> None:
    ran = crossfade("validate", "-", stdin=GOOD)

    assert (ran.returncode, ran.stdout) == (0, "stdin: valid, 1 rollout\n")


def test_a_file_that_is_not_there_is_told() -> None:
    ran = crossfade("validate", "/nonexistent/policy.yaml")

    assert ran.returncode == 2
    assert ran.stderr == "error: /nonexistent/policy.yaml: No such file or directory\n"


def test_the_schema_is_json() -> None:
    schema = json.loads(crossfade("schema").stdout)

    assert "rollouts" in schema["properties"]


# ---------------------------------------------------------------- surroundings


def test_a_foreign_package_named_config_is_refused_with_a_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("")

    ran = subprocess.run(
        [sys.executable, "-m", "daemon", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ran.returncode == 1
    assert f"its package `config` is shadowed by {tmp_path}" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_reader_that_went_away_is_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon", "schema"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None

    process.stdout.close()
    _, stderr = process.communicate(timeout=30)

    assert stderr == ""


# ---------------------------------------------------------------- run


def test_a_daemon_with_a_bad_policy_does_not_start(bad: str) -> None:
    ran = crossfade("run", "--policy", bad)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"{bad}:6:5: " in ran.stderr


def test_a_daemon_whose_port_is_taken_says_which_and_what_to_do(good: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        ran = crossfade(
            *("run", "--policy", good, "--kubeconfig", str(kubeconfig), "--listen", address)
        )

    assert ran.returncode == 1
    assert ran.stderr == (
        f"error: cannot listen on {address}: another process listens there; "
        "choose another address with --listen HOST:PORT\n"
    )
