"""Real servers on loopback, for the tests, the demo and the benchmarks; and what harms them."""

from .broken_vault import BrokenVault
from .durable_openbao import DurableOpenBao
from .mas import Mas
from .openbao import OpenBao
from .prometheus import Prometheus
from .raft import RaftCluster
from .relay import Relay
from .synapse import Registration, Synapse
from .synapse_process import SynapseProcess
from .valkey import Valkey
from .worker import Worker

__all__ = [
    "BrokenVault",
    "DurableOpenBao",
    "Mas",
    "OpenBao",
    "Prometheus",
    "RaftCluster",
    "Registration",
    "Relay",
    "Synapse",
    "SynapseProcess",
    "Valkey",
    "Worker",
]
