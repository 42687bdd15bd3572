"""Real servers on loopback, for the tests, the demo and the benchmarks; and one broken one."""

from .broken_vault import BrokenVault
from .durable_openbao import DurableOpenBao
from .openbao import OpenBao
from .synapse import Registration, Synapse

__all__ = ["BrokenVault", "DurableOpenBao", "OpenBao", "Registration", "Synapse"]
