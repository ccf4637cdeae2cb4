#!/usr/bin/env python3
"""What ./test runs after the set-up: build, unit tests, e2e with the official SDKs, fuzzers.

Each step's output goes to build/test-logs/STEP.log; its tail is printed when the step fails. The
last line is `N passed, N failed[, N skipped]`; the exit code is 1 when anything failed.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "test-logs"
TAIL_LINES = 60
COUNTS = re.compile(r"^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")
JOBS = len(os.sched_getaffinity(0))


class Report:
    """Steps as they end: name, seconds, how many checks passed, failed, were skipped."""

    def __init__(self):
        self.rows = []

    def add(self, name, seconds, passed=0, failed=0, skipped=0):
        self.rows.append((name, seconds, passed, failed, skipped))
        words = [f"{passed} passed" if passed else "", f"{failed} failed" if failed else "",
                 f"{skipped} skipped" if skipped else ""]
        state = "FAILED" if failed else "ok"
        print(f"{state:6} {name:28} {seconds:7.1f} s  {', '.join(w for w in words if w)}",
              flush=True)

    def total(self, column):
        return sum(row[column] for row in self.rows)

    def failed(self):
        return self.total(3) > 0


def show_tail(log):
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    print(f"---- the end of {log.relative_to(ROOT)}")
    print("\n".join(lines[-TAIL_LINES:]))
    print("----", flush=True)


def run(name, command, environment=None, timeout_s=5400):
    """Runs one command into its log. Returns (exit code, seconds, the log's text)."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name.replace(' ', '-').replace('/', '-')}.log"
    terminal = sys.stdout.isatty()
    started = time.monotonic()
    with open(log, "wb") as out:
        child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True,
                                 env={**os.environ, **(environment or {})})
        try:
            while True:
                try:
                    code = child.wait(timeout=1)
                    break
                except subprocess.TimeoutExpired:
                    spent = time.monotonic() - started
                    if spent > timeout_s:
                        os.killpg(child.pid, signal.SIGKILL)
                        code = child.wait()
                        out.write(f"\nstopped after {timeout_s} s\n".encode())
                        break
                    if terminal:
                        print(f"\r  {name}: {int(spent)} s {last_line(log)}\x1b[K", end="",
                              flush=True)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
    if terminal:
        print("\r\x1b[K", end="")
    seconds = time.monotonic() - started
    text = log.read_text(encoding="utf-8", errors="replace")
    if code != 0:
        show_tail(log)
    return code, seconds, text


def last_line(log):
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 400))
        lines = file.read().decode(errors="replace").splitlines()
    return next((line[:70] for line in reversed(lines) if line.strip()), "")


def build(report, preset, targets=(), configures=False):
    """Configures (where it was not, or when asked) and builds one preset; a failure counts as one
    failed check."""
    folder = BUILD / preset
    started = time.monotonic()
    code = 0
    if configures or not (folder / "build.ninja").exists():
        code, _, _ = run(f"configure {preset}", ["cmake", "--preset", preset])
    if code == 0:
        command = ["cmake", "--build", str(folder), "-j", str(JOBS)]
        if targets:
            command += ["--target", *targets]
        code, _, _ = run(f"build {preset}", command)
    report.add(f"build {preset}", time.monotonic() - started, failed=1 if code else 0)
    return code == 0


def sanitizer_environment(preset):
    if preset == "tsan":
        return {"TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1"}
    if preset == "asan":
        return {"ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
                "UBSAN_OPTIONS": "print_stacktrace=1"}
    return {}


def fixed_addresses(preset, command):
    """ThreadSanitizer of GCC 12 cannot start where the kernel randomises many address bits."""
    return ["setarch", "-R", *command] if preset == "tsan" and shutil.which("setarch") else command


def gtest_counts(folder):
    """How many reports GoogleTest wrote there; the cases, failures and skipped ones in them."""
    files = list(folder.glob("*.xml")) if folder.exists() else []
    cases = failures = skipped = 0
    for file in files:
        suite = ElementTree.parse(file).getroot()
        cases += int(suite.get("tests", 0))
        failures += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += sum(1 for case in suite.iter("testcase") if case.get("result") == "skipped")
    return len(files), cases, failures, skipped


