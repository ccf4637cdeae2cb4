#!/usr/bin/env python3
"""Budgets and limits as those see them who are bound by them, told of them, and answer for them.

    tests/e2e/limits.py --build build/dev --node node [-k NAME]

Refusals through the official SDKs; notices verified by the very code that docs/reference/notices.md
shows; the audit log's chain made again from what the command prints. Prints `ok NAME` or
`not ok NAME: reason` per case and ends with `N passed, N failed`.
"""
import argparse
import base64
import getpass
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import traceback
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
import harness  # noqa: E402
from cloudsim import Cloudsim  # noqa: E402
from stage import Gateway, offer_yaml  # noqa: E402

MODEL = "llama-3.3-70b"
SIGNING = "whsec_" + base64.b64encode(os.urandom(32)).decode()
EXAMPLE = re.compile(r"^```(python|js)\n(.*?)^```$", re.M | re.S)


class Receiver:
    """Takes notices; the first is refused, so that it has to come again."""

    def __init__(self):
        self.got = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((dict(self.headers.items()), body))
                self.send_response(500 if len(receiver.got) == 1 else 204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def access_key(name):
    return {"id": f"EKID{name.upper()}0123456789", "secret": f"{name}/0123456789abcdef0123456789"}


class World:
    def __init__(self, build, folder, node):
        self.folder, self.node, self.build = folder, node, build
        self.receiver = Receiver()
        self.sim = Cloudsim(build, folder / "cloudsim.log")
        cloud = self.sim.clouds_yaml()["openai_compatible"]
        keys = []
        for name, more in (("poor", 'budgets: [{limit: "0.0010"}]'),
                           ("slow", "limits: {requests_per_minute: 1}"),
                           ("told", 'budgets: [{limit: "0.01", notify: {at: [1], webhook: ops}}]')):
            pair = access_key(name)
            keys.append(f"  {name}: {{team: e2e, secret: sk-{name}, {more}, aws: "
                        f"{{access_key_id: {pair['id']}, secret: {pair['secret']}}}}}")
        hooks = f'webhooks: {{ops: {{url: "{self.receiver.url}", secret: "{SIGNING}"}}}}'
        self.gateway = Gateway(build, folder / "gateway", {"compatible": cloud},
                               {MODEL: {"compatible": offer_yaml("compatible", MODEL)}},
                               extra="\n".join([*keys, hooks])).start()

    def ask(self, key):
        request = urllib.request.Request(
            f"{self.gateway.base_url}/v1/chat/completions", method="POST",
            headers={"authorization": f"Bearer sk-{key}", "content-type": "application/json"},
            data=json.dumps({"model": MODEL, "max_tokens": 50,
                             "messages": [{"role": "user", "content": "Hello."}]}).encode())
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def entrepot(self, *arguments):
        return harness.run([self.build / "entrepot", *arguments, "--data",
                            self.gateway.folder / "data"])

    def stop(self):
        self.gateway.stop()
        self.sim.stop()
        self.receiver.server.shutdown()


def every_sdk_shows_what_a_refusal_says(world):
    world.ask("slow")  # its one request of this minute
    plan = {"base_url": world.gateway.base_url + "/v1", "model": MODEL,
            **{name: {"api_key": f"sk-{name}", "access_key": access_key(name)}
               for name in ("poor", "slow")}}
    done = subprocess.run([world.node, HERE / "node/refusals.mjs"], capture_output=True, text=True,
                          env={**os.environ, "E2E_PLAN": json.dumps(plan)}, check=False)
    print("".join(f"  {line}\n" for line in done.stdout.splitlines()), end="")
    assert done.returncode == 0, done.stderr


def examples():
    """The code that the page shows, by its language."""
    page = (ROOT / "docs/reference/notices.md").read_text()
    return {language: code for language, code in EXAMPLE.findall(page)}


def a_notice_is_verified_by_the_code_that_the_page_shows(world):
    for _ in range(40):
        world.ask("told")
    harness.wait_until(lambda: len(world.receiver.got) >= 2, 40, "a notice and its second try")
    shown = examples()
    python = {}
    exec(shown["python"], python)  # pylint: disable=exec-used
    (folder := world.folder / "page").mkdir()
    (folder / "page.mjs").write_text(shown["js"])
    (folder / "ask.mjs").write_text(
        'import { isOurs } from "./page.mjs";\nimport { readFileSync } from "node:fs";\n'
        'const asked = JSON.parse(readFileSync(0, "utf8"));\n'
        'const body = Buffer.from(asked.body, "base64");\n'
        "console.log(JSON.stringify(asked.secrets.map((s) => isOurs(s, asked.headers, body))));\n")
    stranger = "whsec_" + base64.b64encode(bytes(32)).decode()
    for headers, body in world.receiver.got[:2]:
        named = {name.lower(): value for name, value in headers.items()}
        assert python["is_ours"](SIGNING, named, body)
        assert not python["is_ours"](stranger, named, body)
        assert not python["is_ours"](SIGNING, named, body + b" ")
        asked = json.dumps({"headers": named, "body": base64.b64encode(body).decode(),
                            "secrets": [SIGNING, stranger]})
        told = subprocess.run([world.node, folder / "ask.mjs"], input=asked, text=True,
                              capture_output=True, check=True)
        assert json.loads(told.stdout) == [True, False], told.stdout
    first, second = world.receiver.got[:2]
    assert first[1] == second[1] and first[0]["webhook-id"] == second[0]["webhook-id"]
    data = json.loads(first[1])["data"]
    assert (data["owner_kind"], data["owner"], data["percent"]) == ("key", "told", 1), data


def a_restart_tells_nothing_twice(world):
    count = len(world.receiver.got)
    world.gateway.stop()
    world.gateway.start()
    world.ask("told")
    with urllib.request.urlopen(urllib.request.Request(
            world.gateway.admin_url + "/metrics",
            headers={"authorization": f"Bearer {world.gateway.token}"}), timeout=10) as reply:
        metrics = reply.read().decode()
    assert "entrepot_notices_pending 0" in metrics, metrics
    assert len(world.receiver.got) == count, world.receiver.got


def chain_of(rows):
    """The last hash, made again from the columns alone."""
    def part(value):
        text = None if value is None else str(value).encode()
        return b"-," if text is None else f"{len(text)}:".encode() + text + b","

    head = "0" * 64
    for row in rows:
        columns = [head, row["number"], row["at_ns"], row["actor"], row["cause"], row["path"],
                   row["from"], row["to"]]
        head = hashlib.sha256(b"".join(map(part, columns))).hexdigest()
        assert head == row["hash"], row
    return head


def every_change_is_in_the_audit_log_and_its_chain_can_be_made_again(world):
    config = world.gateway.config
    config.write_text(config.read_text().replace('limit: "0.0010"', 'limit: "0.0020"'))
    world.gateway.program.child.send_signal(signal.SIGHUP)

    def rows():
        said = world.entrepot("audit", "--json")
        assert said.returncode == 0, said.stderr
        return [json.loads(line) for line in said.stdout.splitlines()]

    changed = harness.wait_until(
        lambda: [row for row in rows() if row["path"] == "keys.poor.budgets[0].limit"
                 and row["from"]], 10, "the change's row")
    assert (changed[0]["from"], changed[0]["to"]) == ("0.0010", "0.0020"), changed
    assert changed[0]["cause"] in ("file", "SIGHUP"), changed
    made = world.entrepot("keys", "create", "audited", "--team", "e2e")
    assert made.returncode == 0, made.stderr
    every = rows()
    mine = [row for row in every if row["path"].startswith("keys.audited.")]
    assert mine and all(row["actor"] == getpass.getuser() and row["cause"] == "cli"
                        for row in mine), mine
    everything = json.dumps(every)
    for secret in (made.stdout.strip(), SIGNING, "sk-poor", access_key("poor")["secret"]):
        assert secret not in everything
    head = chain_of(every)
    verified = world.entrepot("audit", "verify", "--head", every[3]["hash"])
    assert verified.returncode == 0 and head in verified.stdout, verified


CASES = [every_sdk_shows_what_a_refusal_says, a_notice_is_verified_by_the_code_that_the_page_shows,
         a_restart_tells_nothing_twice,
         every_change_is_in_the_audit_log_and_its_chain_can_be_made_again]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--node", default="node")
    parser.add_argument("-k", metavar="NAME", default="", help="only cases whose name holds NAME")
    options = parser.parse_args()
    folder = harness.scratch("limits")
    world = World(options.build.resolve(), folder, options.node)
    passed = failed = 0
    try:
        for work in CASES:
            name = work.__name__.replace("_", " ")
            if options.k not in name:
                continue
            try:
                work(world)
                print(f"ok {name}", flush=True)
                passed += 1
            except Exception:  # one case must not hide the next
                print(f"not ok {name}: {traceback.format_exc()}", flush=True)
                failed += 1
    finally:
        world.stop()
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
