"""Every recorded reply is carried to anthropic-messages and to bedrock-converse by `entrepot
translate`; the official Node SDKs of those dialects have to take it (tests/e2e/node/corpus.mjs),
and what they make of it has to be what was said. Errors have to become the SDK's own exceptions.

    python3 clients.py --build build/release --node NODE [--to DIALECT] [--only TEXT] [--every N]

Needs the corpus, as check.py does; the last line is `N passed, N failed, N skipped`.
"""
import argparse
import base64
import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from recorded import replies_of, said_by, wire_bytes  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[3]
FILES = {
    "openai-chat": ("openai-chat", {"chat.completions"}),
    "openai-compatible": ("openai-chat", {"chat.completions"}),
    "azure-openai": ("azure-openai", {"chat.completions"}),
    "openai-responses": ("openai-responses", {"responses"}),
    "anthropic-messages": ("anthropic-messages", {"messages"}),
    "vertex-anthropic": ("vertex-anthropic", {"rawpredict", "streamrawpredict"}),
    "bedrock-converse": ("bedrock-converse", {"converse", "converse-stream"}),
    "gemini": ("gemini", {"generateContent", "streamGenerateContent"}),
    "vertex": ("vertex", {"generateContent", "streamGenerateContent"}),
}
# The recording is cut, ends in an error, or is none of an answer: what comes has to be the SDK's
# own exception, or an answer as far as it goes.
BROKEN = {"no_terminal_event", "mid_stream_error", "prompt_blocked", "background"}
TARGETS = ("anthropic-messages", "bedrock-converse")
# Recordings under a 200 that are no answer at all.
NO_ANSWER = {
    "vertexai-sdk-test-data-4a3bea2674e6": "a count of tokens",
    "vertexai-sdk-test-data-fc78585ea146": "a count of tokens",
    "vertexai-sdk-test-data-b2c67a985ebe": "a schema",
    "openllmetry-d4477d2e3973": "an error",
}
# The SDK's exception for a status; the others have none of their own.
RAISED = {400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError",
          404: "NotFoundError", 409: "ConflictError", 422: "UnprocessableEntityError",
          429: "RateLimitError", 500: "InternalServerError", 503: "InternalServerError"}


def corpus():
    shared = os.environ.get("ENTREPOT_SHARED")
    return pathlib.Path(shared) if shared else ROOT.parent / "shared"


def carry(program, dialect, target, exchange):
    """The reply in the target's dialect, ready for the SDK; or the words of what went wrong."""
    status = exchange["response"]["status"]
    stream = exchange["stream"] and status < 400
    done = subprocess.run(
        [program, "translate", "--from", dialect, "--to", target, "--kind",
         "stream" if stream else "response"], input=wire_bytes(exchange), capture_output=True,
        timeout=60, check=False)
    if done.returncode != 0 and not BROKEN & set(exchange["features"]):
        return None, done.stderr.decode(errors="replace")[-300:]
    return {"id": exchange["id"], "stream": stream, "status": status,
            "bytes": base64.b64encode(done.stdout).decode()}, None


def same_arguments(carried, recorded):
    try:
        return json.loads(carried or "{}") == json.loads(recorded or "{}")
    except ValueError:
        return True  # what the model wrote is no JSON; an SDK shows what it can of it


def custom_calls(exchange):
    """Of tools that take a text: elsewhere they are calls like all others."""
    body = exchange["response"].get("body")
    choices = body.get("choices") if isinstance(body, dict) else None
    message = (choices[0].get("message") if choices else None) or {}
    return [(call["custom"]["name"], call["custom"]["input"])
            for call in message.get("tool_calls") or []
            if (call.get("custom") or {}).get("name")]


def judge(exchange, target, made):
    """What is wrong with what the SDK made of a reply; None when nothing is."""
    status = exchange["response"]["status"]
    broken = bool(BROKEN & set(exchange["features"]))
    if "problem" in made:
        return None if broken else made["problem"]
    if "error" in made:
        if status >= 400:
            wanted = RAISED.get(status)
            wrong = target == "anthropic-messages" and wanted and made["error"] != wanted
            return f"raised {made['error']}, not {wanted}" if wrong else None
        body = exchange["response"].get("body")
        is_error = isinstance(body, dict) and (body.get("error") or body.get("status") == "failed")
        return None if broken or is_error or "stream" in exchange["features"] and (
            "error" in exchange["features"]) else f"{made['error']}: {made['message'][:300]}"
    if status >= 400:
        return "an error became an answer"
    if exchange["dialect"] not in ("openai-chat", "openai-compatible", "azure-openai",
                                   "anthropic-messages", "vertex-anthropic", "bedrock-converse"):
        return None  # recorded.py does not read what was said in the others
    said = said_by({**exchange, "dialect": exchange["dialect"].replace("vertex-anthropic",
                                                                      "anthropic-messages")})
    text = "".join(made["texts"])
    for part in said.texts:
        if part not in text and not broken:
            return f"text {part[:80]!r} is missing from {text[:200]!r}"
    calls = said.calls + custom_calls(exchange)
    if [name for name, _ in made["calls"]] != [name for name, _ in calls] and not broken:
        return f"calls {made['calls']}, not {calls}"
    for (_, carried), (_, recorded) in zip(made["calls"], calls):
        if not same_arguments(carried, recorded) and not broken:
            return f"arguments {carried[:200]}, not {recorded[:200]}"
    return None


def read_all(node, target, replies):
    """What the SDK makes of each reply, in order."""
    lines = "".join(json.dumps(reply) + "\n" for reply in replies)
    done = subprocess.run([node, str(ROOT / "tests/e2e/node/corpus.mjs"), target], input=lines,
                          text=True, stdout=subprocess.PIPE, timeout=900, check=False)
    made = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(made) == len(replies), f"{target}: {len(made)} of {len(replies)} replies were read"
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--node", default="node")
    parser.add_argument("--to", choices=TARGETS, help="this dialect alone")
    parser.add_argument("--every", type=int, default=1, help="check one exchange of so many")
    parser.add_argument("--only", default="", help="ids that hold this text")
    options = parser.parse_args()
    program = str(options.build / "entrepot")
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, (dialect, operations) in FILES.items():
            path = corpus() / "corpus" / f"{name}.jsonl"
            if not path.exists():
                print(f"skipped: {name}, because the corpus is not here ({path.name} not found)")
                skipped += 1
                continue
            exchanges = [json.loads(line) for line in path.open(encoding="utf-8")]
            chosen = [e for e in exchanges
                      if e["operation"] in operations and e["id"] not in NO_ANSWER
                      and options.only in e["id"]][::options.every]
            replies = [reply for e in chosen for reply in replies_of(e)]
            for target in [options.to] if options.to else TARGETS:
                carried = list(pool.map(
                    lambda e, to=target, d=dialect: carry(program, d, to, e), replies))
                made = iter(read_all(options.node, target, [c for c, _ in carried if c]))
                kinds = collections.Counter()
                for exchange, (ready, problem) in zip(replies, carried):
                    problem = problem or judge(exchange, target, next(made))
                    if problem:
                        failed += 1
                        print(f"not ok {name} to {target} {exchange['id']}: {problem}")
                        continue
                    passed += 1
                    kinds["error" if exchange["response"]["status"] >= 400
                          else "streamed" if ready["stream"] else "whole"] += 1
                told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
                print(f"ok corpus {name} to {target}: {sum(kinds.values())} of {len(replies)} "
                      f"taken by the SDK ({told})", flush=True)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