def unit_tests(report, preset, name_filter):
    xml = LOGS / f"gtest-{preset}"
    shutil.rmtree(xml, ignore_errors=True)
    command = ["ctest", "--test-dir", str(BUILD / preset), "-j", str(JOBS), "--output-on-failure"]
    if preset != "dev":
        command += ["-E", "^(tidy|tidy_rules|errors_page)$"]  # they read sources, not programs
    if name_filter:
        command += ["-R", re.escape(name_filter)]
    code, seconds, text = run(f"unit {preset}", fixed_addresses(preset, command),
                              {**sanitizer_environment(preset), "GTEST_OUTPUT": f"xml:{xml}/"})
    ran = len(re.findall(r"Test +#\d+: .*(?:Passed|Failed|Timeout|Exception|\*\*\*)", text))
    broken = len(re.findall(r"Test +#\d+: .*\*\*\*", text))
    files, cases, failures, skipped = gtest_counts(xml)
    # Programs that write no report (scripts, crashes) count as one check each.
    failed = max(failures, broken, 1 if code and ran else 0, 1 if code and not name_filter else 0)
    passed = cases - failures - skipped + max(0, ran - broken - files)
    report.add(f"unit {preset}", seconds, max(passed, 0), failed, skipped)


def at_length(report, name, folder, cases_named, environment, worth_telling):
    """Cases of tests/FOLDER that have more to do than a quick run can, in the optimised build."""
    # The folder may have been configured by ./run, before GoogleTest was installed.
    if not build(report, "release", [f"{folder}_test"], configures=True):
        return
    xml = LOGS / f"gtest-{name}"
    shutil.rmtree(xml, ignore_errors=True)
    program = BUILD / "release" / "tests" / folder / f"{folder}_test"
    code, seconds, text = run(name, [str(program), f"--gtest_filter={cases_named}"],
                              {**environment, "GTEST_OUTPUT": f"xml:{xml}/"}, 10800)
    for line in re.findall(worth_telling, text, re.M):
        print(f"       {line}")
    _, cases, failures, skipped = gtest_counts(xml)
    report.add(name, seconds, cases - failures - skipped, max(failures, 1 if code else 0), skipped)


def splits(report):
    """Every recorded stream in two pieces, at each place: some 200 GB to decode."""
    at_length(report, "splits", "exchange", "Recorded*Splits.*", {"ENTREPOT_SPLITS": "every"},
              r"^.* streams byte by byte and split at .*$")


def noise(report):
    """1 GiB of mutated, truncated and random replies through every decoder."""
    at_length(report, "noise", "exchange", "Noises.*", {"ENTREPOT_NOISE_MIB": "1024"},
              r"^.* MiB (?:in \d+ replies|of noise).*$")


def money(report):
    """Oracles, crashes and faults at the lengths that tests/money/README.md states."""
    at_length(report, "money", "money", "*", {"ENTREPOT_MONEY": "full"},
              r"^\w+: .*$")
    if build(report, "release", ["entrepot", "cloudsim"]):
        counted_script(report, "a whole day", [sys.executable, "tests/e2e/day.py", "--build",
                                               str(BUILD / "release")], {"ENTREPOT_MONEY": "full"})


def counted_script(report, name, command, environment=None, timeout_s=3600):
    """A driver of ours that ends with the plain counting line."""
    code, seconds, text = run(name, command, environment, timeout_s)
    counts = [COUNTS.match(line.strip()) for line in text.splitlines()]
    counts = [match for match in counts if match]
    passed, failed, skipped = (int(x or 0) for x in counts[-1].groups()) if counts else (0, 0, 0)
    if code != 0 and failed == 0:
        failed = 1
    for line in re.findall(r"^skipped: .*$", text, re.M):
        print(f"       {line}")
    report.add(name, seconds, passed, failed, skipped)


