"""What others wait, by one who asks all the time."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def wait_at_any_time(waits: Sequence[float], part: float) -> float:
    """Return what a request that comes at any time waits at most, in this part of the cases.

    Who asks again only when answered asks seldom while answers take long, so that a wait of a
    second would count as much as one of a millisecond. But all who come in that second wait for
    its end, and of those who come at any time, as many come in it as it is long.

    Args:
        waits: Of one who asked all the time, one request after the other.
        part: Such as 0.99.
    """
    longest_first = sorted(waits, reverse=True)
    next_longest = [*longest_first, 0.0][1:]
    longer = (1 - part) * sum(waits)
    for count, (total, shorter) in enumerate(
        zip(accumulate(longest_first), next_longest, strict=True), 1
    ):
        # Of so many waits, what is beyond a bound between the shortest of them and the next.
        if total - count * shorter >= longer:
            return (total - longer) / count
    return 0.0
