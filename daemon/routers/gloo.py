"""The router for Gloo's VirtualService and RouteTable, in subset mode on one Upstream.

One route of the object is owned: its action is ours. Directly above it stands, when a phase needs
one, our own route. All other bytes are other people's and stay as they are. It reads and plans; it
decides nothing and sends nothing.
"""

from typing import Any

from config.schema import Rollout
from daemon.core.model import RouteSeen, Split, TargetKey
from daemon.core.record import record_annotation
from daemon.gateway import GatewayAddress, GatewayCluster
from daemon.kube.objects import ROUTETABLES, SERVICES, UPSTREAMS, VIRTUALSERVICES
from daemon.ports import Obj
from daemon.routers.base import Found, RouteObject
from daemon.routers.gloo_gateway import gateway_address, gateway_url
from daemon.routers.gloo_guide import is_sound, read_guide
from daemon.routers.gloo_plan import plan_patch, record_text_of
from daemon.routers.gloo_preflight import (
    ANY,
    Surroundings,
    fallback_of,
    preflight,
    service_behind,
)
from daemon.routers.gloo_read import Layout, layout_of, recorded
from daemon.routers.gloo_route import Ref, Site, at, site_of
from daemon.routers.gloo_status import gateway_says, last_editor


class GlooRouter:
    """Implements `daemon.routers.base.Router`; holds nothing."""

    def address(self, rollout: Rollout) -> RouteObject:
        """The VirtualService or RouteTable of the policy."""
        gloo = rollout.route.gloo
        if gloo.virtual_service is not None:
            return RouteObject(VIRTUALSERVICES, *Ref.of(gloo.virtual_service))
        assert gloo.route_table is not None, "validation demands virtualService or routeTable"
        return RouteObject(ROUTETABLES, *Ref.of(gloo.route_table))

    def supporting(self, rollout: Rollout, found: Found | None = None) -> tuple[RouteObject, ...]:
        """The Upstream, and once that was read, the Service it names."""
        site = site_of(rollout)
        upstream = RouteObject(UPSTREAMS, *site.upstream)
        service = service_behind((found or {}).get(upstream), site)
        if service is None:
            return (upstream,)
        return (upstream, RouteObject(SERVICES, *service))

    def read(self, rollout: Rollout, obj: Obj, others: Found | None) -> RouteSeen:
        """Understand a route object; whatever it holds, this does not raise."""
        site = site_of(rollout)
        text = record_text_of(obj, _annotation(rollout))
        record = recorded(text)
        layout = layout_of(obj, site, record)
        guide = read_guide(layout.routes[layout.guides[0]], layout.route) if layout.guides else None
        canary = None if record is None else record.canary
        problems: tuple[str, ...] = ()
        warnings: tuple[str, ...] = ()
        fallback = ANY
        if others is not None:
            beside = self._beside(rollout, site, others)
            said = list(preflight(rollout, obj, layout, site, beside))
            problems = tuple(it.sentence for it in said if it.refuses)
            warnings = tuple(it.sentence for it in said if not it.refuses)
            fallback = fallback_of(beside.upstream, site.label)
        return RouteSeen(
            uid=str(at(obj, "metadata", "uid") or ""),
            resource_version=str(at(obj, "metadata", "resourceVersion") or ""),
            record_text=text,
            owned=layout.owned,
            guide=guide,
            guide_sound=_guide_is_sound(layout, canary, site),
            problems=problems,
            warnings=warnings,
            gateway_says=gateway_says(obj),
            fallback_to=fallback,
            editor=last_editor(obj),
        )

    def _beside(self, rollout: Rollout, site: Site, others: Found) -> Surroundings:
        upstream = others.get(RouteObject(UPSTREAMS, *site.upstream))
        names = self.supporting(rollout, others)[1:]
        service = others.get(names[0]) if names else None
        return Surroundings(upstream, service, bool(names) and names[0] in others)

    def plan(
        self, rollout: Rollout, obj: Obj, split: Split | None, record_text: str
    ) -> list[dict[str, Any]]:
        """One JSON Patch; see `daemon.routers.gloo_plan`."""
        return plan_patch(
            obj,
            site_of(rollout),
            split,
            annotation=_annotation(rollout),
            record_text=record_text,
        )

    def gateway(self, rollout: Rollout, obj: Obj) -> GatewayAddress | str:
        """Where smoke and probes go; see `daemon.routers.gloo_gateway`."""
        site = site_of(rollout)
        record = recorded(record_text_of(obj, _annotation(rollout)))
        return gateway_address(rollout, obj, layout_of(obj, site, record), site)

    def cluster(self, rollout: Rollout) -> GatewayCluster:
        """The Upstream's cluster; Gloo calls it `<upstream>_<namespace>`."""
        site = site_of(rollout)
        name = f"{site.upstream.name}_{site.upstream.namespace}"
        return GatewayCluster(gateway_url(rollout, site), name)


def _annotation(rollout: Rollout) -> str:
    return record_annotation(TargetKey(rollout.namespace, rollout.name))


def _guide_is_sound(layout: Layout, canary: str | None, site: Site) -> bool:
    """Whether our own route, if any, is alone, directly above the owned one, and unedited."""
    if not layout.guides:
        return True
    if layout.index is None or layout.guides != (layout.index - 1,):
        return False
    return is_sound(layout.routes[layout.guides[0]], layout.route, canary, site)
