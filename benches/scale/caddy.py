"""Hosts -> Caddy with a route for each, and one of them changed through its admin API.

In: a directory, the backend's root. Out: a process, its address. Never: a file outside that directory.
"""

import http.client
import json
import os

from common.machine import free_port
from common.manifests import REVISION, SOCKET, host
from common.processes import Failed, Process


class Caddy:
    """Caddy, not started yet."""

    NAME = "Caddy, admin API"

    def __init__(self, place, root, apps):
        """Writes its configuration into a directory of its own."""
        self._place, self._root = place, root
        self.address, self._admin = ("127.0.0.1", free_port()), ("127.0.0.1", free_port())
        server = {
            "listen": [f"127.0.0.1:{self.address[1]}"],
            "automatic_https": {"disable": True},
            "routes": [self._route(number, 0) for number in range(apps)],
        }
        configuration = {
            "admin": {"listen": f"127.0.0.1:{self._admin[1]}", "config": {"persist": False}},
            "logging": {"logs": {"default": {"level": "ERROR"}}},
            "apps": {"http": {"servers": {"web": server}}},
        }
        with open(os.path.join(place, "caddy.json"), "w", encoding="ascii") as file:
            json.dump(configuration, file)

    def start(self):
        """Starts it; it is not ready yet."""
        private = {"XDG_DATA_HOME": self._place, "XDG_CONFIG_HOME": self._place, "HOME": self._place}
        command = ["caddy", "run", "--config", os.path.join(self._place, "caddy.json")]
        return Process(command, os.path.join(self._place, "log"), private)

    def change(self, number, revision):
        """Replaces one route by its `@id`, which is the least that Caddy can be asked for."""
        connection = http.client.HTTPConnection(*self._admin, timeout=120)
        try:
            body = json.dumps(self._route(number, revision))
            connection.request("PATCH", f"/id/{host(number)}", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
        except OSError as error:
            raise Failed(f"the admin API did not answer: {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise Failed(f"the admin API said {answer.status}: {said[:200].decode(errors='replace')}")

    def _route(self, number, revision):
        return {
            "@id": host(number),
            "match": [{"host": [host(number)]}],
            "handle": [
                {"handler": "headers", "response": {"set": {REVISION: [str(revision)]}}},
                {"handler": "reverse_proxy", "upstreams": [{"dial": f"unix/{self._root}{SOCKET}"}]},
            ],
            "terminal": True,
        }
