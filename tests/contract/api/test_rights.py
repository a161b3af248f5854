"""Who may do what: tokens, RBAC from the objects in the store, reviews, and the recorder beside them."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from daemon.ports import Resource
from daemon.sandbox.api import ApiServer
from tests.contract.api.cluster import Cluster, config

RBAC = "rbac.authorization.k8s.io"
ROBOT = "system:serviceaccount:crossfade:robot"
TOKENS = {"a": "admin", "r": ROBOT, "g": "guest"}


def role(name: str, *rules: dict, kind: str = "Role", namespace: str = "default") -> tuple:
    plural = {"Role": "roles", "ClusterRole": "clusterroles"}[kind]
    body = {"metadata": {"name": name}, "rules": list(rules)}
    return Resource(RBAC, "v1", plural, kind), namespace, body


def binding(name: str, subject: dict, kind: str = "Role", *, wide: bool = False) -> tuple:
    plural, own = (
        ("clusterrolebindings", "ClusterRoleBinding") if wide else ("rolebindings", "RoleBinding")
    )
    body = {
        "metadata": {"name": name},
        "roleRef": {"kind": kind, "name": name},
        "subjects": [subject],
    }
    return Resource(RBAC, "v1", plural, own), "default", body


def rule(verbs: str, resources: str, groups: str = "", **more) -> dict:
    return {"verbs": verbs.split(), "resources": resources.split(), "apiGroups": [groups], **more}


ACCOUNT = {"kind": "ServiceAccount", "namespace": "crossfade", "name": "robot"}
GUEST = {"kind": "User", "name": "guest"}


@pytest.fixture
async def guarded() -> AsyncIterator[Cluster]:
    server = ApiServer(tokens=TOKENS)
    await server.start()
    server.store.create(Resource("", "v1", "configmaps", "ConfigMap"), "default", config())
    async with aiohttp.ClientSession() as session:
        yield Cluster(server.url, session, "default", {"Authorization": "Bearer r"}, server)
    await server.stop()


def grant(cluster: Cluster, *objects: tuple) -> None:
    for resource, namespace, body in objects:
        cluster.server.store.create(resource, namespace, body)


def as_user(cluster: Cluster, token: str) -> Cluster:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Cluster(cluster.base, cluster.session, cluster.namespace, headers, cluster.server)


async def test_without_a_token_nobody_is_let_in(guarded: Cluster):
    for token in ("", "wrong"):
        answer = await as_user(guarded, token).get(guarded.at("configmaps"))
        assert (answer.code, answer.body["reason"]) == (401, "Unauthorized")


async def test_an_admin_may_do_everything(guarded: Cluster):
    assert (await as_user(guarded, "a").get(guarded.at("configmaps", "c"))).code == 200


WORDS = [
    ("GET", "configmaps/c", f'configmaps "c" is forbidden: User "{ROBOT}" cannot get resource "configmaps" in API group "" in the namespace "default"'),
    ("GET", "configmaps", f'configmaps is forbidden: User "{ROBOT}" cannot list resource "configmaps" in API group "" in the namespace "default"'),
    ("PATCH", "apps/v1:deployments/d", f'deployments.apps "d" is forbidden: User "{ROBOT}" cannot patch resource "deployments" in API group "apps" in the namespace "default"'),
    ("GET", "apps/v1:deployments/d/scale", f'deployments.apps "d" is forbidden: User "{ROBOT}" cannot get resource "deployments/scale" in API group "apps" in the namespace "default"'),
]  # fmt: skip


@pytest.mark.parametrize(("method", "where", "message"), WORDS, ids=[row[1] for row in WORDS])
async def test_a_denial_names_user_verb_resource_and_place(
    guarded: Cluster, method, where, message
):
    api, _, path = where.rpartition(":")
    answer = await guarded.send(method, guarded.at(path, api=api or "v1"))

    assert (answer.code, answer.body["reason"], answer.body["message"]) == (
        403,
        "Forbidden",
        message,
    )


async def test_a_denial_over_all_namespaces_says_so(guarded: Cluster):
    assert (await guarded.get("/api/v1/pods")).body["message"].endswith("at the cluster scope")


async def test_a_role_grants_its_verbs_in_its_namespace(guarded: Cluster):
    grant(guarded, role("r", rule("get list", "configmaps")), binding("r", ACCOUNT))
    here, there = guarded.at("configmaps", "c"), "/api/v1/namespaces/kube-system/configmaps/c"

    codes = [
        (await guarded.get(here)).code,
        (await guarded.delete(here)).code,
        (await guarded.get(there)).code,
    ]
    assert codes == [200, 403, 403]


async def test_a_cluster_role_bound_cluster_wide_grants_everywhere(guarded: Cluster):
    wide = role("r", rule("list", "pods"), kind="ClusterRole", namespace="")
    grant(guarded, wide, binding("r", ACCOUNT, "ClusterRole", wide=True))

    assert (await guarded.get("/api/v1/pods")).code == 200
    assert (await guarded.get("/api/v1/namespaces/kube-system/pods")).code == 200


async def test_a_cluster_role_bound_in_a_namespace_grants_there(guarded: Cluster):
    wide = role("r", rule("list", "pods"), kind="ClusterRole", namespace="")
    grant(guarded, wide, binding("r", ACCOUNT, "ClusterRole"))

    assert (await guarded.get(guarded.at("pods"))).code == 200
    assert (await guarded.get("/api/v1/pods")).code == 403


async def test_resource_names_limit_a_right(guarded: Cluster):
    grant(guarded, role("r", rule("get", "configmaps", resourceNames=["c"])), binding("r", ACCOUNT))

    assert (await guarded.get(guarded.at("configmaps", "c"))).code == 200
    assert (await guarded.get(guarded.at("configmaps", "d"))).code == 403


async def test_a_subresource_is_a_right_of_its_own(guarded: Cluster):
    grant(guarded, role("r", rule("get", "deployments", "apps")), binding("r", ACCOUNT))
    path = guarded.at("deployments", "d", api="apps/v1")

    assert (await guarded.get(path)).code == 404
    assert (await guarded.get(f"{path}/scale")).code == 403


async def test_watching_is_a_right_of_its_own(guarded: Cluster):
    grant(guarded, role("r", rule("get list", "configmaps")), binding("r", ACCOUNT))
    answer = await guarded.get(guarded.at("configmaps"), watch="true")

    assert answer.code == 403
    assert 'cannot watch resource "configmaps"' in answer.body["message"]


async def test_groups_and_wildcards_count(guarded: Cluster):
    everybody = {"kind": "Group", "name": "system:authenticated"}
    grant(guarded, role("r", rule("*", "*", "*")), binding("r", everybody))

    assert (await as_user(guarded, "g").get(guarded.at("configmaps", "c"))).code == 200


async def test_a_right_that_is_taken_away_is_gone_at_once(guarded: Cluster):
    grant(guarded, role("r", rule("get", "configmaps")), binding("r", GUEST))
    guest = as_user(guarded, "g")
    before = (await guest.get(guarded.at("configmaps", "c"))).code
    guarded.server.store.delete(Resource(RBAC, "v1", "rolebindings", "RoleBinding"), "default", "r")

    assert (before, (await guest.get(guarded.at("configmaps", "c"))).code) == (200, 403)


async def test_discovery_is_open_to_everybody_with_a_token(guarded: Cluster):
    assert (await guarded.get("/apis")).code == 200
    assert (await guarded.get("/metrics")).code == 403


async def test_a_self_review_answers_by_rbac(guarded: Cluster):
    grant(guarded, role("r", rule("get", "configmaps")), binding("r", ACCOUNT))
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    wide = role(
        "ask",
        rule("create", "selfsubjectaccessreviews", "authorization.k8s.io"),
        kind="ClusterRole",
        namespace="",
    )
    grant(guarded, wide, binding("ask", ACCOUNT, "ClusterRole", wide=True))

    def asked(verb: str) -> dict:
        return {
            "spec": {
                "resourceAttributes": {
                    "verb": verb,
                    "resource": "configmaps",
                    "namespace": "default",
                }
            }
        }

    allowed = [
        (await guarded.post(path, asked(v))).body["status"]["allowed"] for v in ("get", "delete")
    ]
    assert allowed == [True, False]


async def test_a_review_of_somebody_else(guarded: Cluster):
    grant(guarded, role("r", rule("promote", "rollouts", "crossfade.dev")), binding("r", GUEST))
    attributes = {
        "verb": "promote",
        "group": "crossfade.dev",
        "resource": "rollouts",
        "namespace": "default",
    }
    body = {"spec": {"user": "guest", "resourceAttributes": attributes}}
    answer = await as_user(guarded, "a").post(
        "/apis/authorization.k8s.io/v1/subjectaccessreviews", body
    )

    assert answer.body["status"]["allowed"] is True


@pytest.mark.parametrize(("token", "user"), [("g", "guest"), ("nope", None)])
async def test_a_token_review(guarded: Cluster, token, user):
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    status = (await as_user(guarded, "a").post(path, {"spec": {"token": token}})).body["status"]

    assert status.get("authenticated", False) is (user is not None)
    assert status["user"].get("username") == user


async def test_the_kubeconfig_carries_the_users_token(guarded: Cluster, tmp_path):
    import json

    path = tmp_path / "kubeconfig"
    guarded.server.write_kubeconfig(path, user="guest", namespace="echo")
    body = json.loads(path.read_text())

    assert body["clusters"][0]["cluster"]["server"] == guarded.base
    assert body["users"][0]["user"] == {"token": "g"}
    assert body["contexts"][0]["context"]["namespace"] == "echo"
    assert path.stat().st_mode & 0o777 == 0o600


# ---------------------------------------------------------------- the recorder


async def test_requests_are_counted_by_who_and_what(guarded: Cluster):
    recorder = guarded.server.recorder
    recorder.reset()
    for _ in range(3):
        await guarded.get(guarded.at("configmaps", "c"))
    await as_user(guarded, "a").get(guarded.at("configmaps"))

    assert recorder.count() == 4
    assert recorder.count(user=ROBOT) == recorder.count(verb="get", resource="configmaps") == 3
    assert recorder.count(verb="list", user="admin", namespace="default") == 1
    assert recorder.count(agent="Python") == 4


async def test_rights_that_were_used_can_be_told(guarded: Cluster):
    recorder = guarded.server.recorder
    recorder.reset()
    await guarded.get(guarded.at("deployments", "d", "scale", api="apps/v1"))
    await guarded.get("/version")

    assert recorder.rights(user=ROBOT) == {("get", "apps", "deployments/scale", "default")}
    assert sum(recorder.denied.values()) == 1


async def test_single_requests_are_kept_with_their_time(guarded: Cluster):
    await guarded.get(guarded.at("configmaps", "c"))
    last = guarded.server.recorder.calls[-1]

    assert (last.name, last.call.verb) == ("c", "get")
    assert last.at > 1_700_000_000


async def test_an_open_watch_is_one_request(guarded: Cluster):
    admin, recorder = as_user(guarded, "a"), guarded.server.recorder
    recorder.reset()
    async with admin.watch(guarded.at("configmaps")) as events:
        assert await events.told() == "ADDED c"
        await asyncio.sleep(0)

    assert recorder.count() == recorder.count(verb="watch") == 1
