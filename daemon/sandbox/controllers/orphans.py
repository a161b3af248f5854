"""What a controller made for an owner that went at the same moment.

The garbage collector follows the deletion of an owner; something made just after it would stay for
ever. So whoever makes something looks once more whether its owner is still there.
"""

from contextlib import suppress

from daemon.errors import NotFoundError
from daemon.ports import Obj, Resource
from daemon.sandbox.client import SandboxClient


async def take_back_orphans(
    client: SandboxClient, owner_resource: Resource, owner: Obj, resource: Resource, made: list[Obj]
) -> None:
    """Delete what was made if the owner is gone.

    Raises:
        NotFoundError: it is gone, or another one of its name is in its place.
    """
    metadata = owner["metadata"]
    try:
        present = await client.get(owner_resource, metadata["namespace"], metadata["name"])
    except NotFoundError:
        present = None
    if present is not None and present["metadata"]["uid"] == metadata["uid"]:
        return
    for one in made:
        with suppress(NotFoundError):
            await client.remove(resource, metadata["namespace"], one["metadata"]["name"])
    raise NotFoundError(f"{owner['kind']} {metadata['namespace']}/{metadata['name']} is gone")
