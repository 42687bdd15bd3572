"""The test of ranks gives what SciPy's `mannwhitneyu` gives for the same samples."""

from __future__ import annotations

import pytest

from benches.mann_whitney import compare


def test_samples_with_ties() -> None:
    first = [float(n * n % 31) for n in range(40)]
    second = [float(n * n % 29 + 2) for n in range(50)]
    comparison = compare(first, second)
    assert comparison.p == pytest.approx(0.008747987441618197)
    assert comparison.effect == pytest.approx(0.3385)


def test_samples_that_are_alike() -> None:
    comparison = compare([1.0, 2.0, 3.0] * 20, [1.0, 2.0, 3.0] * 20)
    assert comparison.p == pytest.approx(1)
    assert comparison.effect == pytest.approx(0.5)


def test_samples_that_are_all_the_same_value() -> None:
    comparison = compare([1.0] * 30, [1.0] * 30)
    assert (comparison.p, comparison.effect) == (1, 0.5)
