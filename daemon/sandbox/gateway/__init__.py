"""The sandbox's gateway: a small Gloo Edge control plane in front of real Envoys.

It reads Gloo's objects, Services, EndpointSlices and pods through the API server, writes Gloo's
statuses, and configures Envoy by files. What it imitates is Gloo 1.22; where a real Gloo is
surprising (subsets fail open, one bad weight freezes a listener), it surprises in the same way.
"""

from daemon.sandbox.gateway.clusters import Gloo
from daemon.sandbox.gateway.controller import GatewayController, GatewayOptions
from daemon.sandbox.gateway.envoy import envoy_path
from daemon.sandbox.gateway.service import proxy_objects

__all__ = ["GatewayController", "GatewayOptions", "Gloo", "envoy_path", "proxy_objects"]
