"""Whether the time a refusal takes tells an unknown user, a missing secret and a wrong hash apart.

Logins of all kinds are sent in turn, in a new order each time, through the core alone and through a
Synapse. What Vault takes by itself for an entry and for none is measured beside them.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from tests.harness.accounts import PATH_ROOT
from tests.harness.deployment import LOGIN_TYPE
from tests.harness.login_service import LoginDriver
from tests.servers import Synapse
from tests.servers.synapse import SERVER_NAME

from .figures import NUMBER, Figure, Goal, Result
from .mann_whitney import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .rounds import Rounds
    from .stage import Stage

    Samples = dict[str, list[list[float]]]
    """Of each kind: of each round, the times in microseconds."""

UNKNOWN, NO_SECRET, WRONG = "unknown user", "no secret", "wrong hash"
FIRST, LAST = "wrong first byte", "wrong last byte"
ENTRY, NO_ENTRY = "Vault alone: an entry", "Vault alone: none"

PAIRS = ((FIRST, LAST), (FIRST, WRONG), (NO_SECRET, UNKNOWN), (WRONG, NO_SECRET), (WRONG, UNKNOWN))
"""What is compared."""

OURS = {(FIRST, LAST), (FIRST, WRONG), (NO_SECRET, UNKNOWN)}
"""Where Vault does the same for both, so that what differs would be this module's."""

ALIKE = 0.05
"""How far from one half it may be how often one is slower, where only this module could tell."""


@dataclass(frozen=True)
class Attempt:
    """A login that is refused."""

    user_id: str
    is_registered: bool
    token_hash: str


def attempts(stage: Stage) -> dict[str, Attempt]:
    """Make one login of each kind, of ids that are equally long."""
    user = stage.user("timing-has-a-secret")
    right = bytes.fromhex(user.token_hash)
    first = bytes([right[0] ^ 1]) + right[1:]
    last = right[:-1] + bytes([right[-1] ^ 1])
    other = bytes(byte ^ 0xFF for byte in right).hex()
    return {
        UNKNOWN: Attempt(f"@timing-is-not-known:{SERVER_NAME}", False, other),
        NO_SECRET: Attempt(f"@timing-has-no-secret:{SERVER_NAME}", True, other),
        WRONG: Attempt(user.user_id, True, other),
        FIRST: Attempt(user.user_id, True, first.hex()),
        LAST: Attempt(user.user_id, True, last.hex()),
    }


def interleaved(rounds: int, each: int, things: Mapping[str, Callable[[], None]]) -> Samples:
    """Do all things so often in each round, and say how long each took."""
    chance = random.Random(0)
    samples: Samples = {name: [[] for _ in range(rounds)] for name in things}
    names = list(things)
    for number in range(-1, rounds):
        for _ in range(each):
            chance.shuffle(names)
            for name in names:
                started = time.perf_counter_ns()
                things[name]()
                took = (time.perf_counter_ns() - started) / 1000
                # The first round warms up what the others use.
                if number >= 0:
                    samples[name][number].append(took)
    return samples


def through_the_core(stage: Stage, rounds: int) -> Samples:
    """Log in without a homeserver, and ask Vault the same without this module."""
    by_kind = attempts(stage)
    vault = http.client.HTTPConnection(urlsplit(stage.openbao.url).netloc)

    def ask(user_id: str) -> None:
        path = quote(f"/v1/secret/data/{PATH_ROOT}/{user_id}")
        vault.request("GET", path, headers={"X-Vault-Token": stage.openbao.root_token})
        vault.getresponse().read()

    with LoginDriver(stage.module_config(vault_kv_version=2)) as core:

        def log_in(attempt: Attempt) -> None:
            is_registered = attempt.is_registered
            core.begin(attempt.user_id, attempt.token_hash, is_registered=is_registered)
            while not core.take_decided():
                pass

        things: dict[str, Callable[[], None]] = {
            kind: lambda attempt=attempt: log_in(attempt)  # type: ignore[misc]
            for kind, attempt in by_kind.items()
        }
        things[ENTRY] = lambda: ask(by_kind[WRONG].user_id)
        things[NO_ENTRY] = lambda: ask(by_kind[NO_SECRET].user_id)
        return interleaved(rounds, stage.scale(400, 20), things)


def through_synapse(stage: Stage, rounds: int) -> Samples:
    """Log in over HTTP."""
    by_kind = attempts(stage)
    with ExitStack() as stack:
        config = stage.module_config(vault_kv_version=2)
        synapse = Synapse(stage.directory / "timing", config, log_level="ERROR")
        stack.callback(synapse.stop)
        synapse.start()
        for attempt in by_kind.values():
            if attempt.is_registered:
                synapse.insert_user(attempt.user_id)
        homeserver = http.client.HTTPConnection(urlsplit(synapse.url).netloc)

        def log_in(attempt: Attempt) -> None:
            identifier = {"type": "m.id.user", "user": attempt.user_id}
            body = {"type": LOGIN_TYPE, "identifier": identifier, "token_hash": attempt.token_hash}
            homeserver.request("POST", "/_matrix/client/v3/login", json.dumps(body))
            response = homeserver.getresponse()
            response.read()
            if response.status != 403:
                raise RuntimeError(f"a login was answered with {response.status}")

        return interleaved(
            rounds,
            stage.scale(200, 10),
            {
                kind: lambda attempt=attempt: log_in(attempt)  # type: ignore[misc]
                for kind, attempt in by_kind.items()
            },
        )


def figures(where: str, samples: Samples, pairs: Iterable[tuple[str, str]]) -> list[Figure]:
    """Say how far apart the kinds are, and how sure that is."""
    found = []
    for one, other in pairs:
        both = list(zip(samples[one], samples[other], strict=True))
        whole = compare([*chain(*samples[one])], [*chain(*samples[other])])
        uneven = tuple(abs(compare(a, b).effect - 0.5) for a, b in both)
        goal = Goal.at_most(ALIKE) if where == "core" and (one, other) in OURS else None
        name = f"{where}: {one} against {other}"
        found += [
            Figure(f"{name}, difference of the medians", differences(both), "µs"),
            Figure(f"{name}, how far from even it is which is slower", uneven, NUMBER, goal),
            Figure(f"{name}, p of Mann-Whitney", (whole.p,), NUMBER),
        ]
    return found


def differences(both: Iterable[tuple[list[float], list[float]]]) -> Rounds:
    """Return by how much the first is slower, in each round."""
    return tuple(median(a) - median(b) for a, b in both)


def beyond_vault(core: Samples) -> Rounds:
    """Return by how much an entry is slower than none, less what that is to Vault alone."""
    ours = differences(zip(core[WRONG], core[NO_SECRET], strict=True))
    vaults = differences(zip(core[ENTRY], core[NO_ENTRY], strict=True))
    return tuple(a - b for a, b in zip(ours, vaults, strict=True))


def run(stage: Stage) -> Result:
    """Measure and compare."""
    rounds = stage.scale(10, 2)
    core = through_the_core(stage, rounds)
    synapse = through_synapse(stage, rounds)
    return Result(
        "What the time of a refusal tells",
        (
            *figures("core", core, PAIRS),
            *figures("core", core, [(ENTRY, NO_ENTRY)]),
            Figure(f"core: {WRONG} against {NO_SECRET}, beyond Vault", beyond_vault(core), "µs"),
            *figures("Synapse", synapse, PAIRS),
        ),
    )
