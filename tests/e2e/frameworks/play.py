"""Python's SDKs and frameworks in front of suppliers of a foreign kind: each plays the same scenes.

E2E_PLAN as for play.mjs; prints `ok NAME` or `not ok NAME: reason` per scene and a counting line;
exit 1 when one failed.
"""
import json
import os
import sys
import time
import traceback

from pydantic import BaseModel

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import chains  # noqa: E402
import sdks  # noqa: E402
from simulator import Simulator  # noqa: E402  (the folder above holds it)

PLAN = json.loads(os.environ["E2E_PLAN"])
SIM = Simulator(PLAN["sim_url"])
LONG = "one two three four five six seven eight nine ten " * 20


class City(BaseModel):
    city: str


class Weather(BaseModel):
    city: str
    celsius: float


def adds(usage):
    assert usage and usage[0] > 0 and usage[1] > 0, usage


def whole(make, model):
    """whole"""
    text, usage = make(PLAN).whole(model, "Say hello.")
    assert text
    adds(usage)


def streamed(make, model):
    """streamed, with usage"""
    SIM.answer(text=LONG)
    pieces, usage = make(PLAN).stream(model, "Count.")
    assert "".join(pieces).strip() == LONG.strip() and len(pieces) > 1, pieces
    adds(usage)


def tools(make, model):
    """tools round trip"""
    ran = []

    def run(given):
        ran.append(given)
        SIM.answer(text="It snows.")  # it calls as long as it is asked to: now it has its answer
        return "Snow, -3 C"
    answer = make(PLAN).tools(model, "Please call get_weather for Oslo.", {
        "name": "get_weather", "description": "Weather in a city now.", "schema": City, "run": run})
    assert [type(given["city"]) for given in ran] == [str], ran
    assert answer == "It snows.", answer


def structured(make, model):
    """structured output"""
    answer = make(PLAN).structured(model, "Weather in Oslo?", Weather)
    assert isinstance(answer, Weather), answer


def refused(face, model, kind):
    try:
        face.whole(model, "Hello.")
    except face.broken as error:
        if isinstance(kind, str):
            assert error.response["Error"]["Code"] == kind, error.response
        else:
            assert isinstance(error, kind), repr(error)
        return error
    raise AssertionError("it was answered")


def throttled(make, model):
    """429 raises its class, asked again once"""
    SIM.refuse("rate_limit")
    SIM.forget()
    face = make(PLAN, 1)
    error = refused(face, model, face.throttled)
    assert face.status_of(error) == 429, repr(error)
    assert len({entry["exchange"] for entry in SIM.served()}) == 2, repr(error)


def full(make, model):
    """a full context is known by its class"""
    SIM.refuse("context")
    face = make(PLAN)
    error = refused(face, model, face.full)
    assert face.status_of(error) == 400, repr(error)
    assert any(words in str(error) for words in (
        "context length", "context window", "too long", "maximum number of tokens")), repr(error)


def cancelled(make, model):
    """a stream that is left is cancelled at the supplier"""
    SIM.slow(event_ms=100)
    SIM.forget()
    make(PLAN).stream(model, "Count to fifty.", stop_at=2)
    for _ in range(100):
        if any(entry["client_gone"] for entry in SIM.served()):
            return
        time.sleep(0.05)
    raise AssertionError("the supplier was not told")


SCENES = [whole, streamed, tools, structured, throttled, full, cancelled]


def foreign(family, turn):
    """Suppliers of other kinds than the client's, in turn."""
    kinds = [target for target in PLAN["targets"]
             if target["kind"] in ("openai", "anthropic", "bedrock")
             and not target["kind"].startswith(family)]
    return kinds[turn % len(kinds)]


def main():
    passed = failed = 0
    for turn, make in enumerate([*sdks.makers(), *chains.makers()]):
        face = make(PLAN)
        target = foreign(face.family, turn)
        for scene in SCENES:
            name = f"{face.name} to {target['kind']}: {scene.__doc__}"
            if PLAN.get("only", "") not in name or (scene is cancelled and not face.can_leave):
                continue
            try:
                SIM.reset()
                scene(make, target["model"])
                passed += 1
                print(f"ok {name}", flush=True)
            except Exception:  # a scene may fail in any way; each is told
                failed += 1
                print(f"not ok {name}: {traceback.format_exc()}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
