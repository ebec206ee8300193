"""A place -> the bare relay (`programs/relay.c`) in front of it: the floor under every proxy.

In: paths, ports. Out: its command. Never: HTTP: it adds no header field, and keeps a connection to the backend for each client.
"""

NAME = "relay (floor)"
PROGRAM = None
CAN = {"http", "websocket", "upload"}


def command(_program, place, _scratch, ports, _variant):
    """Returns the command and its environment."""
    return [place.compiled["relay"], ports.http, place.app_socket], {}
