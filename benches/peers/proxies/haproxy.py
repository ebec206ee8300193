"""A place -> HAProxy in front of it.

In: paths, a port, the variant. Out: a configuration and its command. Never: files: HAProxy serves none.
"""

NAME = "HAProxy"
PROGRAM = "haproxy"
CAN = {"http", "websocket", "upload", "fastcgi", "fastcgi kept", "log", "idle"}

CONFIGURATION = """
global
  nbthread 1
  maxconn 16384
  no strict-limits
  tune.pool-low-fd-ratio 90
  tune.pool-high-fd-ratio 95
{log}
defaults
  mode http
  timeout connect 10s
  timeout client 120s
  timeout server 120s
  timeout tunnel 120s
frontend all
  bind 127.0.0.1:{port}
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Real-IP %[src]
{frontend_log}
  use_backend php if {{ path /hello.php }}
  default_backend app
backend app
  http-reuse always
  server app unix@{app} pool-max-conn 1024
fcgi-app php
  docroot {documents}
  {keep}option keep-conn
backend php
  use-fcgi-app php
  http-reuse always
  server php unix@{php} proto fcgi {pool}
"""


def command(program, place, scratch, port, variant):
    """Writes the configuration; returns the command and its environment. Its access log is its standard output."""
    file = scratch / "haproxy.cfg"
    text = CONFIGURATION.format(
        log="  log stdout format raw local0 info" if variant.access_log else "",
        frontend_log="  log global\n  option httplog" if variant.access_log else "",
        app=place.app_socket,
        php=place.php_socket,
        documents=place.documents,
        port=port,
        keep="" if variant.kept else "no ",
        pool="pool-max-conn 8" if variant.kept else "pool-max-conn 0",
    )
    file.write_text(text, encoding="utf-8")
    return [program, "-db", "-f", file], {}
