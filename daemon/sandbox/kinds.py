"""The kinds the sandbox works with, as the API addresses them."""

from typing import Final

from daemon.ports import Resource

NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace")
NODES: Final = Resource("", "v1", "nodes", "Node")
PODS: Final = Resource("", "v1", "pods", "Pod")
SERVICES: Final = Resource("", "v1", "services", "Service")
ENDPOINTS: Final = Resource("", "v1", "endpoints", "Endpoints")
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
REPLICA_SETS: Final = Resource("apps", "v1", "replicasets", "ReplicaSet")
UPSTREAMS: Final = Resource("gloo.solo.io", "v1", "upstreams", "Upstream")
VIRTUAL_SERVICES: Final = Resource("gateway.solo.io", "v1", "virtualservices", "VirtualService")
ROUTE_TABLES: Final = Resource("gateway.solo.io", "v1", "routetables", "RouteTable")
