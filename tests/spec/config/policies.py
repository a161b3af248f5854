"""The example policies, and short ones made of parts."""

from pathlib import Path

from config.load import load_policy
from config.schema import Rollout

POLICIES = Path(__file__).parents[2] / "policies"
GOOD = sorted((POLICIES / "good").glob("*.yaml"))
BAD = sorted((POLICIES / "bad").glob("*.yaml"))

HEAD = """\
apiVersion: crossfade.dev/v1
kind: Policy
metrics: {prometheus: http://prometheus.monitoring:9090}
"""

ECHO = """\
rollouts:
  echo:
    namespace: echo
    selector: {app: echo}
    route: {gloo: {virtualService: gloo-system/echo, upstream: gloo-system/echo}}
    smoke: [GET / -> 200]
"""


def echo(*lines: str, head: str = HEAD, base: str = ECHO) -> Rollout:
    """The one rollout of a policy with these lines added to it."""
    text = head + base + "".join(f"    {line}\n" for line in lines)
    return load_policy(text, filename="policy.yaml").rollouts["echo"]


def without_smoke() -> str:
    """The rollout without its last line."""
    return ECHO.replace("    smoke: [GET / -> 200]\n", "")
