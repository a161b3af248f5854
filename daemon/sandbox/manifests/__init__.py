"""The sandbox's own objects: namespaces, echo in four versions, its route, a policy.

The YAML files are what a person applies with kubectl; code reads the same files.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

import yaml

from daemon.ports import Obj
from daemon.sandbox.knobs import PREFIX

FILES: Final = (
    "namespaces.yaml",
    "echo.yaml",
    "echo-v1.yaml",
    "echo-v2.yaml",
    "echo-v3.yaml",
    "echo-v4.yaml",
    "policy.yaml",
)
POD_PORT: Final = 8080
"""Where the pods of the manifests listen; the number stands for nothing else in them."""


def text_of(file: str, *, pod_port: int = POD_PORT) -> str:
    """Read one of the files, for pods that listen on this port."""
    text = files(__name__).joinpath(file).read_text(encoding="utf-8")
    return text.replace(str(POD_PORT), str(pod_port))


def objects_of(text: str) -> list[Obj]:
    """Read the objects of a YAML text with one or more documents."""
    return [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]


def echo_deployment(
    version: str,
    *,
    replicas: int = 2,
    knobs: Mapping[str, str] | None = None,
    pod_port: int = POD_PORT,
) -> Obj:
    """Build the Deployment of a version: `echo-v1.yaml` with another name, size and behaviour.

    The version is its label and the end of its name; knobs are written without their prefix, as in
    {"error-rate": "0.2"}.
    """
    [deployment] = objects_of(text_of("echo-v1.yaml", pod_port=pod_port))
    metadata, spec = deployment["metadata"], deployment["spec"]
    template = spec["template"]
    metadata["name"] = f"echo-{version}"
    labels = (metadata["labels"], spec["selector"]["matchLabels"], template["metadata"]["labels"])
    for one in labels:
        one["version"] = version
    template["spec"]["containers"][0]["image"] = f"sandbox/echo:{version}"
    spec["replicas"] = replicas
    if knobs:
        annotations = {PREFIX + name: value for name, value in knobs.items()}
        template["metadata"]["annotations"] = annotations
    return deployment
