"""A checkout on a Debian machine -> lxcproxy beside its peers, as tables. Started by `run`.

    benches/peers/run                                  everything, in less than 45 minutes, as root: what is missing is installed
    benches/peers/run --quick                          the jobs of most targets, in less than 3 minutes
    benches/peers/run --only http-127-64 --peers nginx one job (a name, or how names begin), and lxcproxy beside one peer
    benches/peers/run --write docs/performance.md      also into that document

In: words as above. Out: Markdown on standard output, news on standard error; 0, or 1 if something broke or (`--check`) a target is missed.
Never: a process or file that is left behind, or numbers of two runs beside each other.
"""

import os
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import jobs
import place
import proxies
import rounds
import tables
import targets
from common import bench, machine, programs

FULL = {"rounds": 5, "seconds": 2.0}
QUICK = {"rounds": 3, "seconds": 1.0}
# Without these there is no load, and nothing to put it on.
NEEDED = {"gcc", "wrk"}


def main():
    """Exit status."""
    every = jobs.every_job()
    words = _arguments(every)
    if words.list:
        for job in every.values():
            print(f"{job.name:<14} {'quick' if job.quick else '     '} {job.title}")
        return 0
    chosen_jobs = [job for job in every.values() if _is_chosen(job, every, words)]
    chosen = [proxy for proxy in proxies.ALL.values() if proxy.NAME in words.peers]
    names = {*NEEDED, *(name for job in chosen_jobs for name in job.programs)}
    names |= {proxy.PROGRAM for proxy in chosen if proxy.PROGRAM} - {"lxcproxy"}
    there = {**programs.install(names, NEEDED), "lxcproxy": programs.lxcproxy(words.binary)}
    with tempfile.TemporaryDirectory(prefix=f"lxcproxy-bench-{os.getpid()}-") as directory:
        measured = _measure(directory, there, chosen_jobs, chosen, words)
    judged = targets.judge({job.name: rows for job, rows in measured})
    header = bench.header(_rounds(words), programs.versions(there, built=not words.binary))
    broke = any(row.broke for _, rows in measured for row in rows)
    return bench.conclude(words, tables.document(header, measured, judged), judged, broke)


def _arguments(every):
    parser = bench.parser("lxcproxy beside its peers: speed and memory.", quick="fewer jobs, shorter rounds")
    parser.add_argument("--list", action="store_true", help="print the jobs, and end")
    parser.add_argument("--only", action="append", default=[], metavar="JOB", help="only jobs that begin so; may be repeated")
    parser.add_argument("--peers", default=",".join(proxies.ALL), metavar="A,B", help="only these beside lxcproxy; `relay` is the floor")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each is measured (full: 5, quick: 3)")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long each time (full: 2, quick: 1; wrk: whole seconds)")
    words = parser.parse_args()
    defaults = QUICK if words.quick else FULL
    words.rounds = words.rounds or defaults["rounds"]
    words.seconds = words.seconds or defaults["seconds"]
    if not 1 <= words.rounds <= 100 or not 0 < words.seconds <= 60:
        parser.error("1 to 100 rounds of up to 60 seconds")
    unknown = [name for name in words.only if not any(job.startswith(name) for job in every)]
    if unknown:
        parser.error(f"no job begins with {', '.join(unknown)}; --list shows all")
    known = {name.split()[0].lower(): name for name in proxies.ALL}
    asked = [name.strip().split()[0].lower() for name in words.peers.split(",") if name.strip()]
    if not set(asked) <= known.keys():
        parser.error(f"peers are {', '.join(sorted(known))}")
    words.peers = {proxies.OURS, *(known[name] for name in asked)}
    return words


def _is_chosen(job, every, words):
    if words.only:
        # A whole name means that job, and not the ones that begin so, too.
        return any(job.name == name or (name not in every and job.name.startswith(name)) for name in words.only)
    return job.quick or not words.quick


def _measure(directory, there, chosen_jobs, chosen, words):
    """[(job, rows)], in the order of the jobs."""
    files = machine.allow_files()
    if files < 2 * jobs.IDLE_CONNECTIONS:
        bench.say(f"only {files} open files are allowed: jobs with many connections may fail")
    measured = []
    with place.Place(directory, there) as here:
        # The clients, too, stay off the core of the proxies.
        os.sched_setaffinity(0, {here.load_core})
        for number, job in enumerate(chosen_jobs, 1):
            bench.say(f"{number} of {len(chosen_jobs)}: {job.title}")
            begin = time.monotonic()
            measured.append((job, rounds.run(job, here, chosen, words.rounds, words.seconds)))
            bench.say(f"{time.monotonic() - begin:.0f} s")
    return measured


def _rounds(words):
    return f"medians of {words.rounds} rounds of {words.seconds:g} s" if words.rounds > 1 else f"one round of {words.seconds:g} s"


if __name__ == "__main__":
    bench.run(main)
