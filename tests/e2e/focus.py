#!/usr/bin/env python3
"""The FinOps Foundation's own validator over an export of a day with a little of everything.

    tests/e2e/focus.py --build build/dev --python VENV_PYTHON [-k NAME]

Prints `ok NAME` or `not ok NAME: reason` per case and ends with `N passed, N failed`.
"""
import argparse
import csv
import datetime
import decimal
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from cloudsim import Cloudsim  # noqa: E402
from stage import Gateway, SECRET  # noqa: E402

PRICES = ('{input: "1.00", cache_read: "0.10", output: "2.00", currency: USD}',
          '{input: "0.333333", output: "1.777777", currency: USD}')
CONTRACT = """contracts:
  signed:
    clouds: [openai]
    from: 2026-01-01
    to: 2036-01-01
    commitment: {amount: "100000.00", per: year}
    discounts: [{off: 7%}]
"""
# Two rules of the validator's model state their condition in a form that its reader passes over,
# so that they want a status in every row, also where there is no capacity and no discount.
UNREADABLE = {"CAPACITY_RESERVATION_SUPPORTED", "COMMITMENT_DISCOUNT_SUPPORTED"}
# Of the validator, for Python 3.11: the one line that needs 3.12, and the same without that.
NEW_SYNTAX = """", ".join(f"'{k.replace('\\"', '\\"\\"')}'" for k in ignore_keys)"""
OLD_SYNTAX = """", ".join("'" + k.replace('"', '""') + "'" for k in ignore_keys)"""


def package_of(python):
    """Where the validator stands, readable by this Python."""
    found = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                           check=True, capture_output=True, text=True).stdout.strip()
    package = pathlib.Path(found) / "focus_validator"
    converter = package / "config_objects/focus_to_duckdb_converter.py"
    text = converter.read_text()
    if NEW_SYNTAX in text:
        converter.write_text(text.replace(NEW_SYNTAX, OLD_SYNTAX))
    return package


def offer_yaml(sim, cloud, price):
    return (f"{{cloud: {cloud}, id: {sim.model_of(cloud)}, context_tokens: 128000, "
            f"max_output_tokens: 4096, price: {price}}}")


def gateway_of(build, folder, sim):
    clouds = {name: text for name, text in sim.clouds_yaml().items()
              if name in ("openai", "openai_compatible")}
    models = {f"m-{cloud}-{i}": {"only": offer_yaml(sim, cloud, price)}
              for cloud in clouds for i, price in enumerate(PRICES)}
    key = ("    tags: {cost_center: \"4711\", note: 'a,\"b\"'}\n"
           "    tag_headers: {stage: x-stage}\n    end_users: {header: x-user}\n")
    return Gateway(build, folder / "gateway", clouds, models, extra=key + CONTRACT).start()


