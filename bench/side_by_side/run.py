#!/usr/bin/env python3
"""Entrepot with everything on beside nginx as a plain reverse proxy, on loopback, in one run.

    bench/side_by_side/run.py [--build DIR] [--rounds N] [--seconds N] [--streams N] [--hold N]
                              [--only chat|messages] [--json FILE]

Core 0 runs the supplier and the load, core 1 the proxy alone. A proxy's CPU is the scheduler's own
run time of all its threads (schedstat). Each round measures every target in turn, and what is
compared is the ratio within a round, because the machine's speed drifts between rounds. `direct` is
the load on the supplier itself: what the proxies add is their latency less its. The rows of
Messages are the translation lane: Entrepot's client speaks Anthropic's dialect and the supplier
Chat Completions, while nginx passes Chat Completions on. Needs nginx; prints a table in Markdown.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PORTS = {"direct": 18000, "nginx": 18100, "entrepot": 18500}


class Bench:
    def __init__(self, options):
        self.options = options
        self.build = pathlib.Path(options.build).resolve()
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="entrepot-bench-"))
        self.processes = {}

    def program(self, name):
        places = (self.build / name, self.build / "bench/side_by_side" / name)
        found = next((place for place in places if place.exists()), None)
        if found is None:
            sys.exit(f"{name} is not built: cmake --build {self.build} --target {name}")
        return str(found)

    def spawn(self, name, command, core):
        log = open(self.work / f"{name}.log", "w")
        nice = ["nice", "-n", "-10"] if os.geteuid() == 0 else []
        self.processes[name] = subprocess.Popen(
            nice + ["taskset", "-c", str(core)] + command, cwd=self.work, stdout=log, stderr=log,
            stdin=subprocess.DEVNULL)

    def up(self, events, interval_ms):
        (self.work / "tmp").mkdir(exist_ok=True)
        shutil.rmtree(self.work / "data", ignore_errors=True)
        shutil.copy(HERE / "entrepot.yaml", self.work)
        shutil.copy(HERE / "nginx.conf", self.work)
        self.spawn("supplier", [self.program("bench_supplier"), "18000", str(events),
                                str(interval_ms)], 0)
        self.spawn("nginx", ["nginx", "-p", f"{self.work}/", "-c", f"{self.work}/nginx.conf",
                             "-e", "start.err"], 1)
        self.spawn("entrepot", [self.program("entrepot"), "serve", "--config",
                                f"{self.work}/entrepot.yaml"], 1)
        time.sleep(2)
        for name, process in self.processes.items():
            if process.poll() is not None:
                log = (self.work / f"{name}.log").read_text()
                sys.exit(f"{name} did not start: {log[-2000:]}")

    def down(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        self.processes.clear()

    def tree(self, target):
        root = self.processes["supplier" if target == "direct" else target].pid
        pids = [root]
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
                if int(text[text.rindex(")") + 2:].split()[1]) == root:
                    pids.append(int(stat.parent.name))
            except (OSError, ValueError):
                pass
        return pids

    def cpu_ns(self, target):
        total = 0
        for pid in self.tree(target):
            for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    total += int(stat.read_text().split()[0])
                except OSError:
                    pass
        return total

    def pss_kb(self, target):
        total = 0
        for pid in self.tree(target):
            try:
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])
            except OSError:
                pass
        return total

    def load(self, target, *words):
        port = PORTS[target]
        if target == "nginx" and words[0] != "json":
            port = 18101  # unbuffered, as streams need it
        command = ["taskset", "-c", "0", self.program("bench_load"), words[0], str(port),
                   *map(str, words[1:])]
        before = self.cpu_ns(target)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        peak_kb = 0
        while process.poll() is None:
            if words[0] == "hold":
                peak_kb = max(peak_kb, self.pss_kb(target))
            time.sleep(0.25)
        result = json.loads(process.stdout.read())
        result["cpu_us"] = (self.cpu_ns(target) - before) / 1000
        result["peak_kb"] = peak_kb
        if result["bad"]:
            print(f"  {target} {words}: {result['bad']} failed", file=sys.stderr)
        return result


def median(values):
    return statistics.median(values) if values else float("nan")


def rounds_of(bench, words, *own):
    """[{target: result}] with the order of the targets turned round each time. `own`: further words
    for Entrepot's load."""
    out = []
    for number in range(bench.options.rounds):
        targets = list(PORTS) if number % 2 == 0 else list(PORTS)[::-1]
        out.append({target: bench.load(target, *words, *(own if target == "entrepot" else ()))
                    for target in targets})
    return out


