"""The gateway's own Service and EndpointSlices: how the daemon finds the proxies.

One slice a proxy, because the proxies of a sandbox share an address and differ by port.
"""

from collections.abc import Sequence
from typing import Final

from daemon.ports import Obj

SERVICE_NAME: Final = "gateway-proxy"
SERVICE_NAMESPACE: Final = "gloo-system"
SERVICE_PORT: Final = 80


def proxy_objects(
    proxies: Sequence[tuple[str, int]],
    *,
    name: str = SERVICE_NAME,
    namespace: str = SERVICE_NAMESPACE,
) -> list[Obj]:
    """The Service and, for each (address, port) a proxy listens on, an EndpointSlice."""
    labels = {"app": "gloo", "gateway-proxy-id": name, "gloo": "gateway-proxy"}
    service: Obj = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "type": "ClusterIP",
            "ports": [
                {"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}
            ],
        },
    }
    return [service] + [
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{name}-{number}",
                "namespace": namespace,
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
            "endpoints": [
                {
                    "addresses": [address],
                    "conditions": {"ready": True, "serving": True, "terminating": False},
                }
            ],
        }
        for number, (address, port) in enumerate(proxies)
    ]
