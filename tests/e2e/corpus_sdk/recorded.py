"""What a recorded exchange of the corpus holds: its reply's bytes, and what was said."""
import base64
import collections
import dataclasses
import json
import struct
import zlib


@dataclasses.dataclass
class Said:
    texts: list  # parts that have to stand in the carried text
    calls: list  # (name, arguments as JSON text), in order


def aws_frame(kind, payload):
    """One frame of an AWS event stream, with both checksums."""
    headers = b""
    for name, value in ((":event-type", kind), (":content-type", "application/json"),
                        (":message-type", "event")):
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value))
        headers += value.encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    frame = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return frame + struct.pack(">I", zlib.crc32(frame))


def wire_bytes(exchange):
    """The reply as it stood on the wire; framed again where only decoded events were kept."""
    response = exchange["response"]
    if "body_base64" in response:
        return base64.b64decode(response["body_base64"])
    if "body" in response:
        body = response["body"]
        return (body if isinstance(body, str) else json.dumps(body)).encode()
    frames = []
    for event in response["events"]:
        if exchange["dialect"] == "bedrock-converse":
            (kind, payload), = event.items()
            frames.append(aws_frame(kind, json.dumps(payload).encode()))
        else:
            name = f"event: {event['type']}\n" if "type" in event else ""
            frames.append(f"{name}data: {json.dumps(event)}\n\n".encode())
    if exchange["dialect"] in ("openai-chat", "openai-compatible", "azure-openai"):
        frames.append(b"data: [DONE]\n\n")
    return b"".join(frames)


def replies_of(exchange):
    """The exchange, once for each reply: two recordings join the streams of several requests."""
    if exchange["dialect"] != "anthropic-messages" or not exchange["stream"]:
        return [exchange]
    replies = [[]]
    for event in exchange["response"].get("events") or []:
        if event["type"] == "message_start" and any(
                e["type"] == "message_stop" for e in replies[-1]):
            replies.append([])
        replies[-1].append(event)
    if len(replies) == 1:
        return [exchange]
    return [{**exchange, "response": {**exchange["response"], "events": events}}
            for events in replies]


def events_of(exchange):
    response = exchange["response"]
    if "events" in response:
        return response["events"]
    if "body_base64" in response:
        return list(aws_events(base64.b64decode(response["body_base64"])))
    events = []
    for line in response["body"].replace("\r\n", "\n").split("\n"):
        if line.startswith("data:") and line[5:].strip().startswith("{"):
            events.append(json.loads(line[5:]))
    return events


def aws_events(data):
    while data:
        total, headers_bytes = struct.unpack(">II", data[:8])
        headers = data[12:12 + headers_bytes]
        payload = data[12 + headers_bytes:total - 4]
        if b":event-type\x07" not in headers:
            return  # an exception frame: the stream ends in an error
        kind = headers.split(b":event-type\x07", 1)[1]
        length, = struct.unpack(">H", kind[:2])
        yield {kind[2:2 + length].decode(): json.loads(payload)}
        data = data[total:]


def said_by(exchange):
    reader = {"anthropic-messages": said_by_anthropic, "bedrock-converse": said_by_converse}
    return reader.get(exchange["dialect"], said_by_openai)(exchange)


def said_by_openai(exchange):
    if not exchange["stream"]:
        message = exchange["response"]["body"]["choices"][0].get("message") or {}
        texts = [message.get("content")]
        called = [call["function"] for call in message.get("tool_calls") or []
                  if "function" in call]
        old_form = message.get("function_call") or {}
        called += [old_form] if old_form.get("name") else []  # some write one without a name: none
        calls = [(function["name"], function["arguments"]) for function in called]
        return Said([t for t in texts if isinstance(t, str)], calls)
    text, calls = "", collections.OrderedDict()
    for event in events_of(exchange):
        for choice in event.get("choices", []):
            delta = choice.get("delta") or {}
            if choice.get("index", 0) != 0:
                continue
            text += delta["content"] if isinstance(delta.get("content"), str) else ""
            old_form = [{"function": delta["function_call"]}] if delta.get("function_call") else []
            for place, call in enumerate(delta.get("tool_calls") or old_form):
                function = call.get("function") or {}
                kept = calls.setdefault(call.get("index", place), ["", ""])
                kept[0] = kept[0] or function.get("name") or ""
                kept[1] += function.get("arguments") or ""
    return Said([text], [tuple(call) for call in calls.values() if call[0]])


def said_by_anthropic(exchange):
    if not exchange["stream"]:
        blocks = exchange["response"]["body"].get("content") or []
        return Said([b["text"] for b in blocks if b["type"] == "text"],
                    [(b["name"], json.dumps(b["input"]))
                     for b in blocks if b["type"] == "tool_use"])
    whole_inputs = {}
    texts, calls = collections.defaultdict(str), collections.OrderedDict()
    for event in events_of(exchange):
        if event.get("type") == "message_start":
            for place, block in enumerate(event["message"].get("content") or []):
                key = ("whole", place)  # a message that starts finished
                if block["type"] == "tool_use":
                    calls[key] = [block["name"], json.dumps(block["input"])]
                elif block["type"] == "text":
                    texts[key] += block["text"]
        elif event.get("type") == "content_block_start":
            block = event["content_block"]
            if block["type"] == "tool_use":  # input comes in deltas, or whole where there are none
                calls[event["index"]] = [block["name"], ""]
                whole_inputs[event["index"]] = json.dumps(block.get("input") or {})
            elif block["type"] == "text":
                texts[event["index"]] += block.get("text") or ""
        elif event.get("type") == "content_block_delta":
            delta = event["delta"]
            if delta.get("type") == "text_delta":
                texts[event["index"]] += delta["text"]
            elif delta.get("type") == "input_json_delta" and event["index"] in calls:
                calls[event["index"]][1] += delta["partial_json"]
    for index, whole in whole_inputs.items():
        calls[index][1] = calls[index][1] or whole
    return Said(list(texts.values()), [tuple(call) for call in calls.values()])


def is_clients_call(tool_use):
    """A call that the client has to answer; AWS runs its own tools (`server_tool_use`) itself."""
    return tool_use is not None and tool_use.get("type") != "server_tool_use"


def said_by_converse(exchange):
    if not exchange["stream"]:
        message = (exchange["response"]["body"].get("output") or {}).get("message") or {}
        blocks = message.get("content") or []
        return Said([b["text"] for b in blocks if "text" in b],
                    [(b["toolUse"]["name"], json.dumps(b["toolUse"]["input"]))
                     for b in blocks if is_clients_call(b.get("toolUse"))])
    texts, calls = collections.defaultdict(str), collections.OrderedDict()
    for event in events_of(exchange):
        (kind, payload), = event.items()
        index = payload.get("contentBlockIndex", 0) if isinstance(payload, dict) else 0
        if kind == "contentBlockStart" and is_clients_call(payload["start"].get("toolUse")):
            calls[index] = [payload["start"]["toolUse"]["name"], ""]
        elif kind == "contentBlockDelta":
            delta = payload["delta"]
            if "text" in delta:
                texts[index] += delta["text"]
            elif "toolUse" in delta and index in calls:
                calls[index][1] += delta["toolUse"]["input"]
    return Said(list(texts.values()), [tuple(call) for call in calls.values()])
