"""The tables of a run -> which targets are met.

In: rows by job. Out: one line per target: what, the target, the number, met or not. Never: a target without its job: that one is "not measured".
"""

import math

import proxies
from common.report import Target


def _ratio(name, other):
    return lambda rows: rows[proxies.OURS][name] / rows[other][name]


def _to_best_peer(name):
    """Peers that read HTTP: the relay is none."""

    def look(rows):
        peers = [numbers[name] for label, numbers in rows.items() if label not in (proxies.OURS, proxies.FLOOR)]
        return rows[proxies.OURS][name] / min(peers)

    return look


def _cost_of_log(rows):
    return rows[f"{proxies.OURS}, access log"]["cpu"] - rows[proxies.OURS]["cpu"]


def _megabytes(name):
    return lambda rows: rows[proxies.OURS][name] / 1e6


NGINX = f"x {proxies.YARDSTICK}"
# What, of which job, how its number is found in the rows (by label), the most that it may be.
PROMISES = [
    ("HTTP over a unix socket, CPU per request", "http-127-64", _ratio("cpu", proxies.YARDSTICK), 0.90, NGINX),
    ("HTTP over a unix socket, CPU per request", "http-127-64", _ratio("cpu", proxies.FLOOR), 1.15, "x the relay"),
    ("HTTP, p99 at equal load (half of what the slowest bears)", "rate-all", _to_best_peer("p99"), 1.0, "x the best peer"),
    ("HTTP, p99 at equal load (70 % of what nginx bears)", "rate-nginx", _to_best_peer("p99"), 1.0, "x the best peer"),
    ("access log, CPU per request", "access-log", _cost_of_log, 1.0, "us more"),
    ("FastCGI, CPU per request", "fastcgi", _ratio("cpu", proxies.YARDSTICK), 0.90, NGINX),
    ("a file of 1 KB, CPU per request", "file-1k", _ratio("cpu", proxies.YARDSTICK), 1.0, NGINX),
    ("a file of 100 KB, CPU per request", "file-100k", _ratio("cpu", proxies.YARDSTICK), 1.0, NGINX),
    ("a file of 100 MB, CPU per request", "file-100m", _ratio("cpu", proxies.YARDSTICK), 1.0, NGINX),
    ("memory, idle", "memory", _megabytes("memory"), 15, "MB"),
    ("memory, 10,000 idle connections more", "memory", _megabytes("idle"), 80, "MB"),
]


def judge(tables):
    """`tables`: rows by the name of their job."""
    return [Target(what, _measured(look, tables.get(job, [])), most, unit) for what, job, look, most, unit in PROMISES]


def _measured(look, rows):
    """Nothing if a row is missing; what lxcproxy could not do at all is missed."""
    if any(row.proxy == proxies.OURS and row.note for row in rows):
        return math.inf
    try:
        # What is shown is what is judged.
        return round(look({row.label: row.numbers for row in rows if row.numbers}), 2)
    except (KeyError, ValueError, ZeroDivisionError):
        return None