def row(name, rounds, unit):
    proxies = ("nginx", "entrepot")

    def cost(result):
        return result["cpu_us"] / max(1, result[unit])

    def added(target, which):
        """Requests: above the supplier's own latency. Events: the one-way delay itself."""
        return median([r[target][which] - (r["direct"][which] if unit == "requests" else 0)
                       for r in rounds])
    cpu = {t: median([cost(r[t]) for r in rounds]) for t in proxies}
    ratio = median([cost(r["entrepot"]) / cost(r["nginx"]) for r in rounds])
    rate = {t: median([r[t][unit] * 1e6 / r[t]["elapsed_us"] for r in rounds]) for t in proxies}
    delay = {t: (added(t, "p50_us"), added(t, "p99_us")) for t in proxies}
    cells = [name, f"{cpu['nginx']:.2f}", f"{cpu['entrepot']:.2f}", f"**{ratio:.2f}**",
             f"{rate['nginx']:.0f}", f"{rate['entrepot']:.0f}",
             *(f"{delay[t][0]:.0f} / {delay[t][1]:.0f}" for t in proxies)]
    print("| " + " | ".join(cells) + " |", flush=True)
    return {"name": name, "cpu_us": cpu, "ratio": ratio, "per_s": rate, "delay_us": delay}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=str(ROOT / "build/release"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--hold", type=int, default=5000, help="streams held open at once")
    parser.add_argument("--only", choices=("chat", "messages"), help="rows of one client dialect")
    parser.add_argument("--json", help="write the figures to this file as well")
    bench = Bench(parser.parse_args())
    options = bench.options
    figures = []
    try:
        print("| load | nginx CPU us | Entrepot CPU us | ratio | nginx /s | Entrepot /s | "
              "nginx p50 / p99 us | Entrepot p50 / p99 us |\n|---|---|---|---|---|---|---|---|",
              flush=True)
        bench.up(50, 20)
        for target in PORTS:
            bench.load(target, "json", 16, 1, 400)
        for client in ("chat", "messages"):
            if options.only not in (None, client):
                continue
            own = [] if client == "chat" else [client]
            for size in (400, 4000, 64000):
                rounds = rounds_of(bench, ("json", 64, options.seconds, size), *own)
                figures.append(row(f"{client}, {size} B prompt, per request", rounds, "requests"))
            rounds = rounds_of(bench, ("sse", options.streams, options.seconds * 2), *own)
            figures.append(row(f"{client}, {options.streams} streams, per event", rounds, "events"))
        bench.down()
        print("\nRequests: latency added to the supplier's own. Events: one-way delay.\n")
        print("| streams held open | kB of user memory per stream |\n|---|---|")
        for target in ("nginx", "entrepot"):
            bench.up(20, 500)
            idle = bench.pss_kb(target)
            peak = bench.load(target, "hold", options.hold, 1)["peak_kb"]
            bench.down()
            each_kb = (peak - idle) / options.hold
            figures.append({"name": f"memory {target}", "kb_per_stream": each_kb})
            print(f"| {options.hold} at {target} | {each_kb:.2f} |", flush=True)
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps(figures, indent=1))
    finally:
        bench.down()
        shutil.rmtree(bench.work, ignore_errors=True)


if __name__ == "__main__":
    main()
