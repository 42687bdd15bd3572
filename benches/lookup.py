"""What it costs to look a secret up and verify a hash with it: beside wrk, reqwest and hvac."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import hvac

from tests.harness.accounts import PATH_ROOT

from .driven import Driven
from .figures import RATIO, Figure, Goal, Result
from .rounds import in_turn, ratios
from .stage import CONFIG
from .token_hash import in_python
from .wrk import Wrk

if TYPE_CHECKING:
    from .stage import Stage, User

IN_FLIGHT = 64

RAW_LIMIT = Path(__file__).parents[1] / "target" / "release" / "examples" / "raw_limit"
"""The program of ``raw_limit.rs``, which `make bench` builds."""

OURS = "this module"
WRK = "wrk"
REQWEST = "a bare reqwest loop"
HVAC = "hvac"

ONE = (
    "wrk and hvac ask Vault on the thread that waits. Here a thread of the module's asks, so that"
    " the homeserver does not stand still: the reactor wakes it, and it wakes the reactor, both"
    " from sleep on processors that sleep too."
)
MANY = (
    "All processors are busy all the time, and Vault has to share them with who asks: what this"
    " module and the reactor compute, Vault does not. With a machine of its own, Vault would not be"
    " slower."
)


class Lookups:
    """The same lookup, by everybody."""

    def __init__(self, stage: Stage, programs: ExitStack) -> None:
        """Start the programs, and let each connect."""
        users = [stage.user(f"lookup-{number}") for number in range(IN_FLIGHT)]
        self._user: User = users[0]
        self._one = stage.scale(1000, 100)
        self._many = stage.scale(8000, 500)
        self._seconds = stage.scale(2, 1)
        openbao = stage.openbao
        url = f"{openbao.url}/v1/secret/data/{PATH_ROOT}/{self._user.user_id}"
        headers = {"X-Vault-Token": stage.vault_token}
        self._wrk_one = Wrk(url, headers, connections=1)
        self._wrk_many = Wrk(url, headers, connections=IN_FLIGHT)
        self._hvac = hvac.Client(url=openbao.url, token=stage.vault_token)
        environment = {**os.environ, "VAULT_TOKEN": stage.vault_token}
        self._reqwest = programs.enter_context(Driven([str(RAW_LIMIT), url], environment))
        reactor = [
            *(sys.executable, "-m", "benches.through_reactor"),
            json.dumps([user.user_id for user in users]),
        ]
        self._ours = programs.enter_context(
            Driven(reactor, {**os.environ, CONFIG: json.dumps(stage.module_config())})
        )
        for measure in (self.ours, self.reqwest, self.hvac, self.ours_many, self.reqwest_many):
            measure()

    def ours(self) -> float:
        return self._ours.ask("one", self._one)

    def wrk(self) -> float:
        return self._wrk_one.run(self._seconds).median_latency

    def reqwest(self) -> float:
        return self._reqwest.ask("one", self._one)

    def hvac(self) -> float:
        times = []
        for _ in range(self._one // 2):
            started = time.perf_counter()
            answer = self._hvac.secrets.kv.v2.read_secret_version(
                f"{PATH_ROOT}/{self._user.user_id}", raise_on_deleted_version=True
            )
            login_secret = answer["data"]["data"]["login_secret"]
            if not in_python(login_secret, self._user.user_id, self._user.token_hash):
                raise RuntimeError("hvac found another secret")
            times.append(time.perf_counter() - started)
        return statistics.median(times) * 1e6

    def ours_many(self) -> float:
        return self._ours.ask("many", self._many, IN_FLIGHT)

    def wrk_many(self) -> float:
        return self._wrk_many.run(self._seconds).requests_per_second

    def reqwest_many(self) -> float:
        return self._reqwest.ask("many", self._many, IN_FLIGHT)


def run(stage: Stage) -> Result:
    """Measure one lookup at a time, and many."""
    rounds = stage.scale(15, 2)
    with ExitStack() as programs:
        lookups = Lookups(stage, programs)
        one = in_turn(
            rounds,
            {
                OURS: lookups.ours,
                WRK: lookups.wrk,
                REQWEST: lookups.reqwest,
                HVAC: lookups.hvac,
            },
        )
        many = in_turn(
            rounds,
            {OURS: lookups.ours_many, WRK: lookups.wrk_many, REQWEST: lookups.reqwest_many},
        )
    return Result(
        "A lookup and verification through the reactor",
        (
            Figure("one at a time, median: this module", one[OURS], "µs"),
            Figure(
                "one at a time, to wrk",
                ratios(one[OURS], one[WRK]),
                RATIO,
                Goal.at_most(1.4, ONE),
                statistics.median(ratios(one[REQWEST], one[WRK])),
            ),
            Figure(
                "hvac one at a time, to ours",
                ratios(one[HVAC], one[OURS]),
                RATIO,
                Goal.at_least(2.5, ONE),
                statistics.median(ratios(one[HVAC], one[REQWEST])),
            ),
            *(
                Figure(f"one at a time, median: {name}", one[name], "µs")
                for name in (WRK, REQWEST, HVAC)
            ),
            Figure(f"{IN_FLIGHT} in flight: this module", many[OURS], "/s"),
            Figure(
                f"{IN_FLIGHT} in flight, to wrk",
                ratios(many[OURS], many[WRK]),
                RATIO,
                Goal.at_least(0.85, MANY),
                statistics.median(ratios(many[REQWEST], many[WRK])),
            ),
            *(
                Figure(f"{IN_FLIGHT} in flight: {name}", many[name], "/s")
                for name in (WRK, REQWEST)
            ),
        ),
    )
