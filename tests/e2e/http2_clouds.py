#!/usr/bin/env python3
"""Clouds that are spoken to in HTTP/2: every kind, streams at once, cancels, refusals, faults; and
clients whose connections are retired.

    tests/e2e/http2_clouds.py --build build/dev --node NODE [-k NAME]

A gateway of its own with cloudsim behind it, by prior knowledge. Prints `ok NAME` or `not ok NAME:
reason` per case and ends with `N passed, N failed`.
"""
import argparse
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import traceback
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import harness  # noqa: E402
from cloudsim import Cloudsim  # noqa: E402
from stage import ACCESS_KEY, SECRET, TARGETS, Gateway, offer_yaml  # noqa: E402

ESTABLISHED = "01"
REQUESTS_MAX = 20  # of a client's connection


class Reply:
    """One request to the gateway, as far as it has been read."""

    def __init__(self, port, model, stream, text):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body), {
            "authorization": f"Bearer {SECRET}", "content-type": "application/json"})
        self.reply = self.connection.getresponse()
        self.status, self.headers, self.body = self.reply.status, self.reply.headers, b""

    def read_event(self):
        line = self.reply.readline()
        while line.strip():
            self.body += line
            line = self.reply.readline()
        return self.body

    def read(self):
        """The rest; http.client.IncompleteRead when it breaks off."""
        self.body += self.reply.read()
        self.connection.close()
        return self

    def leave(self):
        self.reply.close()
        self.connection.close()

    def is_whole(self):
        return self.status == 200 and (b"[DONE]" in self.body or b'"usage"' in self.body)


class Up:
    """The gateway over simulated clouds."""

    def __init__(self, build, node):
        self.node = node
        self.folder = harness.scratch("http2-clouds")
        self.sim = Cloudsim(build, self.folder / "cloudsim.log")
        by_http1 = self.sim.clouds_yaml()
        clouds = {name: text.removesuffix("}") + ", http: 2}" for name, text in by_http1.items()}
        clouds["second"] = by_http1["openai_compatible"]
        models = {name: {"sim": offer_yaml(kind, model_id)} for name, kind, model_id in TARGETS}
        # Dearer, so that it comes second.
        second = offer_yaml("second", "llama-3.3-70b").replace('"1.00"', '"90.00"')
        models["with-second"] = {"sim": offer_yaml("openai", "gpt-4o-mini"), "second": second}
        large = offer_yaml("openai", "gpt-4o-mini").replace("4096", "200000")
        models["large"] = {"sim": large.replace("128000", "1000000")}
        self.gateway = Gateway(build, self.folder, clouds, models,
                               extra=f"http2: {{requests_max: {REQUESTS_MAX}}}")
        self.gateway.start()

    def ask(self, model="e2e-openai", stream=False, text="hello"):
        return Reply(self.gateway.port, model, stream, text)

    def connections(self, cloud="openai"):
        """How many the gateway has open to that cloud."""
        port = urllib.parse.urlsplit(self.sim.clouds[cloud]["endpoint"]).port
        lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
        fields = [line.split() for line in lines]
        return sum(f[2].endswith(f":{port:04X}") and f[3] == ESTABLISHED for f in fields)

    def served(self, exchange):
        return [one for one in self.sim.served() if one.exchange == exchange]

    def stop(self):
        """What has to hold when the cases are over."""
        budgets = self.gateway.api("budgets")
        code = self.gateway.stop()
        self.sim.stop()
        assert not [b for b in budgets["budgets"] if b["open_holds"]], budgets
        assert code == 0, f"SIGTERM ended it with {code}\n{self.gateway.program.tail()}"
        verify = harness.run([self.gateway.build / "entrepot", "ledger", "verify", "--config",
                              self.gateway.config])
        assert verify.returncode == 0, verify.stdout + verify.stderr
        shutil.rmtree(self.folder, ignore_errors=True)


def at_once(count, work):
    """What `work(i)` returned, of as many threads; raises what one of them raised."""
    results = [None] * count

    def run(i):
        try:
            results[i] = work(i)
        except Exception as problem:
            results[i] = problem

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


CASES = []


def case(work):
    CASES.append(work)
    return work


@case
def every_kind_answers_whole_and_streamed(up):
    for model, kind, _ in TARGETS:
        for stream in (False, True):
            reply = up.ask(model, stream).read()
            assert reply.is_whole(), f"{kind}: {reply.status} {reply.body}"


