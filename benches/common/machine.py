"""The machine -> its cores, memory, open files and ports, and a line that says what it is.

In: nothing. Out: numbers, a line. Never: a port of others, another address than 127.0.0.1.
"""

import os
import platform
import resource
import socket

_FILES = 65536


def cores():
    """The core of a proxy, and that of everything else: the first two that this process may use. With one core, both are the same."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[1 % len(usable)]


def allow_files():
    """As many open files as there may be: 10,000 clients need more than the usual 1,024. Returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (max(hard, _FILES), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            return most
        except (ValueError, OSError):
            continue
    return soft


def free_port():
    """A port of 127.0.0.1 that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def available():
    """Bytes of memory that a program could have."""
    return _memory("MemAvailable")


def description():
    """Kernel, processor and memory, in a line."""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), platform.machine())
    return f"Linux {platform.release()}, {os.cpu_count()} x {model}, {_memory('MemTotal') / 2**30:.0f} GiB"


def _memory(field):
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{field}:")) * 1024
