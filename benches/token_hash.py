"""What it costs to verify a token hash, in the core and in Python alone."""

from __future__ import annotations

import hashlib
import hmac
import timeit
from typing import TYPE_CHECKING

from synapse_vault_auth_provider import token_hash, verify_token_hash

from .figures import RATIO, Figure, Goal, Result
from .rounds import in_turn, ratios
from .stage import LOGIN_SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stage import Stage

USER_ID = "@bench:example.org"


def in_python(login_secret: str, user_id: str, presented: str) -> bool:
    """Verify as a provider in Python does."""
    expected = hmac.new(login_secret.encode(), user_id.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, presented)


def run(stage: Stage) -> Result:
    """Verify the same hash over and over."""
    presented = token_hash(LOGIN_SECRET, USER_ID)
    times = stage.scale(100_000, 10_000)

    def timed(verify: Callable[[str, str, str], bool]) -> Callable[[], float]:
        timer = timeit.Timer(lambda: verify(LOGIN_SECRET, USER_ID, presented))
        return lambda: timer.timeit(times) / times * 1e6

    measured = in_turn(
        stage.scale(25, 3), {"the core": timed(verify_token_hash), "Python": timed(in_python)}
    )
    return Result(
        "A token hash is verified",
        (
            Figure("the core, called from Python", measured["the core"], "µs", Goal.at_most(0.6)),
            Figure(
                "Python's `hmac` and `compare_digest`, to the core",
                ratios(measured["Python"], measured["the core"]),
                RATIO,
                Goal.at_least(4),
            ),
        ),
    )