class Run:
    def __init__(self, build, python, folder, gateway):
        self.build, self.python, self.folder, self.gateway = build, python, folder, gateway
        self.package = package_of(python)
        now = datetime.datetime.now(datetime.timezone.utc)
        self.since = (now - datetime.timedelta(days=1)).strftime("%Y-%m-%d")
        self.until = (now + datetime.timedelta(days=1)).strftime("%Y-%m-%d")

    def program(self, *arguments):
        done = subprocess.run([str(self.build / "entrepot"), *arguments, "--config",
                               str(self.gateway.config)], capture_output=True, text=True,
                              check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, model, **headers):
        body = {"model": model, "max_tokens": 64,
                "messages": [{"role": "user", "content": "a few words, if you please"}]}
        request = urllib.request.Request(
            self.gateway.base_url + "/v1/chat/completions", json.dumps(body).encode(),
            {"authorization": f"Bearer {SECRET}", "content-type": "application/json", **headers})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def a_rich_day(self):
        for model in self.gateway.models:
            self.ask(model)
            self.ask(model, **{"x-stage": "prod", "x-user": "=1+1"})
            self.ask(model, **{"x-stage": "a,\"b\"", "x-user": "-ann"})

    def rows(self, spec):
        file = self.folder / f"focus-{spec}.csv"
        self.program("export", "focus", "--since", self.since, "--until", self.until, "--spec",
                     spec, "--out", str(file))
        with file.open(newline="", encoding="utf-8") as text:
            return file, list(csv.DictReader(text))

    def sums_are_the_ledgers(self):
        usage = json.loads(self.program("usage", "--since", self.since, "--until", self.until,
                                        "--json"))
        for spec in ("1.2", "1.3"):
            _, rows = self.rows(spec)
            assert len(rows) >= 6, f"{len(rows)} rows"
            for column, name in (("BilledCost", "cost"), ("ListCost", "list_cost")):
                total = sum(decimal.Decimal(row[column]) for row in rows)
                assert total == decimal.Decimal(usage["total"][name]), (spec, column, total)

    @staticmethod
    def alternatives_not_taken(model, output):
        """Rules of which another one has to hold, and does: that InvoiceId must be null, and that
        it must not, are two rules under one `OR`; the validator lists the other as failed for every
        file there can be."""
        untaken = set()
        for name, rule in model["ModelRules"].items():
            wanted = rule["ValidationCriteria"].get("Requirement", {})
            if wanted.get("CheckFunction") == "OR" and f"{name}: PASS" in output:
                untaken |= {one.get("ModelRuleId") for one in wanted["Items"]}
        return untaken - {None}

    def the_validator_accepts_it(self):
        file, _ = self.rows("1.2")
        model = json.loads(next((self.package / "rules").glob("model-1.2*.json")).read_text())
        criteria = sorted(set(model["ApplicabilityCriteria"]) - UNREADABLE)
        for more in ([], ["--applicability-criteria", ",".join(criteria)]):
            done = subprocess.run(
                [self.python, "-c", "from focus_validator.main import main; main()",
                 "--data-file", str(file), "--validate-version", "1.2", "--block-download",
                 "--focus-dataset", "CostAndUsage", "--show-violations", *more],
                cwd=self.package.parent, capture_output=True, text=True, check=False, timeout=600)
            counts = re.search(r"Total: (\d+) \| Pass: (\d+) \| Fail: (\d+)", done.stdout)
            assert counts, (done.stdout + done.stderr)[-2000:]
            untaken = self.alternatives_not_taken(model, done.stdout)
            failed = [line for line in done.stdout.splitlines()
                      if ": FAIL" in line and line.split()[1].rstrip(":") not in untaken]
            assert not failed, "\n".join(failed)
            assert int(counts[3]) <= len(untaken), counts[0]
            assert int(counts[2]) > (300 if more else 100), counts[0]
            print(f"# {counts[0]}")

    def commitments_have_their_columns(self):
        text = self.program("export", "commitments", "--since", self.since, "--until", self.until)
        rows = list(csv.DictReader(text.splitlines()))
        assert len(rows) == 1 and len(rows[0]) == 13, text
        assert rows[0]["ContractCommitmentCost"] == "100000.00", text
        _, charges = self.rows("1.3")
        applied = [json.loads(row["ContractApplied"]) for row in charges if row["ContractApplied"]]
        assert applied, "no charge counts to the commitment"
        ids = {one["ContractCommitmentId"] for row in applied for one in row["Elements"]}
        assert ids == {rows[0]["ContractCommitmentId"]}, ids


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("-k", metavar="NAME", default="")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="entrepot-focus-"))
    passed = failed = 0
    sim = Cloudsim(options.build, folder / "cloudsim.log")
    gateway = gateway_of(options.build, folder, sim)
    try:
        run = Run(options.build.resolve(), options.python, folder, gateway)
        run.a_rich_day()
        for case in (run.sums_are_the_ledgers, run.the_validator_accepts_it,
                     run.commitments_have_their_columns):
            name = "focus: " + case.__name__.replace("_", " ")
            if options.k not in name:
                continue
            try:
                case()
                print(f"ok {name}", flush=True)
                passed += 1
            except Exception:  # one case must not hide the next
                print(f"not ok {name}: {traceback.format_exc()}", flush=True)
                failed += 1
    finally:
        gateway.stop()
        sim.stop()
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
