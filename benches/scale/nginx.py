"""Hosts -> nginx with a server block for each, and one of them changed by a reload.

In: a directory, the backend's root. Out: a process, its address. Never: a list of servers that its hash tables are too small for.
"""

import os

from common.machine import free_port
from common.manifests import REVISION, SOCKET, host
from common.processes import Process, run

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
        self._place, configuration = place, os.path.join(place, "nginx.conf")
        self._command = ["nginx", "-e", os.path.join(place, "error"), "-c", configuration]
        self.address = ("127.0.0.1", free_port())
        os.makedirs(os.path.join(place, "sites"))
        # Its workers would be somebody else, who may not look into our directory.
        user = "user root; " if os.geteuid() == 0 else ""
        with open(configuration, "w", encoding="ascii") as file:
            file.write(_CONFIGURATION.format(user=user, place=place, socket=root + SOCKET, hash=max(512, 4 * apps)))
        for number in range(apps):
            self._write(os.path.join(place, "sites", f"{host(number)}.conf"), number, 0)

    def start(self):
        """Starts it; it is not ready yet."""
        return Process(self._command, os.path.join(self._place, "log"))

    def change(self, number, revision):
        """Changes one file, and has everything read again, as an administrator does: `nginx -s reload`."""
        site = os.path.join(self._place, "sites", f"{host(number)}.conf")
        self._write(f"{site}.new", number, revision)
        os.rename(f"{site}.new", site)
        run([*self._command, "-s", "reload"], 120)

    def _write(self, path, number, revision):
        with open(path, "w", encoding="ascii") as file:
            file.write(_SITE.format(port=self.address[1], host=host(number), field=REVISION, revision=revision))
