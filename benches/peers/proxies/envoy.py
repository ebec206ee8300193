"""A place -> Envoy in front of it.

In: paths, a port, the variant. Out: a configuration and its command. Never: files and FastCGI: Envoy has neither.
"""

import json

NAME = "Envoy"
PROGRAM = "envoy"
CAN = {"http", "websocket", "upload", "log", "idle"}

TYPES = "type.googleapis.com/envoy.extensions"
MANAGER = f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = f"{TYPES}.filters.http.router.v3.Router"
FILE_LOG = f"{TYPES}.access_loggers.file.v3.FileAccessLog"
# More than anybody here opens: the limits of Envoy's circuit breakers are 1,024.
MOST = 20000


def command(program, place, scratch, port, variant):
    """Writes the configuration; returns the command and its environment."""
    limits = {"max_connections": MOST, "max_pending_requests": MOST, "max_requests": MOST}
    app = {
        "name": "app",
        "type": "STATIC",
        "connect_timeout": "10s",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": [_endpoint(place.app_socket)]}]},
    }
    log = [{"name": "file", "typed_config": {"@type": FILE_LOG, "path": f"{scratch}/access.log"}}]
    manager = _manager(log if variant.access_log else [])
    listener = {"name": "all", "address": _address(port), "filter_chains": [{"filters": [manager]}]}
    file = scratch / "envoy.json"
    file.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": [app]}}), encoding="utf-8")
    return [program, "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "error"], {}


def _manager(access_log):
    host = {
        "name": "all",
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app", "timeout": "0s"}}],
        "request_headers_to_add": [
            _field("X-Forwarded-Host", "%REQ(:authority)%"),
            _field("X-Real-IP", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
        ],
    }
    configuration = {
        "@type": MANAGER,
        "stat_prefix": "all",
        "use_remote_address": True,
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": {"virtual_hosts": [host]},
        "http_filters": [{"name": "router", "typed_config": {"@type": ROUTER}}],
        "access_log": access_log,
    }
    return {"name": "http", "typed_config": configuration}


def _field(name, value):
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _endpoint(path):
    return {"endpoint": {"address": {"pipe": {"path": str(path)}}}}
