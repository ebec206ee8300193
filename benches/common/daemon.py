"""A directory of manifests -> lxcproxy that serves it.

In: the binary, where manifests and state are. Out: an address, how long it took to be ready. Never: a wait without a deadline.
"""

import os
import socket
import time

from .processes import Failed, Process


class Daemon(Process):
    """`lxcproxy run`, ready."""

    def __init__(self, binary, scratch, manifests, state, patience=60, arguments=()):
        """Starts it, and waits for its `READY=1` (sd_notify(3)). `scratch`: a directory for its sockets and its log."""
        notify = os.path.join(scratch, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(notify)
            try:
                self.started = time.monotonic()
                command = [binary, "run", "--manifests", manifests, "--state-dir", state, "--admin", os.path.join(scratch, "admin.sock")]
                command += ["--listen", "127.0.0.1:0", "--log-format", "json", "--drain-timeout", "1s", *arguments]
                super().__init__(command, os.path.join(scratch, f"log-{time.monotonic_ns()}"), {"NOTIFY_SOCKET": notify})
                try:
                    self._wait_ready(ready, patience)
                    self.address = self._listening()
                except BaseException:
                    self.stop()
                    raise
            finally:
                os.unlink(notify)

    def _wait_ready(self, ready, patience):
        ready.settimeout(0.1)
        while time.monotonic() < self.started + patience:
            try:
                if b"READY=1" in ready.recv(4096).split(b"\n"):
                    return
            except TimeoutError:
                self.assert_alive()
        raise Failed(f"lxcproxy was not ready within {patience} s: {self.last_words()}")

    def _listening(self):
        with open(self.log, encoding="utf-8") as lines:
            for line in lines:
                if '"listening"' in line:
                    address = line.partition('"address":"')[2].partition('"')[0]
                    host, _, port = address.rpartition(":")
                    return host, int(port)
        raise Failed(f"lxcproxy said nowhere where it listens: {self.last_words()}")

    def stop(self, patience=10):
        """Ends it; a second stop does nothing."""
        super().stop(patience)
        if os.path.exists(self.log):
            os.unlink(self.log)
