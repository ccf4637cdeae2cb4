#!/usr/bin/env python3
"""Turns the price facts (offers.csv, rates.csv, models.csv, ...) into data/catalog.tsv.

usage: tools/generate_catalog.py [--facts DIR] [--out FILE] [--check]

DIR defaults to $ENTREPOT_SHARED/prices, else ../shared/prices beside the project. The output
depends on the input alone: same facts, same bytes. --check writes nothing and exits 4 when FILE is
not what would be written, 77 when there are no facts to compare with.

Every price, date, source and flag of the facts is carried; what is left out is named in
data/README.md. Nothing is computed: a price stays the decimal its source gave.
"""

import argparse
import csv
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PRICE = re.compile(r"[0-9]+(\.[0-9]{1,6})?")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?")
METERS = ["input", "cache_read", "cache_write", "cache_write_long", "audio_in", "audio_cache_read",
          "image_in", "output", "audio_out", "image_out", "reasoning"]
TIERS = ["standard", "batch", "flex", "priority", "fast"]

HEADER = """\
# Entrepot price catalogue, format 1. Made by tools/generate_catalog.py; not edited by hand.
# Facts as of {as_of}. List prices in USD per million tokens, no tax.
# Fields are separated by tabs; the first names the record:
# S source       name what repository commit as_of licence
# U uplift       seller surface model condition factor
# V availability model seller surface status since note
# B bill meter   seller name unit author/model deployment tier ctx_over meter
# M model        author/model context_tokens_max output_tokens_max
# O offer        seller surface region provider_model_id author/model variant context_tokens
#                as_of basis flags
# R rates of the offer above: tier ctx_over from to seen sources meter=price...
"""


def read(facts, name):
    with open(facts / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def fail(what):
    sys.exit(f"generate_catalog: {what}")


def field(text):
    if "\t" in text or "\n" in text:
        fail(f"a tab or line break in {text!r}")
    return text


def checked(pattern, text, what):
    if not pattern.fullmatch(text):
        fail(f"{what} {text!r} is not in the form {pattern.pattern}")
    return text


def record(*fields):
    return "\t".join(field(f) for f in fields) + "\n"


def rates_of(rows):
    """Rates that share all but meter and price stand on one line."""
    lines = {}
    for row in rows:
        if row["tier"] not in TIERS:
            fail(f"unknown tier {row['tier']!r}")
        if row["meter"] not in METERS:
            fail(f"unknown meter {row['meter']!r}")
        for name in ("valid_from", "valid_to"):
            if row[name]:
                checked(DATE, row[name], name)
        checked(DATE, row["seen"], "seen")
        checked(PRICE, row["usd_per_mtok"], "price")
        key = (TIERS.index(row["tier"]), int(row["ctx_over"]), row["valid_from"], row["valid_to"],
               row["seen"], row["sources"])
        prices = lines.setdefault(key, {})
        if row["meter"] in prices:
            fail(f"{row['offer_id']} has two prices for {row['meter']} in one period")
        prices[row["meter"]] = row["usd_per_mtok"]
    for key in sorted(lines):
        tier, ctx_over, begin, end, seen, sources = key
        prices = " ".join(f"{m}={lines[key][m]}" for m in METERS if m in lines[key])
        yield record("R", TIERS[tier], str(ctx_over), begin, end, seen, sources, prices)


def bill_meters(rows):
    """Names of meters on Azure's bills: one line a name, wherever and whenever it was sold."""
    meters = {}
    for row in rows:
        if not row["canonical_model"]:
            continue
        if row["tier"] not in TIERS:
            fail(f"unknown tier {row['tier']!r}")
        if row["meter"] not in METERS:
            fail(f"unknown meter {row['meter']!r}")
        meaning = (row["unit"], row["canonical_model"], row["deployment"], row["tier"],
                   row["ctx_over"], row["meter"])
        if meters.setdefault(row["meter_name"], meaning) != meaning:
            fail(f"the meter {row['meter_name']!r} has two meanings")
    for name in sorted(meters):
        yield record("B", "azure", name, *meters[name])


def generate(facts):
    offers = sorted(read(facts, "offers.csv"), key=lambda o: o["offer_id"])
    rates = {}
    for row in read(facts, "rates.csv"):
        rates.setdefault(row["offer_id"], []).append(row)
    sources = read(facts, "sources.csv")
    out = [HEADER.format(as_of=max(s["as_of"] for s in sources))]
    for s in sources:
        out.append(record("S", s["source"], s["what"], s["repository"], s["commit"], s["as_of"],
                          s["licence"]))
    for u in read(facts, "uplifts.csv"):
        out.append(record("U", u["seller"], u["surface"], u["canonical_model"], u["condition"],
                          u["multiplier"]))
    for a in read(facts, "availability.csv"):
        out.append(record("V", a["canonical_model"], a["seller"], a["surface"], a["status"],
                          a["since"], a["note"]))
    out.extend(bill_meters(read(facts, "azure_meters.csv")))
    for m in sorted(read(facts, "models.csv"), key=lambda m: m["canonical_model"]):
        out.append(record("M", m["canonical_model"], m["context_tokens_max"] or "0",
                          m["output_tokens_max"] or "0"))
    for o in offers:
        out.append(record("O", o["seller"], o["surface"], o["region"], o["provider_model_id"],
                          o["canonical_model"], o["variant"], o["context_tokens"] or "0",
                          o["as_of"], o["basis"], o["flags"]))
        if o["offer_id"] not in rates:
            fail(f"{o['offer_id']} has no rates")
        out.extend(rates_of(rates.pop(o["offer_id"])))
    if rates:
        fail(f"rates of unknown offers: {sorted(rates)[:3]}")
    return "".join(out)


def main():
    shared = Path(os.environ.get("ENTREPOT_SHARED", ROOT.parent / "shared"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--facts", type=Path, default=shared / "prices")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "catalog.tsv")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    if not args.facts.is_dir():
        if args.check:  # 77 is what ctest takes as skipped
            print(f"skipped: the price facts are not at {args.facts}", file=sys.stderr)
            sys.exit(77)
        fail(f"no price facts at {args.facts}; name their folder with --facts")
    text = generate(args.facts)
    if args.check:
        if args.out.read_text(encoding="utf-8") != text:
            print(f"{args.out} is not what the facts give; run tools/generate_catalog.py",
                  file=sys.stderr)
            sys.exit(4)
        return
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(text, encoding="utf-8")
    print(f"{args.out}: {len(text)} bytes, {text.count(chr(10))} lines", file=sys.stderr)


if __name__ == "__main__":
    main()
