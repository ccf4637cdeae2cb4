#!/usr/bin/env python3
"""Runs the official SDKs' suites against the built gateway with cloudsim behind it.

    tests/e2e/run.py --build build/release [-k NAME]

Ends with `N passed, N failed, N skipped`.
"""
import argparse
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
import stage  # noqa: E402

NODE_MAJOR_MIN = 22
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)


def node_program():
    """A Node new enough for the SDK: the one on PATH, else the one tools/setup installed."""
    machine = "arm64" if platform.machine() == "aarch64" else "x64"
    own = ROOT / f"build/tools/node_modules/node-linux-{machine}/bin/node"
    for candidate in (shutil.which("node"), str(own)):
        if candidate and pathlib.Path(candidate).exists():
            version = subprocess.run([candidate, "--version"], capture_output=True, text=True,
                                     check=False).stdout
            if int((re.match(r"v(\d+)", version) or [0, 0])[1]) >= NODE_MAJOR_MIN:
                return candidate
    raise SystemExit(f"e2e: no Node {NODE_MAJOR_MIN} or newer; run tools/setup")


def digest(*files):
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def node_modules(folder):
    """npm ci, once per lock file."""
    stamp = folder / "node_modules" / ".entrepot-stamp"
    wanted = digest(folder / "package.json", folder / "package-lock.json")
    if stamp.exists() and stamp.read_text() == wanted:
        return
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund",
                    "--loglevel=error"], cwd=folder, check=True)
    stamp.write_text(wanted)


def python_program(name, requirements, options=()):
    """A Python with those packages in a venv under build/, or None where PyPI cannot be reached."""
    folder = ROOT / "build" / name
    stamp = folder / ".entrepot-stamp"
    python = folder / "bin/python"
    if stamp.exists() and stamp.read_text() == digest(requirements):
        return str(python)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    done = subprocess.run([str(python), "-m", "pip", "install", "-q", "--retries", "1",
                           "--disable-pip-version-check", *options, "-r", str(requirements)],
                          check=False)
    if done.returncode != 0:
        return None
    stamp.write_text(digest(requirements))
    return str(python)


def suite(command, plan):
    """Runs one suite; returns its (passed, failed)."""
    try:
        done = subprocess.run(command, cwd=HERE, text=True, stdout=subprocess.PIPE, check=False,
                              timeout=1200, env={**os.environ, "E2E_PLAN": json.dumps(plan)})
    except subprocess.TimeoutExpired as late:
        print((late.stdout or b"").decode(errors="replace"))
        print(f"not ok {command[-1]}: took more than 1200 s")
        return 0, 1
    print(done.stdout, end="", flush=True)
    counts = COUNTS.findall(done.stdout)
    passed, failed = (int(x) for x in counts[-1][:2]) if counts else (0, 0)
    if done.returncode != 0 and failed == 0:
        print(f"not ok {command[-1]}: ended with {done.returncode}")
        failed = 1
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("-k", metavar="NAME", default="", help="only cases whose name holds NAME")
    options = parser.parse_args()
    node = node_program()
    node_modules(HERE / "node")
    node_modules(HERE / "frameworks")
    python = python_program("e2e-venv", HERE / "python/requirements.txt")
    framed = python_program("e2e-frameworks-venv", HERE / "frameworks/requirements.txt")
    passed = failed = skipped = 0
    with stage.Stage(options.build.resolve()) as up:
        plan = {**up.plan(), "only": options.k}
        print("# Node, the official SDKs")
        names = ["suite", "models", "tasks", "media", "kept", "http2", "matrix", "errors",
                 "moving", "quiet"]
        commands = [[node, str(HERE / f"node/{name}.mjs")] for name in names]
        commands.append([node, str(HERE / "frameworks/play.mjs")])
        if python:
            commands.append([python, str(HERE / "python/suite.py")])
        else:
            print("skipped: the Python SDK, because PyPI could not be reached")
            skipped += 1
        if framed:
            plan |= up.with_tls()
            commands.append([framed, str(HERE / "frameworks/play.py")])
        for command in commands:
            ok, bad = suite(command, plan)
            passed, failed = passed + ok, failed + bad
        for name, problem in up.checks():
            print(f"not ok {name}: {problem}" if problem else f"ok {name}")
            passed, failed = passed + (not problem), failed + bool(problem)
    print("# credentials that are fetched")
    ok, bad = suite([sys.executable, str(HERE / "credentials.py"), "--build",
                     str(options.build.resolve()), "-k", options.k], {})
    passed, failed = passed + ok, failed + bad
    print("# proxies, private authorities, client certificates")
    ok, bad = suite([sys.executable, str(HERE / "egress.py"), "--build",
                     str(options.build.resolve()), "-k", options.k], {})
    passed, failed = passed + ok, failed + bad
    print("# budgets and limits")
    ok, bad = suite([sys.executable, str(HERE / "limits.py"), "--build",
                     str(options.build.resolve()), "--node", node, "-k", options.k], {})
    passed, failed = passed + ok, failed + bad
    print("# FOCUS, by the FinOps Foundation's validator")
    focus = python_program("e2e-venv-focus", HERE / "python/requirements_focus.txt",
                           ["--ignore-requires-python"])
    if focus:
        ok, bad = suite([sys.executable, str(HERE / "focus.py"), "--build",
                         str(options.build.resolve()), "--python", focus, "-k", options.k], {})
        passed, failed = passed + ok, failed + bad
    else:
        print("skipped: the FOCUS validator, because PyPI could not be reached")
        skipped += 1
    print("# clouds by HTTP/2")
    ok, bad = suite([sys.executable, str(HERE / "http2_clouds.py"), "--build",
                     str(options.build.resolve()), "--node", node, "-k", options.k], {})
    passed, failed = passed + ok, failed + bad
    print("# a day, and what everybody says it cost")
    ok, bad = suite([sys.executable, str(HERE / "day.py"), "--build",
                     str(options.build.resolve()), "-k", options.k], {})
    passed, failed = passed + ok, failed + bad
    print("# coding agents")
    ok, bad = suite([sys.executable, str(HERE / "agents.py"), "--build",
                     str(options.build.resolve()), "--node", node, "-k", options.k], {})
    passed, failed = passed + ok, failed + bad
    if python and not options.k:
        for check in ("corpus_sdk/check.py", "corpus_sdk/responses.py"):
            ok, bad = suite([python, str(HERE / check), "--build", str(options.build.resolve())],
                            {})
            passed, failed = passed + ok, failed + bad
    of_oracle = HERE / "python/requirements_oci.txt"
    oracle = None if options.k else python_program("e2e-venv-oci", of_oracle)
    if oracle:
        ok, bad = suite([oracle, str(HERE / "corpus_sdk/oci_types.py"), "--build",
                         str(options.build.resolve())], {})
        passed, failed = passed + ok, failed + bad
    types = None if options.k else python_program(
        "e2e-venv-types", HERE / "python/requirements_types.txt", ["--no-deps"])
    if types:
        ok, bad = suite([types, str(HERE / "corpus_sdk/asked.py"), "--build",
                         str(options.build.resolve())], {})
        passed, failed = passed + ok, failed + bad
    elif not options.k:
        print("skipped: requests across dialects, because PyPI could not be reached")
        skipped += 1
    if not options.k:
        ok, bad = suite([sys.executable, str(HERE / "corpus_sdk/clients.py"), "--build",
                         str(options.build.resolve()), "--node", node], {})
        passed, failed = passed + ok, failed + bad
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed + skipped else 0


if __name__ == "__main__":
    sys.exit(main())
