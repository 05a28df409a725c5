"""The FastCGI protocol (version 1), spoken to a pool's socket as a web server would, or worse."""

import socket
import struct

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, GET_VALUES = 1, 2, 3, 4, 5, 6, 9
RESPONDER = 1


def record(kind, content=b"", request=1, version=1, length=None):
    """One record; a length of its own makes it a lie."""
    return struct.pack(">BBHHBx", version, kind, request, len(content) if length is None else length, 0) + content


def begin(role=RESPONDER, request=1):
    """A request's first record."""
    return record(BEGIN, struct.pack(">HB5x", role, 0), request)


def pair(name, value):
    """A parameter, with lengths of four bytes."""
    return struct.pack(">II", len(name) | 1 << 31, len(value) | 1 << 31) + name + value


def params(**variables):
    """All parameters of a request and their end."""
    content = b"".join(pair(name.encode(), value.encode()) for name, value in variables.items())
    return record(PARAMS, content) + record(PARAMS)


def get(path):
    """A whole request."""
    return begin() + params(REQUEST_METHOD="GET", PATH_INFO=path, SERVER_PROTOCOL="HTTP/1.1") + record(STDIN)


def connect(service, timeout=10):
    """A connection to the report workers' socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout)
    connection.connect(str(service.directory() / "run/reports.sock"))
    return connection


def exchange(service, data, timeout=10):
    """Sends bytes; returns all that comes back until the worker closes."""
    received = b""
    with connect(service, timeout) as connection:
        try:
            connection.sendall(data)
            while chunk := connection.recv(65536):
                received += chunk
        except (BrokenPipeError, ConnectionResetError):
            pass
    return received


def output(stream):
    """The STDOUT bytes in what a worker sent, and whether the request was ended."""
    text, ended = b"", False
    while len(stream) >= 8:
        _, kind, _, length, padding, _ = struct.unpack(">BBHHBB", stream[:8])
        text += stream[8:8 + length] if kind == STDOUT else b""
        ended = ended or kind == END
        stream = stream[8 + length + padding:]
    return text, ended
