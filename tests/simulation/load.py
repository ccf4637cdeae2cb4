"""A bounded load of chat requests over plain sockets: clients that stream, leave, or wait."""
import asyncio
import dataclasses
import json
import random

ANSWER_TIMEOUT_S = 120


@dataclasses.dataclass
class Answer:
    """What one client saw. `ended` is whole, cut (by the gateway), left (by the client) or refused
    (no connection)."""
    number: int
    marker: str
    status: int = 0
    exchange: str = ""
    ended: str = "refused"
    usage: dict = None
    failed: bool = False  # an error body, or an error event within the stream
    error: str = ""


@dataclasses.dataclass
class Habits:
    """Shares of clients, the rest being patient; and how often an answer is streamed."""
    streamed: float = 0.5
    leaves_after_events: float = 0.0
    leaves_after_ms: float = 0.0


def body_of(number, model, stream, rng):
    words = " ".join(["word"] * rng.randint(5, 60))
    request = {"model": model, "max_tokens": rng.choice([16, 32, 64]),
               "messages": [{"role": "user", "content": f"marker-{number:06d} {words}"}]}
    if stream:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(request).encode()


async def ask(port, key, number, model, habits, rng):
    """One request on a connection of its own."""
    answer = Answer(number, f"marker-{number:06d}")
    stream = rng.random() < habits.streamed
    draw = rng.random()
    events_max = rng.randint(1, 4) if stream and draw < habits.leaves_after_events else None
    patience_s = ANSWER_TIMEOUT_S
    if habits.leaves_after_events <= draw < habits.leaves_after_events + habits.leaves_after_ms:
        patience_s = rng.uniform(0.001, 0.3)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return answer
    answer.ended = "cut"
    try:
        body = body_of(number, model, stream, rng)
        head = ("POST /v1/chat/completions HTTP/1.1\r\nhost: entrepot\r\n"
                "content-type: application/json\r\nconnection: close\r\n"
                f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n")
        writer.write(head.encode() + body)
        await asyncio.wait_for(read_answer(reader, answer, events_max), patience_s)
    except TimeoutError:
        answer.ended = "left"
    except (OSError, ValueError, KeyError, asyncio.IncompleteReadError) as problem:
        answer.error = repr(problem)
    finally:
        writer.close()
    return answer


async def read_answer(reader, answer, events_max):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    answer.status = int(head[0].split(" ")[1])
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    answer.exchange = headers.get("x-entrepot-exchange", "")
    if headers.get("transfer-encoding") != "chunked":
        document = json.loads(await reader.readexactly(int(headers["content-length"])))
        answer.usage, answer.failed = document.get("usage"), "error" in document
        answer.ended = "whole"
        return
    events, pending = 0, b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pending += (await reader.readexactly(size + 2))[:-2]
        *whole, pending = pending.split(b"\n\n")
        for event in whole:
            events += 1
            data = event.split(b"data:", 1)[-1].strip()
            if data == b"[DONE]":
                answer.ended = "whole"
            elif data.startswith(b"{"):
                document = json.loads(data)
                answer.usage = document.get("usage") or answer.usage
                answer.failed = answer.failed or "error" in document
            if events_max and events >= events_max:
                answer.ended = "left"
                return
    if answer.failed:
        answer.ended = "whole"


async def run(port, key, models, count, concurrent, habits, seed, first=0):
    """`count` requests, at most `concurrent` at once. The seed gives the same requests again."""
    gate = asyncio.Semaphore(concurrent)

    async def one(number):
        rng = random.Random(f"{seed}/{number}")
        async with gate:
            return await ask(port, key, number, rng.choice(models), habits, rng)

    return await asyncio.gather(*(one(first + i) for i in range(count)))
