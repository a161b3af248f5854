"""Which changes of an object bump metadata.generation."""

from daemon.ports import Obj

_NOT_CONTENT = {"metadata", "status", "apiVersion"}


def spec_changed(new: Obj, old: Obj) -> bool:
    """Most built-in kinds."""
    return bool(new.get("spec") != old.get("spec"))


def spec_or_annotations_changed(new: Obj, old: Obj) -> bool:
    """Deployments: their annotations are copied to their ReplicaSets."""
    annotations = [side["metadata"].get("annotations") or {} for side in (new, old)]
    return spec_changed(new, old) or annotations[0] != annotations[1]


def content_changed(new: Obj, old: Obj) -> bool:
    """Custom kinds with a status subresource: anything but metadata and status."""
    return {k: v for k, v in new.items() if k not in _NOT_CONTENT} != {
        k: v for k, v in old.items() if k not in _NOT_CONTENT
    }


def content_or_status_changed(new: Obj, old: Obj) -> bool:
    """Custom kinds without one, such as Gloo's: a status write bumps the generation as well."""
    return content_changed(new, old) or new.get("status") != old.get("status")
