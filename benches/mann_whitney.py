"""Whether two samples may be of one distribution, by the ranks of what is in them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Comparison:
    """What the Mann-Whitney U test says of two samples."""

    p: float
    """How probable ranks are that lie at least as far apart, if the distributions are one."""
    effect: float
    """How probably something of the first is above something of the second; one half for alike.

    Unlike `p` it does not depend on how many there are: of enough samples any difference is
    significant.
    """


def compare(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Compare two samples of at least some dozens, by the normal approximation.

    See https://en.wikipedia.org/wiki/Mann%E2%80%93Whitney_U_test. The package that has it,
    SciPy, is larger than all others of the benchmarks together.
    """
    m, n = len(first), len(second)
    values = sorted([(value, True) for value in first] + [(value, False) for value in second])
    rank_sum, ties, below = 0.0, 0, 0
    for _, group in groupby(values, key=lambda item: item[0]):
        is_first = [of_first for _, of_first in group]
        # Equal ones share the mean of their ranks.
        rank_sum += sum(is_first) * (below + (len(is_first) + 1) / 2)
        ties += len(is_first) ** 3 - len(is_first)
        below += len(is_first)
    u = rank_sum - m * (m + 1) / 2
    deviation = math.sqrt(m * n / 12 * (m + n + 1 - ties / ((m + n) * (m + n - 1))))
    # Half a rank nearer: ranks come in steps, which the normal distribution does not.
    distance = max(0.0, abs(u - m * n / 2) - 0.5) / deviation if deviation else 0.0
    return Comparison(p=2 * NormalDist().cdf(-distance), effect=u / (m * n))
