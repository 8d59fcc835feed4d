"""The socket filter that lets pass the frames that may belong to a probe (classic BPF, socket(7)).

Standard library only: Debian's python3-minimal runs it on the hosts.
"""

import ctypes
import socket
import struct

__all__ = ["attach", "program"]

# A code and its value; with the names of the places that it jumps to.
Instruction = tuple[int, int] | tuple[int, int, str, str]
# An instruction, or the name of a place.
Line = str | Instruction

ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD
ESP = 50
SO_ATTACH_FILTER = 26  # include/uapi/asm-generic/socket.h
# Classic BPF (linux/bpf_common.h): what is loaded or tested, and from where.
LOAD_BYTE, LOAD_HALF, LOAD_WORD = 0x30, 0x28, 0x20
LOAD_BYTE_AT_X, LOAD_HALF_AT_X, LOAD_WORD_AT_X = 0x50, 0x48, 0x40
X_IP_HEADER, X_CONSTANT, X_FROM_A = 0xB1, 0x01, 0x07
AND, SHIFT_RIGHT, ADD_X = 0x54, 0x74, 0x0C
EQUAL, ANY_BIT, RETURN = 0x15, 0x45, 0x06
ETHERNET = 14


def attach(heard: socket.socket, instructions: list[tuple[int, int, int, int]]) -> None:
    """Have the kernel hand over only those frames that a filter lets pass (socket(7))."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    kept = ctypes.create_string_buffer(code, len(code))
    filter = struct.pack("@HP", len(instructions), ctypes.addressof(kept))
    heard.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter)


def program(cookie: bytes, isn: int) -> list[tuple[int, int, int, int]]:
    """The filter for the frames that may belong to the probe, as (code, yes, no, value).

    They are those with its marks, whether in a VXLAN tunnel or not, ICMP errors, which quote
    what they are about, and ARP and ESP, which tell why it is not seen further.
    """
    mark, answer = int.from_bytes(cookie[:4]), (isn + 1) & 0xFFFFFFFF

    def transport(prefix: str, at: int, tunnel: str) -> list[Line]:
        """Tests of the headers that begin ``at`` bytes after X."""
        return [
            f"{prefix}tcp",
            (LOAD_WORD_AT_X, at + 4), (EQUAL, isn, "keep", ""),
            (LOAD_WORD_AT_X, at + 8), (EQUAL, answer, "keep", ""),
            (LOAD_BYTE_AT_X, at + 12), (AND, 0xF0), (SHIFT_RIGHT, 2), (ADD_X, 0), (X_FROM_A, 0),
            (LOAD_WORD_AT_X, at), (EQUAL, mark, "keep", "drop"),
            f"{prefix}icmp",
            (LOAD_BYTE_AT_X, at),
            *((EQUAL, kind, "keep", "") for kind in (3, 11, 12)),
            (LOAD_WORD_AT_X, at + 8), (EQUAL, mark, "keep", "drop"),
            f"{prefix}icmp6",
            (LOAD_BYTE_AT_X, at),
            *((EQUAL, kind, "keep", "") for kind in (1, 2, 3, 4)),
            (LOAD_WORD_AT_X, at + 8), (EQUAL, mark, "keep", "drop"),
            f"{prefix}udp",
            (LOAD_WORD_AT_X, at + 8), (EQUAL, mark, "keep", tunnel),
        ]  # fmt: skip

    def protocols(prefix: str) -> list[Line]:
        return [
            (EQUAL, 6, f"{prefix}tcp", ""), (EQUAL, 17, f"{prefix}udp", ""),
            (EQUAL, 1, f"{prefix}icmp", ""), (EQUAL, 58, f"{prefix}icmp6", ""),
        ]  # fmt: skip

    # A VXLAN header has the flag "I", and its frame begins 8 bytes on (RFC 7348).
    frame = ETHERNET + 8 + 8
    lines: list[Line] = [
        (LOAD_HALF, 12), (EQUAL, ETH_P_ARP, "keep", ""),
        (EQUAL, ETH_P_IPV6, "ipv6", ""), (EQUAL, ETH_P_IP, "", "drop"),
        (LOAD_HALF, 20), (ANY_BIT, 0x1FFF, "drop", ""),
        (X_IP_HEADER, ETHERNET), (LOAD_BYTE, 23), *protocols(""), (EQUAL, ESP, "keep", "drop"),
        "ipv6",
        (X_CONSTANT, 40), (LOAD_BYTE, 20), *protocols(""), (EQUAL, ESP, "keep", "drop"),
        *transport("", ETHERNET, "tunnel"),
        "tunnel",
        (EQUAL, 0x08000000, "", "drop"),
        (LOAD_HALF_AT_X, frame + 12), (EQUAL, ETH_P_ARP, "keep", ""),
        (EQUAL, ETH_P_IP, "", "drop"),
        (LOAD_BYTE_AT_X, frame + ETHERNET + 9), *protocols("inner "), (RETURN, 0),
        *transport("inner ", frame + ETHERNET + 20, "drop"),
        "drop", (RETURN, 0),
        "keep", (RETURN, 1 << 18),
    ]  # fmt: skip
    places: dict[str, int] = {}
    lined_up: list[Instruction] = []
    for line in lines:
        if isinstance(line, str):
            places[line] = len(lined_up)
        else:
            lined_up.append(line)
    return [_assembled(number, line, places) for number, line in enumerate(lined_up)]


def _assembled(number: int, line: Instruction, places: dict[str, int]) -> tuple[int, int, int, int]:
    code, value, *targets = line
    yes, no = (places[it] - number - 1 if it else 0 for it in targets or ("", ""))
    return code, yes, no, value
