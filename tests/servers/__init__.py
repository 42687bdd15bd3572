"""Real servers on loopback, for the tests, the demo and the benchmarks."""

from .openbao import OpenBao
from .synapse import Registration, Synapse

__all__ = ["OpenBao", "Registration", "Synapse"]
