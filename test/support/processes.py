"""What the kernel tells of a process: its memory and its use of the processor."""

import os
import pathlib


def private_kilobytes(pid):
    """Memory that this process alone holds."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))


def cpu_seconds(pids):
    """Processor time that these processes, and children of theirs that have ended, have used."""
    ticks = 0
    for pid in pids:
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _open_files(pid):
    """What each descriptor of a process stands for, and the size of it."""
    found = []
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append((os.readlink(entry), os.stat(entry).st_size))
        except FileNotFoundError:
            continue
    return found


def open_file_sizes(pids, folder):
    """The sizes of the files below a folder that processes hold open, deleted ones too."""
    return [size for pid in pids for name, size in _open_files(pid) if name.startswith(str(folder))]


def listening_ports(pids):
    """The TCP ports on which processes listen, whatever the address."""
    sockets = {name[len("socket:["):-1] for pid in pids for name, _ in _open_files(pid) if name.startswith("socket:")}
    lines = [line.split() for table in ("tcp", "tcp6") if (path := pathlib.Path("/proc/net", table)).exists()
             for line in path.read_text().splitlines()[1:]]
    return {int(fields[1].rpartition(":")[2], 16) for fields in lines if fields[3] == "0A" and fields[9] in sockets}


def open_sockets(pids):
    """How many sockets processes hold open."""
    return sum(name.startswith("socket:") for pid in pids for name, _ in _open_files(pid))
