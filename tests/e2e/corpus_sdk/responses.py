"""Every recorded reply is carried to openai-responses by `entrepot translate`; the Python SDK's own
types then have to accept it, strictly, and the SDK's fold of a stream has to give what was said.

    python responses.py --build build/release [--every N] [--only TEXT]

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

import pydantic
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.shared import ErrorObject

sys.path.insert(0, os.path.dirname(__file__))
from check import BROKEN, FILES, NO_COMPLETION, ROOT, corpus, same_arguments, sse_data  # noqa: E402
from recorded import events_of, replies_of, said_by, Said, wire_bytes  # noqa: E402

EVENT = pydantic.TypeAdapter(ResponseStreamEvent)
OWN = "openai-responses"
SOURCES = {**FILES, OWN: (OWN, {"responses"}), "azure-openai responses": (OWN, {"responses"})}
# What coding agents decide by is wider than the list of the SDK's type.
AGENT_CODES = {"context_length_exceeded", "insufficient_quota", "content_filter"}

def items_said(output):
    texts = [part["text"] for item in output if item["type"] == "message"
             for part in item["content"] if part["type"] == "output_text"]
    calls = [(item["name"], item["arguments"]) for item in output
             if item["type"] == "function_call"]
    return Said(texts, calls)


def said_by_responses(exchange):
    if not exchange["stream"]:
        return items_said(exchange["response"]["body"]["output"])
    done, last = {}, []
    for event in events_of(exchange):
        if event["type"] == "response.output_item.done":
            done[event["output_index"]] = event["item"]
        elif event["type"] in ("response.completed", "response.incomplete"):
            last = event["response"]["output"]
    return items_said([done[index] for index in sorted(done)] or last)


def split(exchange):
    """The exchange, once for each reply: a few recordings join the streams of several requests."""
    if exchange["dialect"] != OWN or "events" not in exchange["response"]:
        return replies_of(exchange)
    replies = []
    for event in exchange["response"]["events"]:
        if event["type"] == "response.created":
            replies.append([])
        replies[-1].append(event)
    return [{**exchange, "response": {**exchange["response"], "events": events}}
            for events in replies]


def without_agent_codes(data):
    event = json.loads(data)
    error = event.get("response", {}).get("error")
    if error and error["code"] in AGENT_CODES:
        error["code"] = "server_error"
    return event, json.dumps(event)


def fold(text):
    """The response that the SDK folds the stream to, checked event by event."""
    state = ResponseStreamState(input_tools=omit, text_format=omit)
    ids, number, final = {}, 0, None
    for data in sse_data(text):
        event, data = without_agent_codes(data)
        assert final is None, "something follows the last event"
        assert event["sequence_number"] == number, "the numbers have a gap"
        number += 1
        parsed = EVENT.validate_json(data, strict=True)
        state.handle_event(parsed)
        if "output_index" in event:
            known = ids.setdefault(event["output_index"], event.get("item_id")
                                   or event["item"].get("id"))
            assert known == (event.get("item_id") or event["item"].get("id")), "an id changed"
        if event["type"] in ("response.completed", "response.incomplete", "response.failed"):
            final = parsed.response
    assert final is not None, "no last event"
    return final


def compare(response, recorded):
    carried = items_said([item.to_dict() for item in response.output])
    for part in recorded.texts:
        assert any(part in text for text in carried.texts) or part in "".join(carried.texts), (
            f"text {part[:80]!r} is missing from {str(carried.texts)[:200]!r}")
    assert [name for name, _ in carried.calls] == [name for name, _ in recorded.calls], (
        carried.calls, recorded.calls)
    for (_, arguments), (_, said) in zip(carried.calls, recorded.calls):
        assert same_arguments(arguments, said), (arguments, said)


def check(program, dialect, exchange):
    """Raises AssertionError, or a pydantic error, when the reply is not carried soundly."""
    response = exchange["response"]
    stream = exchange["stream"] and response["status"] < 400
    broken = bool(BROKEN & set(exchange["features"]))
    done = subprocess.run(
        [program, "translate", "--from", dialect, "--to", OWN, "--kind",
         "stream" if stream else "response"], input=wire_bytes(exchange), capture_output=True,
        timeout=60, check=False)
    assert done.returncode == 0 or broken, (
        f"exit {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")
    text = done.stdout.decode()
    said = said_by_responses if dialect == OWN else said_by
    if stream:
        if not broken:
            answer = fold(text)
            assert answer.status != "failed", "a failure in a stream that was recorded whole"
            compare(answer, said(exchange))
        elif "response.failed" in text:
            fold(text)
        return
    if "object" not in json.loads(text):
        assert response["status"] >= 400 or broken or exchange["id"] in NO_COMPLETION, (
            f"became an error: {text[:300]}")
        ErrorObject.model_validate_json(json.dumps(json.loads(text)["error"]), strict=True)
        return
    answer = Response.model_validate_json(text, strict=True)
    compare(answer, said(exchange))


def is_refused_as_recorded(exchange):
    """Whether the types refuse the recorded bytes themselves: a server with words of its own."""
    text = wire_bytes(exchange).decode()
    try:
        if not exchange["stream"]:
            Response.model_validate_json(text, strict=True)
        for data in sse_data(text) if exchange["stream"] else []:
            if data != "[DONE]":
                EVENT.validate_json(data, strict=True)
    except pydantic.ValidationError:
        return True
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--every", type=int, default=1, help="check one exchange of so many")
    parser.add_argument("--only", default="", help="ids that hold this text")
    options = parser.parse_args()
    program = str(options.build / "entrepot")
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, (dialect, operations) in SOURCES.items():
            path = corpus() / "corpus" / f"{name.split()[0]}.jsonl"
            if not path.exists():
                print(f"skipped: {name}, because the corpus is not here ({path.name} not found)")
                skipped += 1
                continue
            exchanges = [json.loads(line) for line in path.open(encoding="utf-8")]
            chosen = [e for e in exchanges if e["operation"] in operations
                      and options.only in e["id"]][::options.every]
            replies = [reply for e in chosen for reply in split({**e, "dialect": dialect}
                                                                if dialect == OWN else e)]
            jobs = [(e, pool.submit(check, program, dialect, e)) for e in replies]
            kinds = collections.Counter()
            for exchange, job in jobs:
                try:
                    job.result()
                    passed += 1
                    kinds["error" if exchange["response"]["status"] >= 400
                          else "streamed" if exchange["stream"] else "whole"] += 1
                except Exception as problem:  # whatever the SDK raises is the finding
                    if dialect == OWN and is_refused_as_recorded(exchange):
                        kinds["refused as recorded"] += 1
                        continue
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
