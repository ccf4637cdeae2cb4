"""Oracle's own SDK judges what we write for it, and what cloudsim plays of it.

    python oci_types.py --build build/release [--every N]

- Requests of every client dialect, of the corpus where it is there, are carried to Oracle's three
  native formats by `entrepot translate`; each has to fit the SDK's types, member by member.
- The SDK's client, with its own signature, asks cloudsim in each format.

Prints the counts; the last line is `N passed, N failed, N skipped`.
"""
import argparse
import collections
import concurrent.futures
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import oci
from oci.generative_ai_inference import GenerativeAiInferenceClient, models

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness  # noqa: E402
from cloudsim import Cloudsim  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[3]
DIALECTS = ("openai-chat", "openai-responses", "anthropic-messages", "bedrock-converse", "gemini")
FORMATS = {"oci": ("GENERIC", "xai.grok-4"), "oci-cohere": ("COHERE", "cohere.command-r-08-2024"),
           "oci-cohere-v2": ("COHEREV2", "cohere.command-a-reasoning-08-2025")}
PLAIN = {"str": str, "int": int, "float": (int, float), "bool": bool}


class Misfit(Exception):
    pass


def fits(value, kind, path):
    """Whether a JSON value fits a type as the SDK spells it: `str`, `list[Message]`, ..."""
    if kind == "object":
        return
    if kind.startswith("list["):
        if not isinstance(value, list):
            raise Misfit(f"{path}: no list")
        for i, item in enumerate(value):
            fits(item, kind[5:-1], f"{path}[{i}]")
    elif kind.startswith("dict("):
        for key, item in value.items():
            fits(item, kind.split(", ", 1)[1][:-1], f"{path}.{key}")
    elif kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or (kind != "bool" and isinstance(value, bool)):
            raise Misfit(f"{path}: {value!r} is no {kind}")
    else:
        fits_model(value, getattr(models, kind), path)


def fits_model(value, model, path):
    if not isinstance(value, dict):
        raise Misfit(f"{path}: no object")
    if hasattr(model, "get_subtype"):
        subtype = model.get_subtype({**{"role": "", "type": "", "apiFormat": "",
                                        "servingType": ""}, **value})
        if subtype == model.__name__:
            raise Misfit(f"{path}: {subtype} has no such kind: {json.dumps(value)[:120]}")
        model = getattr(models, subtype)
    plain = model()
    names = {wire: name for name, wire in plain.attribute_map.items()}
    for key, item in value.items():
        if key not in names:
            raise Misfit(f"{path}: {model.__name__} has no '{key}'")
        fits(item, plain.swagger_types[names[key]], f"{path}.{key}")
        if isinstance(item, str):  # the setter knows the words that are allowed
            try:
                setattr(plain, names[key], item)
            except ValueError as wrong:
                raise Misfit(f"{path}.{key}: {wrong}") from wrong


def samples():
    """One request in each dialect with everything that makers have in common."""
    weather = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    png = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAA"
           "DUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
    yield "openai-chat", {"model": "m", "stream": True, "max_tokens": 9, "temperature": 0.5,
                          "top_p": 0.9, "stop": ["x"], "seed": 1, "tools": [
                              {"type": "function", "function": {
                                  "name": "weather", "description": "d", "parameters": weather}}],
                          "messages": [
                              {"role": "system", "content": "Be brief."},
                              {"role": "user", "content": "Weather?"},
                              {"role": "assistant", "tool_calls": [
                                  {"id": "c1", "type": "function", "function": {
                                      "name": "weather", "arguments": "{\"city\":\"Oslo\"}"}}]},
                              {"role": "tool", "tool_call_id": "c1", "content": "rain"}]}
    yield "openai-chat", {"model": "m", "n": 2, "logprobs": True, "top_logprobs": 2,
                          "reasoning_effort": "low", "service_tier": "priority",
                          "verbosity": "low", "metadata": {"a": "b"}, "logit_bias": {"5": 1},
                          "response_format": {"type": "json_schema", "json_schema": {
                              "name": "n", "schema": weather, "strict": True}},
                          "messages": [{"role": "user", "name": "kim", "content": [
                              {"type": "text", "text": "What is this?"},
                              {"type": "image_url", "image_url": {
                                  "url": f"data:image/png;base64,{png}", "detail": "low"}}]}]}
    yield "anthropic-messages", {"model": "m", "max_tokens": 900, "system": "s",
                                 "thinking": {"type": "enabled", "budget_tokens": 500},
                                 "messages": [{"role": "user", "content": "Hi"}]}


