"""Rules of the calling thread's network namespace, by libnftables(3), without a process.

Standard library only: Debian's python3-minimal runs it on the hosts.
"""

import contextlib
import ctypes
import functools
from collections.abc import Iterator

__all__ = ["TABLE", "context", "library", "read_rules", "rules_with_handles", "run", "trace_rules"]

# Ours, which marks a probe for the kernel's trace.
TABLE = "wire-by-wire"
NFT_CTX_OUTPUT_HANDLE = 1 << 3


@functools.cache
def library() -> ctypes.CDLL:
    """libnftables(3), loaded when it is first needed. Raises OSError if it is not there."""
    found = ctypes.CDLL("libnftables.so.1")
    found.nft_ctx_new.restype = ctypes.c_void_p
    found.nft_ctx_new.argtypes = [ctypes.c_uint32]
    for name in ("buffer_output", "buffer_error", "get_output_buffer", "get_error_buffer", "free"):
        getattr(found, f"nft_ctx_{name}").argtypes = [ctypes.c_void_p]
    found.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    found.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    found.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    found.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return found


def new_context() -> int:
    """A context for run(), to be freed by library().nft_ctx_free. Raises OSError."""
    made = library().nft_ctx_new(0)
    library().nft_ctx_buffer_output(made)
    library().nft_ctx_buffer_error(made)
    return int(made)


@contextlib.contextmanager
def context() -> Iterator[int]:
    """A context for the time of a with statement."""
    made = new_context()
    try:
        yield made
    finally:
        library().nft_ctx_free(made)


def run(made: int, commands: bytes) -> str:
    """What nft prints of commands. Raises OSError with its own words if it refuses them."""
    if library().nft_run_cmd_from_buffer(made, commands):
        said: str = library().nft_ctx_get_error_buffer(made).decode(errors="replace")
        raise OSError(f"nft: {said.strip() or 'failed'}")
    printed: bytes = library().nft_ctx_get_output_buffer(made)
    return printed.decode(errors="replace")


def read_rules() -> str:
    """The rules of the current namespace, as ``nft list ruleset`` prints them; "" if none.

    Raises OSError, with the words of libnftables, if they cannot be read.
    """
    with context() as made:
        return run(made, b"list ruleset")


def rules_with_handles() -> str:
    """The same with each rule's handle, which names it in a trace."""
    with context() as made:
        library().nft_ctx_output_set_flags(made, NFT_CTX_OUTPUT_HANDLE)
        return run(made, b"list ruleset")


def trace_rules(cookie: bytes, isn: int) -> str:
    """The table that marks the probe, and what answers it, before any other rule is asked.

    @th counts bits from the transport header, @ih from the payload (nft(8), raw payload
    expressions). In a VXLAN packet the inner transport header begins 8 + 8 + 14 + 20 bytes on.
    """
    text = f"0x{cookie.hex()}"
    answer = (isn + 1) & 0xFFFFFFFF
    inner = 8 * (8 + 8 + 14 + 20)
    marks = [
        f"meta l4proto tcp @th,32,32 {isn}",
        f"meta l4proto tcp @th,64,32 {answer}",
        f"meta l4proto tcp @ih,0,128 {text}",
        f"meta l4proto {{ udp, icmp, ipv6-icmp }} @th,64,128 {text}",
        f"meta l4proto udp @th,{inner + 32},32 {isn}",
        f"meta l4proto udp @th,{inner + 64},32 {answer}",
        f"meta l4proto udp @th,{inner + 64},128 {text}",
    ]
    chains = "\n".join(
        f"chain {hook} {{ type filter hook {hook} priority -500;\n"
        + "\n".join(f"{mark} meta nftrace set 1" for mark in marks)
        + "\n}"
        for hook in ("prerouting", "output")
    )
    return f"table inet {TABLE} {{\nflags owner;\n{chains}\n}}"