@case
def streams_at_once_share_a_connection_of_each_core(up):
    up.sim.slow(20)
    replies = at_once(40, lambda i: up.ask(stream=True))
    assert up.connections() <= 2, up.connections()
    for reply in replies:
        assert reply.read().is_whole(), reply.body
    assert 1 <= up.connections() <= 2, up.connections()


@case
def an_event_comes_when_it_is_made(up):
    up.sim.slow(30)
    reply = up.ask(stream=True)
    reply.read_event()
    assert not up.served(reply.headers["x-entrepot-exchange"])[0].completed
    assert reply.read().is_whole()


@case
def who_leaves_calls_off_their_stream_and_no_other(up):
    up.sim.slow(30)
    stays, leaves = up.ask(stream=True), up.ask(stream=True)
    leaves.read_event()
    leaves.leave()
    exchange = leaves.headers["x-entrepot-exchange"]

    def booked():
        try:
            facts = up.gateway.api(f"exchanges/{exchange}")
        except OSError:
            return None
        return facts if facts.get("ended_by") else None

    facts = harness.wait_until(booked, what="the exchange that was left")
    assert facts["ended_by"] == "client", facts
    assert facts["attempts"][-1]["state"] == "settled", facts
    assert stays.read().is_whole()
    assert not up.served(exchange)[0].completed


@case
def a_refusal_is_told_as_it_came(up):
    up.sim.controls.put({"all": {"fault": "throttle", "retry_after_s": 7}})
    for stream in (False, True):
        reply = up.ask(stream=stream).read()
        assert reply.status == 429, reply.status
        assert reply.headers["retry-after"] == "7", reply.headers
    up.sim.controls.reset()


@case
def a_fault_meets_one_stream_and_the_next_offer_serves_it(up):
    for fault in ("dead", "error500", "throttle", "empty", "wrong_content_type"):
        up.sim.controls.put({"clouds": {"openai": {"fault": fault}}})
        for stream in (False, True):
            reply = up.ask("with-second", stream).read()
            assert reply.is_whole(), f"{fault}: {reply.status} {reply.body}"
            assert reply.headers["x-entrepot-offer"] == "with-second/second", fault
        up.sim.controls.reset()


@case
def a_stream_that_breaks_off_ends_in_an_error_and_its_neighbours_whole(up):
    up.sim.slow(20)
    neighbours = [up.ask(stream=True) for _ in range(4)]
    up.sim.controls.truncate(3)
    broken = up.ask(stream=True).read()
    assert b'"error"' in broken.body and not broken.body.endswith(b"[DONE]\n\n"), broken.body
    for neighbour in neighbours:
        assert neighbour.read().is_whole(), neighbour.body


@case
def large_requests_and_answers_pass(up):
    # More than the windows of both sides.
    up.sim.controls.put({"all": {"answer": {"text": "word " * 120_000}}})
    for reply in at_once(6, lambda i: up.ask("large", i % 2 == 0, "x" * 100_000 * (i + 1))):
        assert reply.read().is_whole(), reply.body[-300:]
        assert len(reply.body) > 600_000, len(reply.body)


@case
def retired_connections_lose_no_request(up):
    plan = {"base_url": up.gateway.base_url + "/v1", "api_key": SECRET, "access_key": ACCESS_KEY,
            "model": "e2e-bedrock", "requests_max": REQUESTS_MAX}
    env = {**os.environ, "E2E_PLAN": json.dumps(plan)}
    done = subprocess.run([up.node, HERE / "node/retire.mjs"], text=True, capture_output=True,
                          check=False, timeout=120, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("-k", metavar="NAME", default="", help="only cases whose name holds NAME")
    options = parser.parse_args()
    chosen = [work for work in CASES if options.k in work.__name__.replace("_", " ")]
    if not chosen:
        print("0 passed, 0 failed")
        return 0
    up = Up(options.build.resolve(), options.node)
    passed = failed = 0
    for work in [*chosen, Up.stop]:
        name = "the books balance" if work == Up.stop else work.__name__.replace("_", " ")
        try:
            if work != Up.stop:
                up.sim.controls.reset()
            work(up)
            print(f"ok http2 clouds: {name}", flush=True)
            passed += 1
        except Exception:  # one case must not hide the next
            print(f"not ok http2 clouds: {name}: {traceback.format_exc()}", flush=True)
            failed += 1
    for program in (up.gateway.program, up.sim.program):
        program.kill()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
