"""Network namespaces with only some kinds of addresses, and a kernel that has no IPv6."""

import ctypes
import errno
import os
import socket
import struct
import sys

from postgres import ROOT

# What a namespace of its own is made into, before a command runs there. All have loopback only.
KINDS = {
    "both": ":",
    "IPv4 alone": "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6",
    "IPv6 alone": "ip address delete 127.0.0.1/8 dev lo",
    "no IPv6 in the kernel": "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; mount -t tmpfs none /proc/sys/net",
}


def inside(kind):
    """The words before a command that runs it in a namespace of a kind."""
    words = ["unshare", "--net", "--mount", "sh", "-ec", f'ip link set lo up; {KINDS[kind]}; exec "$@"', "sh"]
    if kind == "no IPv6 in the kernel":
        words += [sys.executable, ROOT / "test/support/namespaces.py"]
    return words


def beside(pid):
    """The words before a command that runs it where another process's network is."""
    return ["nsenter", "--target", str(pid), "--net"]


def refuse_ipv6():
    """From here on socket(AF_INET6) fails, in this process and its children, as where ipv6.disable=1 was given to the kernel."""
    def statement(code, operand, if_true=0, if_false=0):
        return struct.pack("HBBI", code, if_true, if_false, operand)

    load, equal, end, allow, fail = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000
    system_call, first_argument, socket_call = 0, 16, 41  # of x86_64
    program = b"".join([
        statement(load, system_call), statement(equal, socket_call, 0, 3),
        statement(load, first_argument), statement(equal, socket.AF_INET6, 0, 1),
        statement(end, fail | errno.EAFNOSUPPORT), statement(end, allow)])
    lines = ctypes.create_string_buffer(program, len(program))
    filters = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(lines)))
    libc = ctypes.CDLL(None, use_errno=True)
    set_seccomp, by_filter = 22, 2
    assert libc.prctl(set_seccomp, by_filter, filters, 0, 0) == 0, os.strerror(ctypes.get_errno())


if __name__ == "__main__":
    refuse_ipv6()
    os.execvp(sys.argv[1], sys.argv[1:])
