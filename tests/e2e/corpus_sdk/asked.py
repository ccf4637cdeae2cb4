"""Every recorded request is carried to every other dialect by `entrepot translate`; what comes out
has to be what the official SDK of that dialect has types for (shapes.py), to the last member, or
the request is refused by the name of a field.

    python asked.py --build build/release [--only TEXT] [--to NAME] [--every N]

Needs the corpus, as check.py does. Prints a table of counts; the last line is `N passed, N failed,
N skipped`.
"""
import argparse
import collections
import concurrent.futures
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import typing
import urllib.parse

import anthropic.types.beta.message_create_params as beta_params
import anthropic.types.message_create_params as message_params
import botocore.loaders
import botocore.model
from cohere.v2.client import V2Client
from google.genai import types as genai
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import ResponseInputAudioParam
from openai.types.responses import response_create_params as responses_params

sys.path.insert(0, os.path.dirname(__file__))
from check import corpus  # noqa: E402
from shapes import findings, shape_findings  # noqa: E402

# file: the dialect that reads it, its operations
SOURCES = {
    "openai-chat": ("openai-chat", {"chat.completions"}),
    "openai-compatible": ("openai-chat", {"chat.completions"}),
    "azure-openai": ("azure-openai", {"chat.completions"}),
    "openai-responses": ("openai-responses", {"responses"}),
    "anthropic-messages": ("anthropic-messages", {"messages"}),
    "vertex-anthropic": ("vertex-anthropic", {"rawpredict", "streamrawpredict"}),
    "bedrock-converse": ("bedrock-converse", {"converse", "converse-stream"}),
    "bedrock-invoke": ("bedrock-invoke", {"invoke", "invoke-with-response-stream"}),
    "gemini": ("gemini", {"generateContent", "streamGenerateContent"}),
    "vertex": ("vertex", {"generateContent", "streamGenerateContent"}),
    "cohere": ("cohere", {"v2/chat"}),
}


def chat(body):
    return findings(body, typing.Union[chat_params.CompletionCreateParamsNonStreaming,
                                       chat_params.CompletionCreateParamsStreaming])


def responses(body):
    """Sound has a type in the SDK, which its union of an input's parts does not list."""
    out, body = [], json.loads(json.dumps(body))
    for item in body["input"] if isinstance(body["input"], list) else []:
        if isinstance(item.get("content"), list):
            sounds = [part for part in item["content"] if part.get("type") == "input_audio"]
            out += findings(sounds, list[ResponseInputAudioParam], "input[].content")
            item["content"] = [part for part in item["content"] if part not in sounds]
    return out + findings(body, typing.Union[responses_params.ResponseCreateParamsNonStreaming,
                                             responses_params.ResponseCreateParamsStreaming])


# The newest types have left out what the newest models refuse; those that are asked here take it.
SAMPLING = {"temperature": float, "top_p": float, "top_k": int}


def messages(body):
    said = {name: body[name] for name in SAMPLING if name in body}
    rest = {name: value for name, value in body.items() if name not in SAMPLING}
    return [sentence for name, value in said.items()
            for sentence in findings(value, SAMPLING[name], f"body.{name}")] + findings(
                rest, typing.Union[message_params.MessageCreateParamsNonStreaming,
                                   message_params.MessageCreateParamsStreaming,
                                   beta_params.MessageCreateParamsNonStreaming,
                                   beta_params.MessageCreateParamsStreaming])


def messages_in_path(body):
    """Messages where the path names the model: Vertex, and Bedrock's InvokeModel."""
    version, betas = body.pop("anthropic_version", None), body.pop("anthropic_beta", [])
    return ([] if version in ("vertex-2023-10-16", "bedrock-2023-05-31") else
            [f"body.anthropic_version is {version}"]) + findings(
                betas, list[str], "body.anthropic_beta") + messages({**body, "model": "a-model"})


def cohere(body):
    hints = {name: hint for name, hint in typing.get_type_hints(
        V2Client.chat, include_extras=True).items() if name not in ("request_options", "return")}
    hints["stream"] = bool
    return [f"body.{name} is missing" for name in ("model", "messages", "stream")
            if name not in body] + [
        sentence for name, value in body.items()
        for sentence in (findings(value, hints[name], f"body.{name}") if name in hints else
                         [f"body.{name} is unknown to chat"])]


GENERATE = {"contents": list[genai.Content], "systemInstruction": genai.Content,
            "generationConfig": genai.GenerationConfig, "tools": list[genai.Tool],
            "toolConfig": genai.ToolConfig, "safetySettings": list[genai.SafetySetting],
            "cachedContent": str, "labels": dict[str, str], "serviceTier": str}


def generate(body):
    return ([] if "contents" in body else ["body.contents is missing"]) + [
        sentence for name, value in body.items()
        for sentence in (findings(value, GENERATE[name], f"body.{name}") if name in GENERATE else
                         [f"body.{name} is unknown to generateContent"])]


