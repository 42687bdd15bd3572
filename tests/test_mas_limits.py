"""The limits of logins under MAS, on a clock of their own."""

from __future__ import annotations

import tracemalloc

from synapse_vault_auth_provider.homeserver_config import LoginRates, Rate
from synapse_vault_auth_provider.mas.limits import MAX_KEYS, NEVER, Limit, LoginLimits


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_and_then_one_after_the_other() -> None:
    clock = Clock()
    limit = Limit(Rate(per_second=0.5, burst_count=3), clock)
    assert [limit.take("a") for _ in range(3)] == [0, 0, 0]
    assert limit.take("a") == 2
    assert limit.take("b") == 0
    clock.now += 1.5
    assert limit.take("a") == 0.5
    clock.now += 0.5
    assert limit.take("a") == 0
    assert limit.take("a") == 2
    clock.now += 100
    assert [limit.take("a") for _ in range(4)] == [0, 0, 0, 2]


def test_who_must_wait_is_not_counted_and_asking_counts_nothing() -> None:
    clock = Clock()
    limit = Limit(Rate(per_second=1, burst_count=1), clock)
    assert [limit.wait("a") for _ in range(5)] == [0] * 5
    limit.count("a")
    assert [limit.take("a") for _ in range(5)] == [1] * 5


def test_what_is_forgiven_was_not_counted() -> None:
    clock = Clock()
    limit = Limit(Rate(per_second=0.5, burst_count=2), clock)
    limit.forgive("nobody")
    for _ in range(5):
        assert limit.take("a") == 0
        limit.forgive("a")
    assert [limit.take("a") for _ in range(3)] == [0, 0, 2]
    limit.forgive("a")
    assert [limit.take("a") for _ in range(2)] == [0, 2]


def test_what_never_empties_and_what_takes_nothing() -> None:
    clock = Clock()
    limit = Limit(Rate(per_second=0, burst_count=1), clock)
    assert limit.take("a") == 0
    clock.now += 1e9
    assert limit.take("a") == NEVER
    assert Limit(Rate(per_second=1, burst_count=0), clock).take("a") == 1
    assert Limit(Rate(per_second=1e-12, burst_count=0), clock).take("a") == NEVER


def test_a_burst_of_fractions() -> None:
    clock = Clock()
    limit = Limit(Rate(per_second=0.17, burst_count=2.5), clock)
    assert [limit.take("a") > 0 for _ in range(3)] == [False, False, True]


def test_a_flood_of_addresses_takes_bounded_memory() -> None:
    clock = Clock()
    limit = Limit(Rate(per_second=0.003, burst_count=5), clock)
    tracemalloc.start()
    try:
        for number in range(3 * MAX_KEYS):
            limit.take(f"{number:x}" + "f" * 10_000)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 20_000_000
    # The newest is remembered.
    newest = f"{3 * MAX_KEYS - 1:x}" + "f" * 10_000
    assert [limit.take(newest) > 0 for _ in range(5)] == [False] * 4 + [True]


def test_one_that_is_used_all_the_time_is_remembered_in_a_flood() -> None:
    limit = Limit(Rate(per_second=0.003, burst_count=5), Clock())
    for _ in range(5):
        limit.take("a")
    for number in range(MAX_KEYS - 1):
        limit.take(str(number))
    assert limit.wait("a") > 0


def test_the_three_limits_have_their_own_numbers() -> None:
    rates = LoginRates(Rate(1, 1), Rate(1, 2), Rate(1, 3))
    limits = LoginLimits(rates, Clock())
    three = (limits.address, limits.account, limits.failed_attempts)
    assert [sum(not limit.take("a") for _ in range(9)) for limit in three] == [1, 2, 3]
