#!/usr/bin/env python3
"""Money under fire: a budget that many clients hit at once, and a gateway killed under load.

    tests/simulation/run.py --build build/release [--full] [--seed N]
        [--only budget|crash|kept|outage]

Short by default (200 requests, 5 kills); --full is 2,000 requests at once and 200 kills. Prints the
seed. The last line is `N passed, N failed`.
"""
import argparse
import pathlib
import random
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
import budget  # noqa: E402
import crash  # noqa: E402
import kept  # noqa: E402
import outage  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000_000))
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    build = options.build.resolve()
    print(f"# seed {options.seed}", flush=True)
    runs = {
        "budget": lambda: budget.run(build, 2000 if options.full else 200, options.seed),
        "crash": lambda: crash.run(build, 200 if options.full else 5, options.seed),
        "kept": lambda: kept.run(build),
        "outage": lambda: outage.run(build, 400 if options.full else 100, options.seed),
    }
    passed = failed = 0
    for name, body in runs.items():
        if options.only and options.only != name:
            continue
        started = time.monotonic()
        try:
            checks = list(body())
        except Exception:  # whatever went wrong is the finding
            checks = [(f"{name} ran to its end", traceback.format_exc())]
        for check, problem in checks:
            print(f"not ok {check}: {problem}" if problem else f"ok {check}")
            passed, failed = passed + (not problem), failed + bool(problem)
        print(f"# {name}: {time.monotonic() - started:.1f} s", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