@functools.cache
def converse_shape(operation):
    loader = botocore.loaders.Loader()
    service = botocore.model.ServiceModel(
        loader.load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime")
    return service.operation_model(operation).input_shape


def converse(body):
    return shape_findings(body, converse_shape("Converse"))


def nova(body):
    """Converse's body but for three habits of the model's own."""
    inner = {name: value for name, value in body.items() if name != "schemaVersion"}
    inner.get("inferenceConfig", {}).pop("topK", None)
    # A mark stands beside what it marks, in one block.
    for blocks in [inner.get("system", [])] + [turn["content"] for turn in inner["messages"]]:
        blocks[:] = [part for block in blocks for part in (
            [{name: block[name]} for name in block] if "cachePoint" in block else [block])]
    return converse(inner)


# Wire formats that several names share. Between two of them a field that nobody knows is the
# client's own and rides along, as it would without a gateway.
FORMATS = {"azure-openai": "openai-chat", "vertex-anthropic": "anthropic-messages",
           "vertex": "gemini"}


def format_of(dialect, model):
    if dialect == "bedrock-invoke" and "nova" in model:
        return "bedrock-converse"
    if dialect == "bedrock-invoke" and ("anthropic" in model or "claude" in model):
        return "anthropic-messages"
    return FORMATS.get(dialect, dialect)


# name: dialect, the model that is asked, what checks the body
TARGETS = {
    "openai-chat": ("openai-chat", "gpt-5.2", chat),
    "azure-openai": ("azure-openai", "gpt-4.1", chat),
    "openai-responses": ("openai-responses", "gpt-5.2", responses),
    "anthropic-messages": ("anthropic-messages", "claude-sonnet-4-5-20250929", messages),
    "anthropic new": ("anthropic-messages", "claude-opus-4-7", messages),
    "vertex-anthropic": ("vertex-anthropic", "claude-sonnet-4-5@20250929",
                         messages_in_path),
    "converse Claude": ("bedrock-converse", "anthropic.claude-sonnet-4-5-20250929-v1:0", converse),
    "converse Nova": ("bedrock-converse", "amazon.nova-lite-v1:0", converse),
    "invoke Claude": ("bedrock-invoke", "anthropic.claude-sonnet-4-5-20250929-v1:0",
                      messages_in_path),
    "invoke Nova": ("bedrock-invoke", "amazon.nova-lite-v1:0", nova),
    "gemini 2.5": ("gemini", "gemini-2.5-flash", generate),
    "gemini 3": ("gemini", "gemini-3-pro-preview", generate),
    "vertex": ("vertex", "gemini-2.5-flash", generate),
    "cohere": ("cohere", "command-a-03-2025", cohere),
    "cohere thinking": ("cohere", "command-a-reasoning-08-2025", cohere),
}


def path_model(exchange):
    found = re.search(r"/model/([^/]+)/", exchange["request"]["path"])
    return urllib.parse.unquote(found.group(1)) if found else exchange.get("model") or "a-model"


def requests_of(name, only, every):
    """The recorded requests of a file, by the model in their path."""
    dialect, operations = SOURCES[name]
    by_model = collections.defaultdict(list)
    with (corpus() / "corpus" / f"{name}.jsonl").open(encoding="utf-8") as file:
        exchanges = [e for e in map(json.loads, file) if e["operation"] in operations
                     and isinstance(e["request"]["body"], dict) and only in e["id"]]
    for exchange in exchanges[::every]:
        # Where the path does not choose the body's format, one model stands for all.
        model = path_model(exchange) if dialect == "bedrock-invoke" else "a-model"
        by_model[model].append(exchange)
    return dialect, by_model


def carry(program, source, target, exchanges):
    """(exchange, what `translate` says of it), one run for all."""
    dialect, model_id, _ = TARGETS[target]
    lines = "\n".join(json.dumps(e["request"]["body"]) for e in exchanges)
    done = subprocess.run(
        [program, "translate", "--from", source, "--to", dialect, "--kind", "request", "--lines",
         "--model", model_id], input=lines.encode(), capture_output=True,
        timeout=300, check=True)
    outcomes = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert len(outcomes) == len(exchanges), (source, target, len(outcomes), len(exchanges))
    return list(zip(exchanges, outcomes))


def judge(outcome, target):
    """`carried`, `named` (with members left behind), `refused`, or a sentence of what is wrong."""
    if "error" in outcome:
        error = outcome["error"]
        return "refused" if error["field"] and error["message"] else f"no field: {error}"
    found = TARGETS[target][2](json.loads(outcome["body"]))
    if found:
        return f"{len(found)} findings: {found[0]}"
    return "named" if outcome["dropped"] else "carried"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--every", type=int, default=1, help="check one exchange of so many")
    parser.add_argument("--only", default="", help="ids that hold this text")
    parser.add_argument("--to", default="", help="targets whose name holds this text")
    options = parser.parse_args()
    program = str(options.build / "entrepot")
    if not (corpus() / "corpus").exists():
        print("skipped: requests across dialects, because the corpus is not here")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    targets = [name for name in TARGETS if options.to in name]
    table, problems = {}, collections.defaultdict(list)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name in SOURCES:
            source, by_model = requests_of(name, options.only, options.every)
            for target in targets:
                jobs = [pool.submit(carry, program, source, target, exchanges)
                        for model, exchanges in by_model.items()
                        if format_of(source, model) != format_of(*TARGETS[target][:2])]
                if not jobs:
                    continue
                counts = table[name, target] = collections.Counter()
                for exchange, outcome in (pair for job in jobs for pair in job.result()):
                    said = judge(outcome, target)
                    if said in ("carried", "named", "refused"):
                        counts[said] += 1
                    else:
                        counts["failed"] += 1
                        problems[target, re.sub(r"\d+", "#", said)].append(
                            f"{name} {exchange['id']}: {said}")
    for (target, _), sentences in problems.items():
        print(f"not ok {target}, {len(sentences)} requests: {sentences[0][:400]}")
    print(f"# {'from':20} {'to':20} carried   named refused  failed")
    for (name, target), counts in table.items():
        print(f"# {name:20} {target:20} " + " ".join(
            f"{counts[said]:7}" for said in ("carried", "named", "refused", "failed")))
    total = sum((counts for counts in table.values()), collections.Counter())
    failed = total.pop("failed", 0)
    print(f"# {total['carried']} carried whole, {total['named']} with members named as left "
          f"behind, {total['refused']} refused by name")
    print(f"{sum(total.values())} passed, {failed} failed")
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
