"""A place -> lxcproxy in front of it, with the place as the container.

In: paths, a port, the variant. Out: a manifest and the command. Never: a feature that is switched off for the sake of numbers: these are the
defaults, but for one thread and no limit for uploads.
"""

NAME = "lxcproxy"
PROGRAM = "lxcproxy"
CAN = {"http", "websocket", "upload", "files", "fastcgi", "fastcgi kept", "log", "idle"}

MANIFEST = """
apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: bench}}
spec:
  container: {{runtime: Directory, rootfs: {root}}}
  backends:
  - name: app
    http: {{unix: /run/app.sock}}
  - name: php
    fastcgi:
      unix: /run/php.sock
      keepConnections: {kept}
      params: [{{name: SCRIPT_FILENAME, value: {documents}/hello.php}}]
  rules:
  - matches: [{{path: {{value: /}}}}]
    backendRefs: [{{name: app}}]
  - matches: [{{path: {{value: /upload}}}}]
    limits: {{requestBody: Unlimited}}
    backendRefs: [{{name: app}}]
  - matches: [{{path: {{value: /files}}}}]
    files: {{root: /srv}}
  - matches: [{{path: {{type: Exact, value: /hello.php}}}}]
    backendRefs: [{{name: php}}]
"""


def command(program, place, scratch, port, variant):
    """Writes the manifest; returns the command and its environment."""
    manifests = scratch / "manifests"
    manifests.mkdir()
    text = MANIFEST.format(root=place.root, documents=place.documents, kept=8 if variant.kept else 0)
    (manifests / "bench.yaml").write_text(text, encoding="utf-8")
    words = [program, "run", "--threads", "1", "--log", "warn", "--drain-timeout", "0s"]
    words += ["--manifests", manifests, "--state-dir", scratch / "state", "--admin", scratch / "admin.sock"]
    words += ["--listen", f"127.0.0.1:{port}"]
    if variant.access_log:
        words += ["--access-log", "combined", "--access-log-file", scratch / "access.log"]
    return words, {}