def e2e(report, preset, name_filter):
    command = [sys.executable, "tests/e2e/run.py", "--build", str(BUILD / preset)]
    if name_filter:
        command += ["-k", name_filter]
    counted_script(report, f"e2e {preset}", fixed_addresses(preset, command),
                   sanitizer_environment(preset))


def simulation(report, preset, full):
    command = [sys.executable, "tests/simulation/run.py", "--build", str(BUILD / preset)]
    counted_script(report, "simulation" + (" full" if full else ""),
                   command + (["--full"] if full else []), timeout_s=7200)


def fuzz(report, seconds_each, explores, name_filter):
    programs = sorted(p for p in (BUILD / "fuzz").glob("**/*_fuzz")
                      if p.is_file() and os.access(p, os.X_OK) and (name_filter or "") in p.name)

    symbolizer = shutil.which("llvm-symbolizer-19") or ""
    environment = {"ASAN_SYMBOLIZER_PATH": symbolizer} if symbolizer else {}

    def one(program):
        corpus = BUILD / "fuzz-corpus" / program.name
        corpus.mkdir(parents=True, exist_ok=True)
        found = BUILD / "fuzz-found" / program.name
        found.mkdir(parents=True, exist_ok=True)
        seeds = next(iter((ROOT / "src").glob(f"**/{program.name}_seeds")), None)
        command = [str(program), f"-max_total_time={seconds_each}", "-rss_limit_mb=4096",
                   "-timeout=10", "-print_final_stats=1", f"-artifact_prefix={found}/"]
        if not explores:
            command.append("-seed=1")  # a change is judged by what it changed, not by luck
        command.append(str(corpus))
        return run(f"fuzz {program.name}", command + ([str(seeds)] if seeds else []),
                   environment)

    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        codes = [code for code, _, _ in pool.map(one, programs)]
    failed = sum(1 for code in codes if code)
    if not programs and not name_filter:
        failed = 1  # a run that fuzzes nothing proves nothing
    report.add(f"fuzz, {seconds_each} s each", time.monotonic() - started, len(codes) - failed,
               failed)


def main():
    parser = argparse.ArgumentParser(prog="./test", description="Runs the tests.")
    parser.add_argument("--full", action="store_true",
                        help="clang, sanitizers, 60 s per fuzzer, the long simulations, every "
                             "split of every recorded stream and 1 GiB of noise too")
    parser.add_argument("-k", metavar="NAME", default="",
                        help="only tests whose program or case name holds NAME")
    options = parser.parse_args()
    report = Report()
    everything = not options.k

    if build(report, "dev"):
        unit_tests(report, "dev", options.k)
    if build(report, "release", ["entrepot", "cloudsim"]):
        e2e(report, "release", options.k)
        if everything:
            simulation(report, "release", options.full)
    if everything or "fuzz" in options.k:
        if build(report, "fuzz", ["fuzzers"]):
            fuzz(report, 60 if options.full else 5, options.full,
                 options.k.removesuffix("fuzz").rstrip("_"))
    if options.full:
        if options.k.lower() in "splits":
            splits(report)
        if options.k.lower() in "noise":
            noise(report)
        if options.k.lower() in "money":
            money(report)
        if build(report, "clang"):
            unit_tests(report, "clang", options.k)
        for preset in ("asan", "tsan"):
            if build(report, preset):
                unit_tests(report, preset, options.k)
                e2e(report, preset, options.k)

    print(f"\n{'step':35} {'seconds':>8} {'passed':>7} {'failed':>7} {'skipped':>8}")
    for name, seconds, passed, failed, skipped in report.rows:
        print(f"{name:35} {seconds:8.1f} {passed:7} {failed:7} {skipped:8}")
    print(f"{'all':35} {report.total(1):8.1f}\n")
    skipped = report.total(4)
    print(f"{report.total(2)} passed, {report.total(3)} failed"
          + (f", {skipped} skipped" if skipped else ""))
    nothing = report.total(2) == 0
    if nothing and not report.failed():
        print("no test ran", file=sys.stderr)
    return 1 if report.failed() or nothing else 0


if __name__ == "__main__":
    sys.exit(main())
