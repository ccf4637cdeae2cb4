#!/usr/bin/env python3
"""A day of requests through the gateway and cloudsim, and then everybody's idea of what it cost.

    tests/e2e/day.py --build build/release [--requests N] [--traces DIR] [-k NAME]

The requests' sizes come from public traces: prompts of so many tokens, answers of so many. cloudsim
counts what it answers and bills it by its own price list (apps/cloudsim/invoice.h); the gateway
books it at the catalogue's. Every bill must reconcile without one difference, and the sums must be
equal to the last unit. Short by default (2,000 requests); ENTREPOT_MONEY=full takes them all.
"""
import argparse
import asyncio
import csv
import datetime
import decimal
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
import harness  # noqa: E402
import stage  # noqa: E402
from cloudsim import Cloudsim  # noqa: E402

D = decimal.Decimal
decimal.getcontext().prec = 60
CONCURRENT = 48
SAMPLE = 2000
# Longer prompts than this are cut: what is long is tested, not how fast a disk of them is sent.
PROMPT_TOKENS_MAX = 30_000
# Client's model, cloud, id there, door, whether parts of the prompt are marked for a cache.
OFFERS = [
    ("day-mini", "openai", "gpt-4o-mini", "chat", False),
    ("day-41-mini", "openai", "gpt-4.1-mini", "chat", False),
    ("day-azure", "azure", "gpt-4o-mini", "chat", False),
    ("day-sonnet", "anthropic", "claude-sonnet-4-5-20250929", "messages", True),
    ("day-haiku", "anthropic", "claude-haiku-4-5-20251001", "chat", False),
    ("day-us-sonnet", "bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "messages", True),
    ("day-nova", "bedrock", "amazon.nova-lite-v1:0", "chat", False),
    ("day-flash", "gemini", "gemini-2.5-flash", "chat", False),
    ("day-eu-flash", "vertex", "gemini-2.5-flash", "chat", False),
    ("day-eu-sonnet", "vertex", "claude-sonnet-4-5@20250929", "messages", True),
    ("day-grok", "oci", "xai.grok-4", "chat", False),
]
# Whose thoughts the books price apart and the bills count as output.
THINKERS = ["day-flash", "day-eu-flash"]
# One that several sell: what fails at one of them is asked of the next.
ANY = "day-any"
SELLERS = {"openai": ["openai"], "azure": ["azure"], "anthropic": ["anthropic"],
           "aws": ["bedrock"], "gcp": ["gemini", "vertex"], "oci": ["oci"]}
# What is refused is not billed. Answers that break off, or never come, are not among them: of those
# the supplier alone knows what they cost, and the books hold an estimate that says so.
FAULTS = [("throttle", 30), ("overload", 20), ("error500", 20), ("refusal", 20)]


def trace_of(folder):
    """(prompt tokens, answer tokens) of every request, in order; None where there is no trace."""
    rows = []
    file = folder / "azure-llm-2023-conv.csv"
    if file.exists():
        with open(file, encoding="utf-8", newline="") as lines:
            rows += [(int(row["ContextTokens"]), int(row["GeneratedTokens"]))
                     for row in csv.DictReader(lines)]
    file = folder / "mooncake-synthetic.jsonl"
    if file.exists():
        with open(file, encoding="utf-8") as lines:
            rows += [(row["input_length"], row["output_length"]) for row in map(json.loads, lines)]
    return rows or None


def made_up(count):
    """Sizes like those of the traces, where these are not at hand."""
    rng = random.Random(4)
    return [(min(int(rng.lognormvariate(6.5, 1.1)) + 4, 14_000),
             min(int(rng.lognormvariate(4.9, 0.8)) + 1, 1_500)) for _ in range(count)]


def text_of(tokens, session):
    """Four bytes are a token at cloudsim; prompts of one session begin alike."""
    unit = f"session {session:03d} says so again and once more; "
    return (unit * (tokens * 4 // len(unit) + 1))[:max(tokens * 4, 4)]


def request_of(number, prompt, answer, rng):
    """One request as bytes, to be sent on a connection that stays open."""
    model, _, _, door, is_marked = rng.choice(OFFERS)
    if rng.random() < 0.1:
        model, door, is_marked = ANY, "chat", False
    text = text_of(min(prompt, PROMPT_TOKENS_MAX), number % 37)
    body = {"model": model, "max_tokens": max(answer, 1), "stream": rng.random() < 0.6}
    if model in THINKERS and rng.random() < 0.5:
        body["reasoning_effort"] = "low"
    ask = {"role": "user", "content": f"request {number}"}
    if door == "chat":
        body["messages"] = [{"role": "system", "content": text}, ask]
        path = "/v1/chat/completions"
    else:
        block = {"type": "text", "text": text}
        if is_marked and len(text) > 4096:
            block["cache_control"] = {"type": "ephemeral"}
        body |= {"system": [block], "messages": [ask]}
        path = "/v1/messages"
    raw = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nhost: entrepot\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {stage.SECRET}\r\ncontent-length: {len(raw)}\r\n\r\n"
            ).encode() + raw


async def exchange(reader, writer, request):
    """Sends, and reads the answer to its end: its status, and whether the connection stays."""
    writer.write(request)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
    else:
        await reader.readexactly(int(headers.get("content-length", "0")))
    return int(head[0].split(" ")[1]), headers.get("connection") != "close"


async def past_the_hour():
    """Bills have hours: nothing is under way while one ends."""
    while time.time() % 3600 > 3595:
        await asyncio.sleep(0.5)


async def client(port, requests, statuses):
    pair = None
    for request in requests:
        await past_the_hour()
        for _ in range(2):  # a connection that was closed meanwhile is opened again
            if pair is None:
                pair = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
            try:
                status, stays = await asyncio.wait_for(exchange(*pair, request), 120)
            except (ConnectionError, asyncio.IncompleteReadError):
                pair = None
                continue
            statuses[status] = statuses.get(status, 0) + 1
            if not stays:
                pair[1].close()
                pair = None
            break
        else:
            statuses["lost"] = statuses.get("lost", 0) + 1
    if pair is not None:
        pair[1].close()


async def play(port, rows, seed):
    """All requests, each client taking the next one; how many answers had which status."""
    statuses = {}
    requests = (request_of(number, prompt, answer, random.Random(f"{seed}/{number}"))
                for number, (prompt, answer) in enumerate(rows))
    await asyncio.gather(*(client(port, requests, statuses) for _ in range(CONCURRENT)))
    return statuses


class Day:
    """cloudsim and a gateway with an offer of every seller. A context manager."""

    def __init__(self, build):
        self.build = build
        self.folder = harness.scratch("day")

    def __enter__(self):
        self.bills = self.folder / "bills"
        self.bills.mkdir()
        self.sim = Cloudsim(self.build, self.folder / "cloudsim.log", invoice=self.bills)
        faults = [{"fault": name, "per_mille": share} for name, share in FAULTS]
        self.sim.controls.put({"all": {"output_tokens": 4000, "mix": faults, "seed": 7,
                                       "refusal": "content_filter", "retry_after_s": 0}})
        entries = self.sim.clouds_yaml()
        clouds = {name: entries[name] for name in sorted({offer[1] for offer in OFFERS})}
        offer = '{{cloud: {0}, id: "{1}"}}'.format
        models = {model: {cloud: offer(cloud, at)} for model, cloud, at, _, _ in OFFERS}
        models[ANY] = {model: offer(cloud, at) for model, cloud, at, door, _ in OFFERS
                       if door == "chat"}
        self.gateway = stage.Gateway(self.build, self.folder, clouds, models)
        self.gateway.start()
        return self

    def __exit__(self, kind, value, trace):
        if self.gateway.program.alive():
            self.gateway.stop()
        self.sim.stop()
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            print(f"# left for you to look at: {self.folder}")

    def command(self, *arguments):
        return harness.run([self.build / "entrepot", *arguments, "--config", self.gateway.config])

    def usage(self, *arguments):
        return json.loads(self.command("usage", "--json", *arguments).stdout)

    def settled(self):
        return all(row["open_holds"] == 0 for row in self.gateway.api("budgets")["budgets"])

    def bill(self, seller):
        """The file with what that seller bills now."""
        with urllib.request.urlopen(f"{self.sim.url}/_sim/invoices/{seller}", timeout=60) as reply:
            text = reply.read()
        file = self.folder / f"{seller}.bill"
        file.write_bytes(text)
        return file


def billed_by(file, seller):
    """The sum of a bill, added up here: no code of ours has read it."""
    if seller == "openai":
        return sum(D(result["amount"]["value"])
                   for bucket in json.loads(file.read_text(), parse_float=D)["data"]
                   for result in bucket["results"])
    if seller == "anthropic":
        costs = json.loads(file.read_text().splitlines()[1])
        return sum(D(result["amount"]) / 100
                   for bucket in costs["data"] for result in bucket["results"])
    with open(file, encoding="utf-8", newline="") as lines:
        return sum(D(row["BilledCost"]) for row in csv.DictReader(lines))


def exported(day):
    """What the FOCUS export adds up to, each column of money that has to be the cost here."""
    now = datetime.datetime.now(datetime.timezone.utc)
    since, until = ((now + datetime.timedelta(days=days)).date().isoformat() for days in (-1, 2))
    done = day.command("export", "focus", "--since", since, "--until", until)
    if done.returncode != 0:
        yield "the FOCUS export", f"exit {done.returncode}: {done.stderr}"
        return
    rows = list(csv.DictReader(done.stdout.splitlines()))
    for column in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"):
        yield f"the FOCUS export's {column}", sum(D(row[column] or "0") for row in rows)


def stated(day):
    """What the team's statements come to: of this month, and of the one that ended under way."""
    now = datetime.datetime.now(datetime.timezone.utc)
    months = sorted({(now - datetime.timedelta(hours=hours)).strftime("%Y-%m") for hours in (0, 2)})
    statements = [json.loads(day.command("statement", "--team", "e2e", "--month", month).stdout)
                  for month in months]
    yield "the statement", sum(D(one["total"]["cost"]) for one in statements)
    for number, section in enumerate(statements[-1]["sections"]):
        yield f"the statement by {section['by']}", sum(
            D(line["cost"]) for one in statements for line in one["sections"][number]["lines"])


def totals(day, files):
    """Everybody's idea of what the day cost, by name."""
    yield "usage", D(day.usage()["total"]["cost"])
    yield "usage by rate version", sum(
        D(row["cost"]) for row in day.usage("--by", "rate_version,cloud")["rows"])
    yield "cloudsim's invoices", sum(billed_by(file, seller) for seller, file in files.items())
    yield from exported(day)
    yield from stated(day)


def one_token_more(file, seller):
    """The same bill, but for one count and its money."""
    wrong = file.with_suffix(".wrong")
    text = file.read_bytes().decode()
    if seller == "openai":
        bill = json.loads(text)
        result = bill["data"][0]["results"][0]
        result["quantity"] += 1
        wrong.write_text(json.dumps(bill))
    else:
        head, first, rest = text.split("\r\n", 2)
        row = dict(zip(head.split(","), next(csv.reader([first]))))
        changed = first.replace(f"{row['BilledCost']},", f"{D(row['BilledCost']) + D('1e-6')},", 1)
        wrong.write_bytes("\r\n".join([head, changed, rest]).encode())
    return wrong


def with_credit(file):
    """A FOCUS bill on which the seller takes a quarter of a dollar off."""
    text = file.read_bytes().decode()
    names, first = (next(csv.reader([line])) for line in text.split("\r\n", 2)[:2])
    row = dict(zip(names, first))
    row |= {"BilledCost": "-0.25", "ChargeCategory": "Credit", "ChargeDescription": "Pilot credit"}
    for name in ("SkuId", "SkuMeter", "x_UsageType", "PricingQuantity", "PricingUnit",
                 "ConsumedQuantity", "ConsumedUnit"):
        row[name] = ""
    credited = file.with_suffix(".credited")
    credited.write_bytes((text + ",".join(row.values()) + "\r\n").encode())
    return credited


def adjusting(day, files):
    """Adjustments through a running gateway: by several at once, and again."""
    file = with_credit(files["aws"])
    before = D(day.usage()["total"]["cost"])
    line = [str(day.build / "entrepot"), "reconcile", str(file), "--adjust", "--config",
            str(day.gateway.config)]
    runs = [subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(4)]
    told = [run.communicate(timeout=120) + (run.returncode,) for run in runs]
    after = D(day.usage()["total"]["cost"])
    yield "four at once post a credit once", None if before - after == D("0.25") and \
        0 in [code for _, _, code in told] else f"{before} to {after}: {told}"
    again = day.command("reconcile", file, "--adjust")
    yield "and it is not posted again", None if again.returncode == 0 and \
        D(day.usage()["total"]["cost"]) == after else again.stdout + again.stderr


def checks(day, rows):
    began = time.monotonic()
    statuses = asyncio.run(play(day.gateway.port, rows, 1))
    took = time.monotonic() - began
    harness.wait_until(day.settled, 60, "no open hold")
    usage = day.usage("--by", "cloud,model")
    print(f"# {len(rows)} requests in {took:.1f} s, by status "
          f"{dict(sorted(statuses.items(), key=str))}; {len(usage['rows'])} offers answered, "
          f"{usage['total']['usage']}")
    yield "every request was answered", None if "lost" not in statuses else str(statuses)
    answered = {row["cloud"] for row in usage["rows"] if D(row["cost"])}
    yield "every seller answered", None if len(answered) == 7 else str(answered)
    meters = usage["total"]["usage"]
    yield "caches were read and written, and some thought", None if all(
        meters.get(name, 0) for name in ("cache_read", "cache_write", "reasoning")) else str(meters)
    refused = sum(count for status, count in statuses.items() if status != 200)
    yield "some were refused", None if refused else str(statuses)
    doubtful = {name: usage["total"][name] for name in ("estimated", "unverified", "unpriced")}
    yield "nothing is an estimate", None if not any(doubtful.values()) else str(doubtful)
    files = {seller: day.bill(seller) for seller in SELLERS}
    for seller, clouds in SELLERS.items():
        done = day.command("reconcile", files[seller], "--json")
        if done.returncode not in (0, 4):
            yield f"the bill of {seller} is read", f"exit {done.returncode}: {done.stderr}"
            continue
        report = json.loads(done.stdout)
        told = [f"{item['type']} {item['amount']}: {item['why']}"
                for item in report["differences"]]
        yield f"the bill of {seller} reconciles without a difference", \
            None if done.returncode == 0 and not told and report["cells"] else "\n".join(told[:5])
        booked = sum(D(row["cost"]) for row in usage["rows"] if row["cloud"] in clouds)
        yield f"usage of {seller} is what it bills, to the last unit", \
            None if booked == D(report["billed"]) == billed_by(files[seller], seller) else \
            f"booked {booked}, billed {report['billed']}"
    sums = dict(totals(day, files))
    print("# " + ", ".join(f"{name} {value}" for name, value in sums.items()))
    yield "all of them agree to the last unit", None if len(set(sums.values())) == 1 else str(sums)
    for seller in ("openai", "aws"):
        done = day.command("reconcile", one_token_more(files[seller], seller))
        yield f"a bill of {seller} with one thing wrong does not reconcile", \
            None if done.returncode == 4 else f"exit {done.returncode}: {done.stdout}{done.stderr}"
    yield from adjusting(day, files)
    verified = day.command("ledger", "verify")
    yield "the books add up", None if verified.returncode == 0 else verified.stdout
    day.sim.stop()
    same = all((day.bills / name).read_bytes() == files[seller].read_bytes()
               for seller in SELLERS for name in [f"{seller}.csv", f"{seller}.json"]
               if (day.bills / name).exists())
    written = len(list(day.bills.iterdir()))
    yield "cloudsim writes the same bills when it ends", \
        None if same and written == len(SELLERS) else f"{written} files, same: {same}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--requests", type=int, default=0, help="0: the sample, or all when full")
    parser.add_argument("--traces", type=pathlib.Path, default=pathlib.Path(
        os.environ.get("ENTREPOT_SHARED") or ROOT.parent / "shared") / "traces")
    parser.add_argument("-k", metavar="NAME", default="", help="only checks whose name holds NAME")
    options = parser.parse_args()
    rows = trace_of(options.traces)
    if rows is None:
        print("# no traces below ENTREPOT_SHARED: sizes are made up")
        rows = made_up(SAMPLE)
    is_full = os.environ.get("ENTREPOT_MONEY") == "full"
    wanted = options.requests or (len(rows) if is_full else SAMPLE)
    # Every so many-th, over the whole day.
    rows = rows[::max(len(rows) // wanted, 1)][:wanted]
    passed = failed = 0
    with Day(options.build.resolve()) as day:
        for name, problem in checks(day, rows):
            if options.k not in name:
                continue
            print(f"not ok {name}: {problem}" if problem else f"ok {name}", flush=True)
            passed, failed = passed + (not problem), failed + bool(problem)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
