"""A temporary directory -> what every proxy is put in front of.

In: an empty directory. Out: a tree of files, an HTTP backend and php-fpm on unix sockets below it. Never: anything outside of it; it is
removed with all that the proxies leave there.

    root/srv/files/1K ...   what a proxy serves itself
    root/srv/hello.php      what php-fpm runs
    root/run/app.sock       programs/backend.c
    root/run/php.sock       php-fpm
"""

import os
import pathlib
import socket

from common import machine
from common.processes import Process, run

PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
COMPILE_SECONDS = 120
SIZES = {"1K": 1 << 10, "100K": 100 << 10, "100M": 100 << 20}
# More than all kept connections of all proxies together: each of them holds a worker, used or not.
PHP_WORKERS = 40
PHP_POOL = """
[global]
error_log = {directory}/php-fpm.log
daemonize = no
[bench]
{user}
listen = {directory}/root/run/php.sock
listen.mode = 0666
listen.backlog = 4096
pm = static
pm.max_children = {workers}
"""


class Place:
    """The directory, and what listens in it."""

    def __init__(self, directory, programs):
        self.directory = pathlib.Path(directory)
        self.programs = programs
        # The programs in C: their paths by their names.
        self.compiled = {source.stem: self.directory / source.stem for source in PROGRAMS.glob("*.c")}
        self.root = self.directory / "root"
        self.documents = self.root / "srv"
        self.app_socket = self.root / "run/app.sock"
        self.php_socket = self.root / "run/php.sock"
        self.proxy_core, self.load_core = machine.cores()
        self._processes = []
        self._count = 0

    def __enter__(self):
        # php-fpm's workers are another user's.
        self.directory.chmod(0o755)
        for name, path in self.compiled.items():
            run([self.programs["gcc"], "-O2", "-Wall", "-o", path, PROGRAMS / f"{name}.c"], COMPILE_SECONDS)
        (self.documents / "files").mkdir(parents=True)
        self.app_socket.parent.mkdir()
        for name, size in SIZES.items():
            with open(self.documents / "files" / name, "wb") as file:
                for begin in range(0, size, 1 << 20):
                    file.write(b"x" * min(1 << 20, size - begin))
        (self.documents / "hello.php").write_text('<?php header("Content-Type: text/plain"); echo "hello\\n";\n', encoding="ascii")
        try:
            self._listen([self.compiled["backend"], self.app_socket], self.app_socket)
            if "php-fpm8.2" in self.programs:
                self._start_php()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for one in self._processes:
            one.stop()

    def scratch(self, name):
        """A new directory for one process."""
        self._count += 1
        path = self.directory / f"{self._count}-{name}"
        path.mkdir()
        return path

    def _start_php(self):
        user = "user = www-data" if os.geteuid() == 0 else ""
        pool = self.scratch("php-fpm") / "pool.conf"
        pool.write_text(PHP_POOL.format(directory=self.directory, user=user, workers=PHP_WORKERS), encoding="utf-8")
        # -n: no php.ini, the same everywhere.
        self._listen([self.programs["php-fpm8.2"], "-n", "-y", pool, "-F"], self.php_socket)

    def _listen(self, command, path):
        one = Process(command, self.directory / f"{path.stem}.log", core=self.load_core)
        self._processes.append(one)
        one.wait_for(lambda: _accepts(path))


def _accepts(path):
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(str(path))
            return True
        except OSError:
            return False
