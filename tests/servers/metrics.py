"""Metrics as Prometheus reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

# Turns off what Synapse turns off, for tests of metrics without it.
import synapse.metrics  # noqa: F401
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.samples import Sample

OURS = "synapse_vault_auth_"


class Metrics:
    """The samples of ours at one moment."""

    def __init__(self, text: str) -> None:
        self.families = {
            family.name: family
            for family in text_string_to_metric_families(text)
            # Older clients add when each counter was made.
            if family.name.startswith(OURS) and not family.name.endswith("_created")
        }

    @property
    def samples(self) -> Iterator[Sample]:
        """All samples of ours."""
        for family in self.families.values():
            yield from family.samples

    def value(self, name: str, **labels: str) -> float | None:
        """Return the sum of the samples that have these labels; `None` if there are none."""
        found = [
            sample.value
            for sample in self.samples
            if sample.name == OURS + name and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else None

    def logins(self) -> dict[str, float]:
        """Return how many logins there were of each outcome that there were any of."""
        return {
            sample.labels["outcome"]: sample.value
            for sample in self.samples
            if sample.name == f"{OURS}logins_total" and sample.value
        }
