"""Real Docker hosts for the course's notebooks.

import sandbox
sb = sandbox.up(hosts=2)
sb.host("a").run("docker network ls")
"""

from sandbox.errors import CellFailed, SandboxError
from sandbox.host import Host, Result
from sandbox.magic import load_ipython_extension
from sandbox.predict import predict
from sandbox.sandbox import Sandbox, down, find, host, reset, up

__all__ = [
    "CellFailed",
    "Host",
    "Result",
    "Sandbox",
    "SandboxError",
    "down",
    "find",
    "host",
    "predict",
    "reset",
    "up",
]

load_ipython_extension()
