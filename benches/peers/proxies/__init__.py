"""A name -> a proxy that does the same as the others.

In: a place (`place.py`), a port, and the variant: with an access log, with kept FastCGI connections. Out: the command that serves it.
Never: more than one worker, or fewer header fields than the others: Host, X-Forwarded-For, -Proto, -Host and X-Real-IP.

Every proxy serves the same paths, as far as it can: `/files/` and below from `root/srv`, `/hello.php` from php-fpm, all others from the backend.
Each keeps connections to the backend, as many as there are clients; streams bodies of any length both ways; and writes no log but errors.
"""

from . import caddy, envoy, haproxy, lxcproxy, nginx, relay

# In the order of the tables; the first is what the others are compared with.
ALL = {proxy.NAME: proxy for proxy in (nginx, haproxy, envoy, caddy, relay, lxcproxy)}
YARDSTICK = nginx.NAME
FLOOR = relay.NAME
OURS = lxcproxy.NAME
