"""A place -> Caddy in front of it.

In: paths, a port, the variant. Out: a configuration and its command. Never: TLS, an admin endpoint, or more than one processor for Go.
"""

NAME = "Caddy"
PROGRAM = "caddy"
CAN = {"http", "websocket", "upload", "files", "fastcgi", "log", "idle"}

CONFIGURATION = """
{{
  admin off
  auto_https off
  persist_config off
  log default {{
    output stderr
    level ERROR
    exclude http.log.access
  }}
  servers {{
    protocols h1
  }}
}}
http://:{port} {{
  bind 127.0.0.1
  {log}
  handle /files/* {{
    root * {documents}
    file_server
  }}
  handle /hello.php {{
    root * {documents}
    php_fastcgi unix/{php}
  }}
  handle {{
    reverse_proxy unix/{app} {{
      header_up X-Real-IP {{remote_host}}
      flush_interval 0
      transport http {{
        keepalive 120s
        keepalive_idle_conns 1024
        keepalive_idle_conns_per_host 1024
      }}
    }}
  }}
}}
"""


def command(program, place, scratch, port, variant):
    """Writes the configuration; returns the command and its environment."""
    file = scratch / "Caddyfile"
    text = CONFIGURATION.format(
        log=f"log {{\n    output file {scratch}/access.log\n  }}" if variant.access_log else "",
        app=place.app_socket,
        php=place.php_socket,
        documents=place.documents,
        port=port,
    )
    file.write_text(text, encoding="utf-8")
    home = {"HOME": str(scratch), "XDG_DATA_HOME": str(scratch), "XDG_CONFIG_HOME": str(scratch), "GOMAXPROCS": "1"}
    return [program, "run", "--adapter", "caddyfile", "--config", file], home