def recorded(shared, every):
    folder = shared / "corpus"
    for file in sorted(folder.glob("**/*.jsonl")) if folder.is_dir() else []:
        with open(file, encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                if number % every:
                    continue
                exchange = json.loads(line)
                body = (exchange.get("request") or {}).get("body")
                dialect = {"openai-compatible": "openai-chat"}.get(exchange.get("dialect"),
                                                                    exchange.get("dialect"))
                if dialect in DIALECTS and isinstance(body, dict):
                    yield dialect, body


def carry(entrepot, dialect, to, body):
    """What became of a request: `fits`, `refused` or what is wrong."""
    model = FORMATS[to][1]
    done = subprocess.run([entrepot, "translate", "--from", dialect, "--to", to, "--kind",
                           "request", "--model", model], input=json.dumps(body).encode(),
                          capture_output=True, check=False)
    if done.returncode != 0:
        return "refused" if b"field: " in done.stderr else done.stderr.decode(errors="replace")
    try:
        fits_model(json.loads(done.stdout), models.ChatDetails, "body")
    except Misfit as misfit:
        return str(misfit)
    return "fits"


def as_instance(sim, client, requests):
    """The SDK's own instance principal, at the simulated metadata and federation."""
    at = harness.get_json(sim.url + "/_sim/identity")["endpoint"]
    os.environ["OCI_METADATA_BASE_URL"] = f"{at}/opc/v2"
    try:
        client.base_client.signer = oci.auth.signers.InstancePrincipalsSecurityTokenSigner(
            federation_endpoint=f"{at}/v1/x509")
        cloud = sim.clouds["oci"]
        client.chat(models.ChatDetails(
            compartment_id=cloud["compartment"], chat_request=requests["GENERIC"],
            serving_mode=models.OnDemandServingMode(model_id="xai.grok-4")))
    except Exception as problem:  # whatever the SDK raises is the finding
        return repr(problem)
    return None


def ask_cloudsim(build, folder):
    """The SDK's client, whole, in each format; yields (name, problem or None)."""
    sim = Cloudsim(build, folder / "cloudsim.log")
    try:
        facts = harness.get_json(sim.url + "/_sim/identity")["oci"]
        key = folder / "key.pem"
        key.write_text(facts["private_key"])
        cloud = sim.clouds["oci"]
        client = GenerativeAiInferenceClient(
            {**{name: facts[name] for name in ("tenancy", "user", "fingerprint")},
             "key_file": str(key), "region": cloud["region"]},
            service_endpoint=cloud["endpoint"], retry_strategy=oci.retry.NoneRetryStrategy())
        text = models.TextContent(text="Say hello.")
        requests = {
            "GENERIC": models.GenericChatRequest(
                messages=[models.UserMessage(content=[text])], max_tokens=20),
            "COHERE": models.CohereChatRequest(message="Say hello.", max_tokens=20),
            "COHEREV2": models.CohereChatRequestV2(messages=[models.CohereUserMessageV2(
                content=[models.CohereTextContentV2(text="Say hello.")])], max_tokens=20),
        }
        for name, model in FORMATS.values():
            try:
                reply = client.chat(models.ChatDetails(
                    compartment_id=cloud["compartment"],
                    serving_mode=models.OnDemandServingMode(model_id=model),
                    chat_request=requests[name])).data
                usage = reply.chat_response.usage
                assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0
                yield f"the SDK asks cloudsim: {name}", None
            except Exception as problem:  # whatever the SDK raises is the finding
                yield f"the SDK asks cloudsim: {name}", repr(problem)
        yield "the SDK signs in as an instance at cloudsim", as_instance(sim, client, requests)
        client.base_client.signer = oci.signer.Signer(
            facts["tenancy"], facts["user"], "00:" * 15 + "00", str(key))
        try:
            client.chat(models.ChatDetails(
                compartment_id=cloud["compartment"], chat_request=requests["GENERIC"],
                serving_mode=models.OnDemandServingMode(model_id="xai.grok-4")))
            yield "an unknown key is refused", "it was not"
        except oci.exceptions.ServiceError as refused:
            right = (refused.status, refused.code) == (401, "NotAuthenticated")
            yield "an unknown key is refused", None if right else repr(refused)
    finally:
        sim.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--every", type=int, default=10, help="one of N recordings (1: all)")
    options = parser.parse_args()
    build = options.build.resolve()
    shared = os.environ.get("ENTREPOT_SHARED")
    shared = pathlib.Path(shared) if shared else ROOT.parent / "shared"
    work = [(dialect, to, body) for source in (samples(), recorded(shared, options.every))
            for dialect, body in source for to in FORMATS]
    counts = collections.Counter()
    wrong = []
    began = datetime.datetime.now()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        outcomes = pool.map(lambda job: carry(build / "entrepot", *job), work)
        for (dialect, to, _), outcome in zip(work, outcomes):
            kind = outcome if outcome in ("fits", "refused") else "wrong"
            counts[(dialect, to, kind)] += 1
            if kind == "wrong":
                wrong.append(f"{dialect} to {to}: {outcome}")
    for (dialect, to, kind), count in sorted(counts.items()):
        print(f"# {dialect} to {to}: {count} {kind}")
    print(f"# {len(work)} in {(datetime.datetime.now() - began).seconds} s")
    passed, failed = len(work) - len(wrong), len(wrong)
    for line in wrong[:20]:
        print("not ok", line)
    with tempfile.TemporaryDirectory() as folder:
        for name, problem in ask_cloudsim(build, pathlib.Path(folder)):
            print(f"not ok {name}: {problem}" if problem else f"ok {name}")
            passed, failed = passed + (not problem), failed + bool(problem)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
