"""The official OpenAI SDK for Python, unmodified, against a running gateway.

Reads E2E_PLAN like node/suite.mjs; prints `ok NAME` or `not ok NAME: reason` per case and a
counting line; exit 1 when a case failed.
"""
import base64
import json
import os
import sys
import time
import traceback
import urllib.request

import openai
from pydantic import BaseModel

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from simulator import Simulator  # noqa: E402  (the folder above holds it)

PLAN = json.loads(os.environ["E2E_PLAN"])
PIXEL = ("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
         "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
SIM = Simulator(PLAN["sim_url"])
CLIENT = openai.OpenAI(base_url=PLAN["base_url"], api_key=PLAN["api_key"], max_retries=0,
                       timeout=30)
CASES = []


class Weather(BaseModel):
    city: str
    celsius: float


def tool(name, field):
    return {"type": "function", "function": {
        "name": name, "description": f"{name} now",
        "parameters": {"type": "object", "properties": {field: {"type": "string"}},
                       "required": [field], "additionalProperties": False}}}


TOOLS = [tool("get_weather", "city"), tool("get_time", "zone")]


def each_kind(function):
    for target in PLAN["targets"]:
        CASES.append((f"{target['kind']}: {function.__doc__}",
                      lambda model=target["model"]: function(model)))


def once(function):
    CASES.append((function.__doc__, lambda: function(PLAN["targets"][0]["model"])))


def say(text):
    return [{"role": "user", "content": text}]


def adds_up(usage):
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0, usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def exchange(identity):
    request = urllib.request.Request(f"{PLAN['admin_url']}/api/exchanges/{identity}",
                                     headers={"authorization": f"Bearer {PLAN['admin_token']}"})
    last = None
    for _ in range(100):
        with urllib.request.urlopen(request, timeout=10) as reply:
            last = json.load(reply)
        if last["state"] == "closed":
            return last
        time.sleep(0.05)
    raise AssertionError(f"exchange {identity}: {last}")


@each_kind
def whole(model):
    """whole, with the gateway's own headers"""
    raw = CLIENT.chat.completions.with_raw_response.create(model=model, messages=say("Hello."))
    data = raw.parse()
    assert data.choices[0].message.content and data.choices[0].finish_reason == "stop"
    adds_up(data.usage)
    assert raw.headers["x-entrepot-offer"].startswith(f"{model}/"), raw.headers
    assert raw.headers["x-entrepot-cost"].endswith(" USD"), raw.headers


@each_kind
def streamed(model):
    """streamed, with and without include_usage"""
    chunks = list(CLIENT.chat.completions.create(model=model, messages=say("Count."), stream=True))
    assert all(len(c.choices) == 1 and c.usage is None for c in chunks), chunks
    assert "".join(c.choices[0].delta.content or "" for c in chunks)
    chunks = list(CLIENT.chat.completions.create(
        model=model, messages=say("Count."), stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == [], chunks[-1]
    adds_up(chunks[-1].usage)


@each_kind
def parallel_tools(model):
    """parallel tools, streamed through the SDK's helper"""
    SIM.answer(tool_calls=[{"name": "get_weather", "arguments": {"city": "Oslo"}},
                           {"name": "get_time", "arguments": {"zone": "Europe/Oslo"}}])
    with CLIENT.chat.completions.stream(model=model, messages=say("?"), tools=TOOLS) as stream:
        for _ in stream:
            pass
        message = stream.get_final_completion().choices[0].message
    got = [(c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls]
    assert got == [("get_weather", {"city": "Oslo"}), ("get_time", {"zone": "Europe/Oslo"})], got
    SIM.reset()
    results = [{"role": "tool", "tool_call_id": c.id, "content": "fine"}
               for c in message.tool_calls]
    answer = CLIENT.chat.completions.create(
        model=model, tools=TOOLS,
        messages=[*say("?"), message.model_dump(exclude_none=True, exclude={"parsed"}), *results])
    assert answer.choices[0].message.content


def old_functions(model):
    """OpenAI's old functions, carried: the call comes back in the old form"""
    SIM.answer(tool_calls=[{"name": "get_weather", "arguments": {"city": "Oslo"}}])
    asked = {"model": model, "messages": say("?"), "functions": [TOOLS[0]["function"]]}
    choice = CLIENT.chat.completions.create(**asked).choices[0]
    assert choice.finish_reason == "function_call" and choice.message.tool_calls is None, choice
    assert choice.message.function_call.name == "get_weather", choice
    assert json.loads(choice.message.function_call.arguments) == {"city": "Oslo"}, choice
    chunks = [c.choices[0] for c in CLIENT.chat.completions.create(**asked, stream=True)
              if c.choices]
    pieces = [c.delta.function_call for c in chunks if c.delta.function_call]
    assert "".join(p.name or "" for p in pieces) == "get_weather", pieces
    assert json.loads("".join(p.arguments or "" for p in pieces)) == {"city": "Oslo"}, pieces
    assert chunks[-1].finish_reason == "function_call", chunks[-1]


for target in PLAN["targets"]:
    if target["kind"] in ("anthropic", "bedrock"):  # the others answer as the request came
        CASES.append((f"{target['kind']}: {old_functions.__doc__}",
                      lambda model=target["model"]: old_functions(model)))


@each_kind
def image(model):
    """an image as a data URL"""
    def ask():
        return CLIENT.chat.completions.create(model=model, messages=[{"role": "user", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": PIXEL}}]}])

    if model == "e2e-cohere":  # it takes texts, and says so
        raises(openai.BadRequestError, ask)
        return
    answer = ask()
    assert answer.choices[0].message.content


@each_kind
def structured(model):
    """structured output, parsed into a pydantic model"""
    SIM.answer(text='{"city":"Oslo","celsius":-3}')
    answer = CLIENT.chat.completions.parse(model=model, messages=say("Weather in Oslo?"),
                                           response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Oslo", celsius=-3)


@each_kind
def supplier_errors(model):
    """a supplier's 400, 429 and 500 raise the SDK's own errors"""
    def ask():
        return CLIENT.chat.completions.create(model=model, messages=say("x"))
    SIM.fail(status=400, message="prompt is too long")
    raises(openai.BadRequestError, ask)
    SIM.fail(status=429, retry_after_s=7)
    raises(openai.RateLimitError, ask)
    SIM.fail(status=500)
    assert raises(openai.InternalServerError, ask).status_code >= 500


@each_kind
def cancelled(model):
    """a stream closed by the client is settled"""
    SIM.slow(event_ms=100)
    raw = CLIENT.chat.completions.with_raw_response.create(
        model=model, messages=say("Count to fifty."), max_tokens=400, stream=True)
    stream = raw.parse()
    for number, _ in enumerate(stream):
        if number == 2:
            break
    stream.close()
    booked = exchange(raw.headers["x-entrepot-exchange"])
    assert booked["attempts"][-1]["state"] == "settled", booked
    assert booked["ended_by"] == "client", booked


@once
def models(_model):
    """models.list"""
    names = [entry.id for entry in CLIENT.models.list()]
    assert {t["model"] for t in PLAN["targets"]} <= set(names) and len(set(names)) == len(names)
    assert CLIENT.models.retrieve("e2e-anthropic").owned_by == "anthropic"
    raises(openai.NotFoundError, lambda: CLIENT.models.retrieve("no-such-model"))


def used(raw):
    [attempt] = exchange(raw.headers["x-entrepot-exchange"])["attempts"]
    return attempt["usage"]


@once
def completions(_model):
    """completions, whole and streamed"""
    raw = CLIENT.completions.with_raw_response.create(
        model="media-completions", prompt=["a", "b"], max_tokens=5)
    assert [c.finish_reason for c in raw.parse().choices] == ["length", "length"], raw.text
    assert used(raw)["output"] == 10, used(raw)
    chunks = list(CLIENT.completions.create(model="media-completions", prompt="a", stream=True))
    assert "".join(c.choices[0].text for c in chunks) and all(c.usage is None for c in chunks)


@once
def images(_model):
    """images.generate, images.edit with files, and a streamed image"""
    raw = CLIENT.images.with_raw_response.generate(model="media-image", prompt="a cat", n=2)
    assert len(raw.parse().data) == 2 and raw.parse().usage.output_tokens == 544, raw.text
    assert used(raw)["image_out"] == 544, used(raw)
    pixel = ("a.png", base64.b64decode(PIXEL.split(",")[1]), "image/png")
    raw = CLIENT.images.with_raw_response.edit(
        model="media-image", prompt="a dog", image=[pixel, pixel])
    assert raw.parse().data[0].b64_json and used(raw)["image_in"] == 646, used(raw)
    events = list(CLIENT.images.generate(
        model="media-image", prompt="a cat", stream=True, partial_images=1))
    assert [e.type for e in events] == ["image_generation.partial_image",
                                        "image_generation.completed"], events


@once
def audio(_model):
    """speech, transcriptions and translations"""
    raw = CLIENT.audio.speech.with_raw_response.create(
        model="media-speech", voice="alloy", input="Good day")
    assert raw.content[:3] == b"ID3" and used(raw) == {"characters": 8}, used(raw)
    with CLIENT.audio.speech.with_streaming_response.create(
            model="media-speech", voice="alloy", input="Good day") as reply:
        assert sum(len(piece) for piece in reply.iter_bytes()) == 3 + 8 * 400
    sound = ("a.mp3", b"ID3" + bytes(40_000), "audio/mpeg")
    raw = CLIENT.audio.transcriptions.with_raw_response.create(model="media-whisper", file=sound)
    assert raw.parse().text.startswith("The sun") and used(raw) == {"audio_seconds": 2}, used(raw)
    events = list(CLIENT.audio.transcriptions.create(
        model="media-transcribe", file=sound, stream=True))
    assert events[-1].type == "transcript.text.done" and events[-1].usage.total_tokens > 0, events
    assert CLIENT.audio.translations.create(model="media-whisper", file=sound).text


@once
def moderations(_model):
    """moderations"""
    raw = CLIENT.moderations.with_raw_response.create(model="media-moderation", input="fine")
    assert not raw.parse().results[0].flagged and used(raw) == {"requests": 1}, used(raw)


@once
def embeddings(_model):
    """embeddings.create, as numbers and in base64, before every kind"""
    same = None
    for target in PLAN["vectors"]:
        model = target["model"]
        # The SDK asks for base64 and decodes it, unless it is told to ask for numbers.
        packed = CLIENT.embeddings.create(model=model, input=["one", "two"])
        plain = CLIENT.embeddings.create(model=model, input=["one", "two"],
                                         encoding_format="float")
        assert [item.index for item in packed.data] == [0, 1], model
        assert packed.usage.prompt_tokens > 0, model
        for a, b in zip(packed.data, plain.data):
            assert len(a.embedding) == 64, model
            assert all(abs(x - y) < 1e-6 for x, y in zip(a.embedding, b.embedding)), model
        same = same or plain.data[1].embedding
        assert all(abs(x - y) < 1e-6 for x, y in zip(same, plain.data[1].embedding)), model


@once
def client_errors(model):
    """errors of the client's own raise the SDK's own errors"""
    stranger = openai.OpenAI(base_url=PLAN["base_url"], api_key="sk-wrong", max_retries=0)
    assert raises(openai.AuthenticationError, stranger.models.list).code == "invalid_api_key"
    wrong = model[:-1] + "x"
    error = raises(openai.NotFoundError, lambda: CLIENT.chat.completions.create(
        model=wrong, messages=say("x")))
    assert model in error.message and error.code == "model_not_found", error
    error = raises(openai.BadRequestError, lambda: CLIENT.chat.completions.create(
        model=model, messages=say("x"), temperature="hot"))
    assert error.param == "temperature", error


def main():
    passed = failed = 0
    for name, body in CASES:
        if PLAN.get("only", "") not in name:
            continue
        try:
            SIM.reset()
            body()
            passed += 1
            print(f"ok {name}", flush=True)
        except Exception:  # a case may fail in any way; each is told
            failed += 1
            print(f"not ok {name}: {traceback.format_exc()}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
