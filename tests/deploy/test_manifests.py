"""What `deploy/` promises, read off the rendered manifests. The cluster suite applies them."""

from collections import Counter
from pathlib import Path

import pytest
import yaml

from config.load import load_policy
from daemon.cli.run import run
from tests.cluster.audit import granted
from tests.cluster.manifests import DEPLOY, EXAMPLE, KUBECTL, of_kind, rendered

pytestmark = pytest.mark.skipif(not KUBECTL.exists(), reason="kubectl is not installed")

MOST_IN_A_NAMESPACE = 20
FOLDERS = sorted(
    path.parent.relative_to(DEPLOY)
    for path in DEPLOY.rglob("kustomization.yaml")
    if path.parent != EXAMPLE
)
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def example():
    return rendered(EXAMPLE)


@pytest.fixture(scope="module")
def pod(example):
    [daemon] = [
        it for it in of_kind(example, "Deployment") if it["metadata"]["name"] == "crossfade"
    ]
    return daemon["spec"]["template"]["spec"]


# ---------------------------------------------------------------- rights


def test_no_namespace_grants_more_than_twenty_permissions(example):
    counted = Counter(it.namespace for it in granted(of_kind(example, "Role")))

    assert counted
    assert max(counted.values()) <= MOST_IN_A_NAMESPACE, counted


def test_all_rights_together_fit_into_one_namespace():
    roles = [
        role
        for folder in ("base", "rights/target", "rights/gloo-virtualservice")
        for role in of_kind(rendered(DEPLOY / folder), "Role")
    ]

    rights = {right._replace(namespace="") for right in granted(roles)}

    assert len(rights) <= MOST_IN_A_NAMESPACE


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_nothing_is_granted_cluster_wide(folder: Path):
    kinds = {it["kind"] for it in rendered(DEPLOY / folder)}

    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_no_right_touches_secrets_or_uses_a_wildcard(folder: Path):
    rights = granted(of_kind(rendered(DEPLOY / folder), "Role"))

    assert not [it for it in rights if "*" in it or it.resource.startswith("secrets")]


def test_the_daemon_may_create_nothing_but_events_and_its_own_configmaps(example):
    created = {
        (it.namespace, it.resource)
        for it in granted(of_kind(example, "Role"))
        if it.verb == "create"
    }

    assert created == {
        ("crossfade", "configmaps"),
        ("echo", "events"),
        ("gloo-system", "events"),
    }


def test_every_role_is_bound_to_the_daemons_account_alone(example):
    roles = {
        (it["metadata"]["namespace"], it["metadata"]["name"]) for it in of_kind(example, "Role")
    }
    bound = {
        (it["metadata"]["namespace"], it["roleRef"]["name"]): it["subjects"]
        for it in of_kind(example, "RoleBinding")
    }
    account = {"kind": "ServiceAccount", "name": "crossfade", "namespace": "crossfade"}

    assert set(bound) == roles
    assert all(subjects == [account] for subjects in bound.values())


# ---------------------------------------------------------------- the pod


def test_two_daemons_never_run_side_by_side(example):
    [daemon] = [
        it for it in of_kind(example, "Deployment") if it["metadata"]["name"] == "crossfade"
    ]

    assert daemon["spec"]["replicas"] == 1
    assert daemon["spec"]["strategy"] == {"type": "Recreate"}


def test_the_pod_meets_the_restricted_pod_security_standard(pod):
    [container] = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_accounts_token_is_mounted_in_the_daemon_alone(example, pod):
    [account] = of_kind(example, "ServiceAccount")

    assert account["automountServiceAccountToken"] is False
    assert pod["automountServiceAccountToken"] is True


def test_the_policy_is_mounted_as_a_directory_so_that_a_change_arrives(pod):
    [container] = pod["containers"]
    [mount] = container["volumeMounts"]
    [path] = [it for it in container["args"] if it.startswith("--policy=")]

    assert "subPath" not in mount
    assert path == f"--policy={mount['mountPath']}/policy.yaml"


def test_the_daemon_knows_every_option_that_it_is_started_with(pod):
    [container] = pod["containers"]
    command, *options = container["args"]

    known = {option for parameter in run.params for option in parameter.opts}

    assert command == "run"
    assert {it.partition("=")[0] for it in options} <= known


def test_the_kubelet_asks_where_the_daemon_answers(pod):
    [container] = pod["containers"]

    paths = {
        probe: container[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }

    assert paths == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }


def test_a_stopping_daemon_has_more_time_than_it_needs(pod):
    assert pod["terminationGracePeriodSeconds"] > 10


# ---------------------------------------------------------------- the example


def test_the_examples_policy_is_valid(example):
    [policy] = of_kind(example, "ConfigMap")

    loaded = load_policy(policy["data"]["policy.yaml"], filename="policy.yaml")

    assert list(loaded.rollouts) == ["echo"]


def test_the_examples_versions_differ_in_nothing_but_their_version():
    def without_version(file: Path) -> str:
        version = file.stem.removeprefix("echo-")
        deployment = yaml.safe_load(file.read_text(encoding="utf-8"))
        del deployment["apiVersion"]  # it holds a v1 of another kind
        return str(deployment).replace(version, "VERSION").replace(", '--random-error'", "")

    files = [EXAMPLE / "echo-v1.yaml", *sorted((EXAMPLE / "releases").iterdir())]

    assert len({without_version(file) for file in files}) == 1


# ---------------------------------------------------------------- the image


@pytest.mark.parametrize(
    "line",
    [
        "USER 65532:65532",
        "STOPSIGNAL SIGTERM",
        "PYTHONSAFEPATH=1",
        'ENTRYPOINT ["/usr/bin/python3", "-m", "daemon"]',
        "org.opencontainers.image.licenses",
        "--require-hashes",
    ],
)
def test_the_image_says(line: str):
    assert line in DOCKERFILE


def test_the_final_stage_runs_no_command_so_it_needs_no_shell():
    final = DOCKERFILE.rpartition("FROM ${RUNTIME}")[2]

    assert "RUN " not in final
