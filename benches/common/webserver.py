"""A root -> a real small backend on the unix socket below it: nginx, one process, an answer of 12 bytes.

In: the root, a directory for its files. Out: the process. Never: a connection closed that could be kept.
"""

import os

from .manifests import SOCKET
from .processes import Process

_CONFIGURATION = """\
daemon off; master_process off; worker_processes 1; pid {scratch}/backend.pid; error_log {scratch}/backend.err;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600;
  client_body_temp_path {scratch}/b1; proxy_temp_path {scratch}/b2; fastcgi_temp_path {scratch}/b3; uwsgi_temp_path {scratch}/b4;
  scgi_temp_path {scratch}/b5;
  server {{ listen unix:{socket}; location / {{ return 200 "Hello world\\n"; }} }}
}}
"""


def serve(scratch, root):
    """Starts it, and waits until its socket is there."""
    path = root + SOCKET
    os.makedirs(os.path.dirname(path), exist_ok=True)
    configuration = os.path.join(scratch, "backend.conf")
    with open(configuration, "w", encoding="ascii") as file:
        file.write(_CONFIGURATION.format(scratch=scratch, socket=path))
    errors = os.path.join(scratch, "backend.err")
    process = Process(["nginx", "-e", errors, "-c", configuration], os.path.join(scratch, "backend.log"))
    try:
        process.wait_for(lambda: os.path.exists(path))
    except BaseException:
        process.stop()
        raise
    return process
