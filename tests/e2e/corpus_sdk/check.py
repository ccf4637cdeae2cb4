"""Every recorded reply is carried to openai-chat by `entrepot translate`; the Python SDK's
own types then have to accept it, strictly, and the SDK's fold of a stream has to give what was
said.

    python check.py --build build/release [--every N]

Needs the corpus (ENTREPOT_SHARED, else ../shared beside the project) and skips, saying so, without.
Prints the counts per file; the last line is `N passed, N failed, N skipped`.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

from openai import ContentFilterFinishReasonError, LengthFinishReasonError
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.shared import ErrorObject

sys.path.insert(0, os.path.dirname(__file__))
from recorded import replies_of, said_by, wire_bytes  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[3]
FILES = {
    "openai-chat": ("openai-chat", {"chat.completions"}),
    "openai-compatible": ("openai-chat", {"chat.completions"}),
    "azure-openai": ("azure-openai", {"chat.completions"}),
    "anthropic-messages": ("anthropic-messages", {"messages"}),
    "bedrock-converse": ("bedrock-converse", {"converse", "converse-stream"}),
}
# The recording itself is cut or ends in an error, so the carried stream has to say that it failed.
BROKEN = {"no_terminal_event", "mid_stream_error"}

# Recordings under a 2xx that are no chat completion at all: they have to be carried as errors.
NO_COMPLETION = {
    "openllmetry-d4477d2e3973": "Azure's content filter answers 200 with an error body",
}


def corpus():
    shared = os.environ.get("ENTREPOT_SHARED")
    return pathlib.Path(shared) if shared else ROOT.parent / "shared"


def sse_data(text):
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = [line[5:].lstrip(" ") for line in block.split("\n") if line.startswith("data:")]
        if lines:
            yield "\n".join(lines)


def fold(text, broken):
    """What the SDK makes of a carried stream: the final completion's message, and whether an error
    event came. Raises when a chunk is not one to the SDK's types."""
    state = ChatCompletionStreamState()
    done = failed = False
    usage_chunks = 0
    for data in sse_data(text):
        assert not done, "something follows [DONE]"
        if data == "[DONE]":
            done = True
        elif "error" in json.loads(data):
            ErrorObject.model_validate(json.loads(data)["error"])
            failed = True
        else:
            chunk = ChatCompletionChunk.model_validate_json(data, strict=True)
            usage_chunks += chunk.usage is not None
            try:
                state.handle_chunk(chunk)
            except (LengthFinishReasonError, ContentFilterFinishReasonError):
                pass  # the SDK's word for a cut answer, told once it has folded the chunk
    if not broken:
        assert done, "no [DONE]"
        assert not failed, "an error event in a stream that was recorded whole"
    assert usage_chunks <= 1, f"{usage_chunks} chunks bear usage"
    if broken and not done:
        return None, failed
    choice = state.current_completion_snapshot.choices[0]
    assert broken or choice.finish_reason, "no finish reason"
    return choice.message, failed


def said_in(message):
    calls = [(call.function.name, call.function.arguments)
             for call in message.tool_calls or [] if call.type == "function"]
    return (message.content or ""), calls


def same_arguments(carried, recorded):
    """Equal as JSON where both are JSON; a model may also have written something that is not."""
    try:
        return json.loads(carried or "{}") == json.loads(recorded or "{}")
    except ValueError:
        return carried == recorded


def compare(message, recorded):
    text, calls = said_in(message)
    for part in recorded.texts:
        assert part in text, f"text {part[:80]!r} is missing from {text[:200]!r}"
    assert [name for name, _ in calls] == [name for name, _ in recorded.calls], (
        calls, recorded.calls)
    for (_, carried), (_, said) in zip(calls, recorded.calls):
        assert same_arguments(carried, said), (carried, said)


def check(program, dialect, exchange):
    """Raises AssertionError, or a pydantic error, when the reply is not carried soundly."""
    response = exchange["response"]
    body = wire_bytes(exchange)
    stream = exchange["stream"] and response["status"] < 400
    broken = bool(BROKEN & set(exchange["features"]))
    done = subprocess.run(
        [program, "translate", "--from", dialect, "--to", "openai-chat", "--kind",
         "stream" if stream else "response"], input=body, capture_output=True, timeout=60,
        check=False)
    said = done.stderr.decode(errors="replace")[-300:]
    assert done.returncode == 0 or broken, f"exit {done.returncode}: {said}"
    text = done.stdout.decode()
    if stream:
        message, _ = fold(text, broken)
        if message is not None and not broken:
            compare(message, said_by(exchange))
        return
    if response["status"] >= 400 or "error" in json.loads(text):
        assert response["status"] >= 400 or broken or exchange["id"] in NO_COMPLETION, (
            f"became an error: {text[:300]}")
        ErrorObject.model_validate_json(json.dumps(json.loads(text)["error"]), strict=True)
        return
    assert exchange["id"] not in NO_COMPLETION, "an error became a completion"
    answer = ChatCompletion.model_validate_json(text, strict=True)
    assert answer.choices, text[:200]
    compare(answer.choices[0].message, said_by(exchange))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
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
            chosen = [e for e in exchanges if e["operation"] in operations
                      and options.only in e["id"]][::options.every]
            replies = [reply for e in chosen for reply in replies_of(e)]
            jobs = [(e, pool.submit(check, program, dialect, e)) for e in replies]
            kinds = collections.Counter()
            for exchange, job in jobs:
                try:
                    job.result()
                    passed += 1
                    kinds["error" if exchange["response"]["status"] >= 400
                          else "streamed" if exchange["stream"] else "whole"] += 1
                except Exception as problem:  # whatever the SDK raises is the finding
                    failed += 1
                    print(f"not ok {name} {exchange['id']}: {type(problem).__name__}: "
                          f"{str(problem)[:400]}")
            told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            print(f"ok corpus {name}: {sum(kinds.values())} of {len(jobs)} accepted ({told})",
                  flush=True)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
