"""What the books say, and whether it is what cloudsim served."""
import collections
import dataclasses
import decimal
import shutil
import urllib.error

import harness
from cloudsim import Cloudsim
from stage import Gateway

D = decimal.Decimal


@dataclasses.dataclass
class Standing:
    limit: D
    settled: D
    held: D
    open_holds: int


class Scene:
    """cloudsim and a gateway with one model, `sim`, that several clouds sell. A context manager."""

    def __init__(self, build, kinds, price, budget, start=True, timeouts=None):
        self.build, self.kinds, self.price = build, kinds, price
        self.budget, self.starts, self.timeouts = budget, start, timeouts
        self.folder = harness.scratch("simulation")

    def __enter__(self):
        self.sim = Cloudsim(self.build, self.folder / "cloudsim.log")
        clouds = self.sim.clouds_yaml(self.timeouts)
        offers = {name: f'{{cloud: {kind}, id: "{self.sim.model_of(kind)}", '
                        f"context_tokens: 128000, max_output_tokens: 4096, price: {self.price}}}"
                  for name, kind in self.kinds.items()}
        self.gateway = Gateway(self.build, self.folder, clouds, {"sim": offers}, self.budget)
        if self.starts:
            self.gateway.start()
        else:
            self.gateway.write_config(0, 0)
        return self

    def __exit__(self, kind, value, trace):
        program = self.gateway.program
        if program and program.alive():
            program.stop()
        self.sim.stop()
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            print(f"# left for you to look at: {self.folder}")

    def verify(self):
        """None, or what `ledger verify` found over the books at rest."""
        done = harness.run([self.build / "entrepot", "ledger", "verify", "--config",
                            self.gateway.config])
        return None if done.returncode == 0 else f"exit {done.returncode}: {done.stdout[-500:]}" \
                                                 f"{done.stderr[-500:]}"

    def stop_and_verify(self):
        code = self.gateway.stop()
        return self.verify() or (None if code == 0 else f"the gateway ended with {code}")


def org_budget(gateway):
    for row in gateway.api("budgets")["budgets"]:
        if row["owner_kind"] == "org":
            return Standing(D(row["limit"]), D(row["settled"]), D(row["held"]), row["open_holds"])
    raise AssertionError("the org's budget is not in /api/budgets")


def is_doubtful(attempt):
    return attempt.get("estimated", False) or attempt.get("unverified", False)


def compare(scene, answers):
    """The books against cloudsim's own list of what it served, exchange by exchange."""
    served = collections.defaultdict(list)
    for entry in scene.sim.served():
        served[entry.exchange].append(entry)
    missing, wrong, unmarked, above = [], [], [], []
    exact = estimated = 0
    for exchange, entries in served.items():
        try:
            report = scene.gateway.api(f"exchanges/{exchange}")
        except urllib.error.HTTPError as problem:
            missing.append(f"{exchange}: {problem.code}")
            continue
        booked = [a for a in report["attempts"] if a["state"] == "settled"]
        billed = [e for e in entries if e.status == 200]
        # What closed without a byte may have been sent again on a fresh connection, as one attempt.
        answered = [e for e in entries if e.status]
        if len(booked) < len(billed) or len(report["attempts"]) < len(answered):
            missing.append(f"{exchange}: served {[(e.cloud, e.status, e.fault) for e in entries]}, "
                           f"booked {[(a['offer'], a['state']) for a in report['attempts']]}")
        reported = [e for e in billed if e.reported and e.completed]
        certain = [a for a in booked if not is_doubtful(a)]
        doubtful = [a for a in booked if is_doubtful(a)]
        exact, estimated = exact + len(certain), estimated + len(doubtful)
        for attempt in certain:
            usage = tuple(sorted(attempt["usage"].items()))
            if usage not in [tuple(sorted(e.usage.items())) for e in billed]:
                wrong.append(f"{exchange}: booked {usage} at {attempt['offer']}, served "
                             f"{[(e.cloud, e.fault, e.usage) for e in billed]}")
        # What left cloudsim is lost when the gateway died, or the client left, before it was read.
        excused = any("unverified" in a or "client_gone" in a for a in doubtful)
        if len(certain) < len(reported) and not excused:
            unmarked.append(f"{exchange}: {len(reported)} reported, {len(certain)} booked exactly")
        above += [f"{exchange}: {a['cost']} of {a['held']}" for a in doubtful
                  if a["cost"] is None or D(a["cost"]) > D(a["held"])]
    print(f"# books: {len(served)} exchanges served, {exact} attempts booked exactly, "
          f"{estimated} as estimates or unverified")
    yield "every exchange that cloudsim served is booked", "\n".join(missing[:5]) or None
    yield "what the supplier reported is booked exactly", "\n".join(wrong[:5]) or None
    yield "what was reported to the end is no estimate", "\n".join(unmarked[:5]) or None
    yield "an estimate stays within its hold", "\n".join(above[:5]) or None
    whole = [a for a in answers if a.status == 200 and a.ended == "whole" and not a.failed]
    unseen = [a.exchange for a in whole if a.exchange not in served]
    yield "what a client got whole was served by cloudsim", "\n".join(unseen[:5]) or None
