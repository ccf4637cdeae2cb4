#!/usr/bin/env python3
"""Coding agents from npm, unmodified and headless, each finishing a task with tool calls through a
supplier of a foreign kind. Loopback only, telemetry off, a home of their own.

    tests/e2e/agents.py --build build/release --node NODE [-k NAME]

Ends with `N passed, N failed`, and with `skipped: ...` when they cannot be installed.
"""
import argparse
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
import harness  # noqa: E402
import stage  # noqa: E402
from simulator import Simulator  # noqa: E402

TASK_TIMEOUT_S = 90
DONE = "Done: hello.txt is there."
# Who plays, before suppliers that speak another dialect than theirs, and before its own: there a
# budget has to do without what the supplier would run by itself.
PLAYS = [("claude", "e2e-openai"), ("claude", "e2e-compatible"), ("claude", "e2e-azure"),
         ("claude", "e2e-bedrock"), ("claude", "e2e-anthropic"),
         ("codex", "e2e-anthropic"), ("codex", "e2e-compatible"), ("codex", "e2e-bedrock"),
         ("codex", "e2e-openai"), ("codex", "e2e-azure")]


def install():
    """npm ci under build/, once per lock file; None when it cannot be done."""
    folder = ROOT / "build/e2e-agents"
    files = [HERE / "agents" / name for name in ("package.json", "package-lock.json")]
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    stamp = folder / ".entrepot-stamp"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund",
                               "--loglevel=error"], cwd=folder, check=False)
        if done.returncode != 0:
            return None
        stamp.write_text(wanted)
    return folder / "node_modules"


class Play:
    """One agent, one supplier: it is told to write a file, and the model asks for the tool."""

    def __init__(self, modules, node, plan, folder):
        self.modules, self.node, self.plan, self.folder = modules, node, plan, folder
        self.home, self.project = folder / "home", folder / "project"
        for path in (self.home, self.project):
            path.mkdir(parents=True)
        self.file = self.project / "hello.txt"

    def claude(self, model):
        machine = "arm64" if platform.machine() == "aarch64" else "x64"
        names = ("ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL",
                 "ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL")
        environment = {name: model for name in names} | {
            "ANTHROPIC_BASE_URL": self.plan["base_url"].removesuffix("/v1"),
            "ANTHROPIC_AUTH_TOKEN": self.plan["api_key"], "DISABLE_TELEMETRY": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_AUTOUPDATER": "1"}
        program = self.modules / f"@anthropic-ai/claude-code-linux-{machine}/claude"
        call = {"name": "Write", "arguments": {"file_path": str(self.file), "content": "hello\n"}}
        return [program, "-p", "Create hello.txt", "--output-format", "json", "--permission-mode",
                "acceptEdits", "--max-turns", "20"], environment, call

    def codex(self, model):
        settings = self.home / ".codex"
        settings.mkdir()
        (settings / "config.toml").write_text(
            f'model = "{model}"\nmodel_provider = "entrepot"\n'
            f'[model_providers.entrepot]\nname = "entrepot"\nbase_url = "{self.plan["base_url"]}"\n'
            'env_key = "ENTREPOT_KEY"\nwire_api = "responses"\n'
            'request_max_retries = 0\nstream_max_retries = 0\n')
        call = {"name": "exec_command", "arguments": {"cmd": "echo hello > hello.txt"}}
        return [self.node, self.modules / "@openai/codex/bin/codex.js", "exec",
                "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
                "Create hello.txt"], {"ENTREPOT_KEY": self.plan["api_key"]}, call

    def run(self, agent, model, sim):
        command, environment, call = getattr(self, agent)(model)
        sim.answer(tool_calls=[call])
        path = f"{pathlib.Path(self.node).parent}:{os.environ['PATH']}"
        started = time.monotonic()
        with subprocess.Popen(
                [str(word) for word in command], cwd=self.project, text=True,
                env={"PATH": path, "HOME": str(self.home), "TERM": "dumb", **environment},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT) as program:
            while program.poll() is None and time.monotonic() - started < TASK_TIMEOUT_S:
                if self.file.exists():
                    sim.answer(text=DONE)  # the tool has run: the model says so
                time.sleep(0.1)
            if program.poll() is None:
                program.kill()
            told = program.communicate()[0]
        assert program.returncode == 0, f"exit {program.returncode}\n{told[-3000:]}"
        assert self.file.read_text() == "hello\n", told[-3000:]
        assert DONE in told, told[-3000:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("-k", metavar="NAME", default="", help="only cases whose name holds NAME")
    options = parser.parse_args()
    plays = [play for play in PLAYS if options.k in f"{play[0]} through {play[1]}"]
    if not plays:
        print("0 passed, 0 failed")
        return 0
    modules = install()
    if modules is None:
        print("skipped: the coding agents, because npm could not install them")
        print("0 passed, 0 failed")
        return 0
    passed = failed = 0
    folder = harness.scratch("agents")
    with stage.Stage(options.build.resolve()) as up:
        sim = Simulator(up.plan()["sim_url"])
        for agent, model in plays:
            name = f"{agent} through {model} finishes a task with a tool"
            sim.reset()
            try:
                Play(modules, options.node, up.plan(), folder / f"{agent}-{model}").run(
                    agent, model, sim)
                print(f"ok {name}", flush=True)
                passed += 1
            except Exception:  # one case must not hide the next
                print(f"not ok {name}: {traceback.format_exc()}", flush=True)
                failed += 1
        for name, problem in up.checks():
            print(f"not ok agents: {name}: {problem}" if problem else f"ok agents: {name}")
            passed, failed = passed + (not problem), failed + bool(problem)
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
