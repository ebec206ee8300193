"""A number -> that many Apps, one manifest each, and one of them changed.

In: a directory, how many, the root that their backend's socket is below. Out: files `app-000000.yaml`, ... Never: half a manifest to be
seen by a daemon; a changed one comes beside its place and is renamed.
"""

import os

# The socket of all backends, as the container sees it.
SOCKET = "/run/web.sock"
# The field of an answer that says which revision of its manifest was served.
REVISION = "X-Revision"

# Fields of a rule: other methods than GET find their App and no rule, and are answered 404 without a backend.
ONLY_GET = ("matches: [{method: GET}]",)

_MANIFEST = """\
apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: {name}}}
spec:
  container: {{runtime: Directory, rootfs: {root}}}
  hostnames: [{host}]
  backends:
  - {{name: web, http: {{unix: {socket}}}}}
  rules:
  - filters:
    - {{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: {field}, value: "{revision}"}}]}}}}
{more}    backendRefs: [{{name: web}}]
"""


def host(number):
    """The hostname of an App; all are equally long."""
    return f"app-{number:06}.example.org"


def text(number, root, revision=0, socket=SOCKET, more=ONLY_GET):
    """A manifest. `more` are further fields of its rule, a line each."""
    return _MANIFEST.format(
        name=f"app-{number:06}",
        host=host(number),
        root=root,
        socket=socket,
        field=REVISION,
        revision=revision,
        more="".join(f"    {line}\n" for line in more),
    )


def write(directory, number, content):
    """Puts one manifest in its place, at once; returns nothing."""
    beside = os.path.join(directory, f".app-{number:06}.yaml.new")
    with open(beside, "w", encoding="ascii") as file:
        file.write(content)
    os.rename(beside, os.path.join(directory, f"app-{number:06}.yaml"))


def write_all(directory, count, root):
    """As many Apps as wanted, in a directory that is made if it is missing and that nobody watches yet; returns nothing."""
    os.makedirs(directory, exist_ok=True)
    for number in range(count):
        with open(os.path.join(directory, f"app-{number:06}.yaml"), "w", encoding="ascii") as file:
            file.write(text(number, root))
