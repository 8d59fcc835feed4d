"""What a panel asks of a host's Engine: each action with the docker command that does the same."""

from sandbox.hosts.actions.action import Action, HostCommand, perform
from sandbox.hosts.actions.containers import execute, logs, remove, run, shell, start, stop
from sandbox.hosts.actions.networks import (
    DRIVERS,
    MODES,
    connect,
    create_network,
    disconnect,
    remove_network,
)
from sandbox.hosts.actions.probes import curl, ping
from sandbox.hosts.actions.refusals import Refused
from sandbox.hosts.actions.swarm import join_swarm, start_swarm
from sandbox.hosts.actions.vm import run_in_vm, start_vm, stop_vm, vm_networks

__all__ = [
    "DRIVERS",
    "MODES",
    "Action",
    "HostCommand",
    "Refused",
    "connect",
    "create_network",
    "curl",
    "disconnect",
    "execute",
    "join_swarm",
    "logs",
    "perform",
    "ping",
    "remove",
    "remove_network",
    "run",
    "run_in_vm",
    "shell",
    "start",
    "start_swarm",
    "start_vm",
    "stop",
    "stop_vm",
    "vm_networks",
]
