"""The gateway's own Service and EndpointSlices: how the daemon finds the proxies.

One slice a proxy, because the proxies of a sandbox share an address and differ by port. For the
same reason a proxy's admin pages are a named port of its slice; Gloo's are on 8082 of each pod.
"""

from collections.abc import Sequence
from typing import Final

from daemon.ports import Obj

SERVICE_NAME: Final = "gateway-proxy"
SERVICE_NAMESPACE: Final = "gloo-system"
SERVICE_PORT: Final = 80
ADMIN_PORT: Final = "admin"
"""Name of the port with Envoy's admin pages."""


def proxy_objects(
    proxies: Sequence[tuple[str, int]],
    *,
    name: str = SERVICE_NAME,
    namespace: str = SERVICE_NAMESPACE,
    admin_ports: Sequence[int] = (),
) -> list[Obj]:
    """The Service and, for each (address, port) a proxy listens on, an EndpointSlice.

    Args:
        proxies: where they listen.
        name: of the Service.
        namespace: of all of it.
        admin_ports: one a proxy, on the same address; none where they cannot be reached.
    """
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
            "ports": [
                {"name": "http", "port": port, "protocol": "TCP"},
                *(
                    {"name": ADMIN_PORT, "port": admin, "protocol": "TCP"}
                    for admin in admin_ports[number : number + 1]
                ),
            ],
            "endpoints": [
                {
                    "addresses": [address],
                    "conditions": {"ready": True, "serving": True, "terminating": False},
                }
            ],
        }
        for number, (address, port) in enumerate(proxies)
    ]
