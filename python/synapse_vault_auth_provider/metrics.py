"""What monitoring reads, in the registry that Synapse shows on its metrics listeners.

Names, labels and their meaning are the administrator's interface: dashboards and alerts use them.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.utils import floatToGoString

from ._core import OUTCOMES, VAULT_REQUEST_BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.core import Metric

    from ._core import Counts, LoginService, Outcome

# Synapse's own metrics have this label, since several homeservers may share a process.
SERVER_NAME = "server_name"

LOGINS = Counter(
    "synapse_vault_auth_logins",
    "Logins that reached the module, by outcome",
    [SERVER_NAME, "outcome"],
)
LOGIN_SECONDS = Histogram(
    "synapse_vault_auth_login_seconds",
    "How long the module took to decide a login",
    [SERVER_NAME],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)


class LoginMetrics:
    """Counts the logins of one homeserver."""

    def __init__(self, server_name: str, service: LoginService) -> None:
        """Show every outcome from the start, and what the service counts for as long as it lives.

        Args:
            server_name: The homeserver.
            service: What decides its logins.
        """
        self._logins = {
            outcome: LOGINS.labels(**{SERVER_NAME: server_name, "outcome": outcome})
            for outcome in OUTCOMES
        }
        self._seconds = LOGIN_SECONDS.labels(**{SERVER_NAME: server_name})
        _services.add(server_name, service)

    def record(self, outcome: Outcome, seconds: float) -> None:
        """Count a login.

        Args:
            outcome: How it ended.
            seconds: How long it took.
        """
        self._logins[outcome.code].inc()
        self._seconds.observe(seconds)


class _Services:
    """Reads, when monitoring asks, what the threads of the services have counted.

    It is asked on a thread of the metrics listener. Services of one homeserver in one process, as
    when the module is configured twice, are added up.
    """

    def __init__(self) -> None:
        # Replaced as a whole, never changed: the other thread may be going through it.
        self._services: tuple[tuple[str, weakref.ref[LoginService]], ...] = ()

    def add(self, server_name: str, service: LoginService) -> None:
        living = [entry for entry in self._services if entry[1]() is not None]
        self._services = (*living, (server_name, weakref.ref(service)))

    def collect(self) -> Iterable[Metric]:
        requests = HistogramMetricFamily(
            "synapse_vault_auth_vault_request_seconds",
            "How long Vault took to answer, or not to answer, by kind of request",
            labels=[SERVER_NAME, "operation"],
        )
        mas_requests = HistogramMetricFamily(
            "synapse_vault_auth_mas_request_seconds",
            "How long Matrix Authentication Service took to answer, or not to, by kind of request",
            labels=[SERVER_NAME, "operation"],
        )
        retries = CounterMetricFamily(
            "synapse_vault_auth_vault_retries",
            "Requests to Vault sent again because one before had failed or was not answered",
            labels=[SERVER_NAME],
        )
        cache = CounterMetricFamily(
            "synapse_vault_auth_cache",
            "Logins accepted from memory (hit, stale) and those that were not (miss)",
            labels=[SERVER_NAME, "result"],
        )
        expiry = GaugeMetricFamily(
            "synapse_vault_auth_vault_token_expiry_timestamp_seconds",
            "When the module's Vault token ends unless it is renewed; no sample if not known",
            labels=[SERVER_NAME],
        )
        in_flight = GaugeMetricFamily(
            "synapse_vault_auth_lookups_in_flight",
            "Reads of users' entries that are under way",
            labels=[SERVER_NAME],
        )
        for server_name, counts in self._counts().items():
            _add_requests(requests, server_name, [one.vault_requests for one in counts])
            _add_requests(mas_requests, server_name, [one.mas_requests for one in counts])
            retries.add_metric([server_name], sum(one.vault_retries for one in counts))
            for result in counts[0].cache:
                number = sum(one.cache[result] for one in counts)
                cache.add_metric([server_name, result], number)
            ends = [one.vault_token_expiry for one in counts if one.vault_token_expiry is not None]
            if ends:
                expiry.add_metric([server_name], min(ends))
            in_flight.add_metric([server_name], sum(one.lookups_in_flight for one in counts))
        return [requests, mas_requests, retries, cache, expiry, in_flight]

    def _counts(self) -> dict[str, list[Counts]]:
        counts: defaultdict[str, list[Counts]] = defaultdict(list)
        for server_name, reference in self._services:
            service = reference()
            if service is not None:
                counts[server_name].append(service.counts())
        return counts


def _add_requests(
    family: HistogramMetricFamily,
    server_name: str,
    counts: list[dict[str, tuple[list[int], float]]],
) -> None:
    """Add to a family how long requests took, by kind, of several services together."""
    bounds = [*map(floatToGoString, VAULT_REQUEST_BUCKETS), "+Inf"]
    for operation in counts[0]:
        all_took = [one[operation] for one in counts if operation in one]
        numbers = [sum(each) for each in zip(*(took for took, _ in all_took), strict=True)]
        family.add_metric(
            [server_name, operation],
            list(zip(bounds, numbers, strict=True)),
            sum(seconds for _, seconds in all_took),
        )


_services = _Services()
REGISTRY.register(_services)
