"""A place -> the bare relay (`programs/relay.c`) in front of it: the floor under every proxy.

In: paths, a port. Out: its command. Never: HTTP: it adds no header field, and keeps a connection to the backend for each client.
"""

NAME = "relay (floor)"
PROGRAM = None
CAN = {"http", "websocket", "upload"}


def command(_program, place, _scratch, port, _variant):
    """Returns the command and its environment."""
    return [place.compiled["relay"], port, place.app_socket], {}
