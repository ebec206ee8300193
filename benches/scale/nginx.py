"""Hosts -> nginx with a server block for each, and one of them changed by a reload.

In: a directory, the backend's root. Out: a process, its address. Never: a list of servers that its hash tables are too small for.
"""

import os
import subprocess

from machine import free_port
from manifests import REVISION, SOCKET, host
from processes import Failed, Process

_CONFIGURATION = """\
{user}daemon off; worker_processes auto; pid {place}/pid; error_log {place}/error;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000;
  server_names_hash_max_size {hash}; server_names_hash_bucket_size 128;
  client_body_temp_path {place}/t1; proxy_temp_path {place}/t2; fastcgi_temp_path {place}/t3; uwsgi_temp_path {place}/t4;
  scgi_temp_path {place}/t5;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_set_header X-Real-IP $remote_addr;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  upstream web {{ server unix:{socket}; keepalive 512; }}
  include {place}/sites/*.conf;
}}
"""

_SITE = """\
server {{
  listen 127.0.0.1:{port};
  server_name {host};
  location / {{ proxy_pass http://web; add_header {field} {revision} always; }}
}}
"""


class Nginx:
    """nginx, not started yet."""

    NAME = "nginx, reload"

    def __init__(self, place, root, apps):
        """Writes its configuration into a directory of its own."""
        self._place, self._configuration = place, os.path.join(place, "nginx.conf")
        self.address = ("127.0.0.1", free_port())
        os.makedirs(os.path.join(place, "sites"))
        # Its workers would be somebody else, who may not look into our directory.
        user = "user root; " if os.geteuid() == 0 else ""
        with open(self._configuration, "w", encoding="ascii") as file:
            file.write(_CONFIGURATION.format(user=user, place=place, socket=root + SOCKET, hash=max(512, 4 * apps)))
        for number in range(apps):
            self._write(os.path.join(place, "sites", f"{host(number)}.conf"), number, 0)

    def start(self):
        """Starts it; it is not ready yet."""
        return Process([*self._command(), "-c", self._configuration], os.path.join(self._place, "log"))

    def change(self, number, revision):
        """Changes one file, and has everything read again, as an administrator does: `nginx -s reload`."""
        site = os.path.join(self._place, "sites", f"{host(number)}.conf")
        self._write(f"{site}.new", number, revision)
        os.rename(f"{site}.new", site)
        try:
            done = subprocess.run([*self._command(), "-c", self._configuration, "-s", "reload"], capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired as error:
            raise Failed("no reload within 120 s") from error
        if done.returncode:
            raise Failed(f"the reload failed: {done.stderr.strip()[-200:]}")

    def _command(self):
        return ["nginx", "-e", os.path.join(self._place, "error")]

    def _write(self, path, number, revision):
        with open(path, "w", encoding="ascii") as file:
            file.write(_SITE.format(port=self.address[1], host=host(number), field=REVISION, revision=revision))
