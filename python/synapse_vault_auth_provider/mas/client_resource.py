"""Resources for clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from synapse.module_api import DirectServeJsonResource

from . import answers

if TYPE_CHECKING:
    from collections.abc import Container

    from synapse.module_api import SynapseRequest


class ClientResource(DirectServeJsonResource):
    """Answers where clients are served, and nowhere else.

    Synapse serves the resources of modules on every listener, also on those for federation or
    replication alone.
    """

    isLeaf = True  # noqa: N815 (Twisted's name)

    below: ClassVar[tuple[list[bytes], ...]] = ([],)
    """What may follow the path of the resource."""

    def __init__(self, listener_tags: Container[str]) -> None:
        """Take the listeners for clients, by their tags."""
        super().__init__()
        self._listener_tags = listener_tags

    async def _async_render(self, request: SynapseRequest) -> tuple[int, Any] | None:
        is_for_clients = request.synapse_site.site_tag in self._listener_tags
        if request.postpath not in self.below or not is_for_clients:
            return answers.error(*answers.UNKNOWN_PATH)
        return await super()._async_render(request)
