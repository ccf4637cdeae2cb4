"""The suppliers' own SDKs for Python, each behind the face that play.py puts its scenes to."""
import json

import anthropic
import boto3
import botocore.config
import botocore.exceptions
import openai
from google import genai
from google.genai import errors as google_errors

TIMEOUT_S = 30


def json_tool_schema(scene):
    return scene["schema"].model_json_schema()


class Face:
    """What a client can be asked. Texts in, plain values out; `usage` is (input, output)."""
    broken = ()  # what it raises when it refuses
    can_leave = True  # closing its stream closes the connection

    def status_of(self, error):
        return getattr(error, "status_code", None)


class Anthropic(Face):
    name, family = "anthropic", "anthropic"
    broken = (anthropic.APIStatusError,)
    throttled, full = anthropic.RateLimitError, anthropic.BadRequestError

    def __init__(self, plan, retries=0):
        self.client = anthropic.Anthropic(base_url=plan["base_url"].removesuffix("/v1"),
                                          api_key=plan["api_key"], max_retries=retries,
                                          timeout=TIMEOUT_S)

    def ask(self, model, messages, **more):
        return {"model": model, "max_tokens": 1000, "messages": messages, **more}

    def whole(self, model, text):
        out = self.client.messages.create(**self.ask(model, [{"role": "user", "content": text}]))
        return out.content[0].text, (out.usage.input_tokens, out.usage.output_tokens)

    def stream(self, model, text, stop_at=None):
        pieces = []
        with self.client.messages.stream(
                **self.ask(model, [{"role": "user", "content": text}])) as stream:
            for piece in stream.text_stream:
                pieces.append(piece)
                if len(pieces) == stop_at:
                    return pieces, None
            out = stream.get_final_message()
        return pieces, (out.usage.input_tokens, out.usage.output_tokens)

    def tools(self, model, text, scene):
        tools = [{"name": scene["name"], "description": scene["description"],
                  "input_schema": json_tool_schema(scene)}]
        messages = [{"role": "user", "content": text}]
        for _ in range(4):
            out = self.client.messages.create(**self.ask(model, messages, tools=tools))
            if out.stop_reason != "tool_use":
                return out.content[0].text
            messages.append({"role": "assistant", "content": out.content})
            messages.append({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": block.id,
                 "content": scene["run"](block.input)}
                for block in out.content if block.type == "tool_use"]})
        raise AssertionError("it calls for ever")

    def structured(self, model, text, shape):
        said = [{"role": "user", "content": text}]
        out = self.client.messages.parse(**self.ask(model, said), output_format=shape)
        return out.parsed_output


class Bedrock(Face):
    """boto3 speaks HTTP/1.1; signed with a pair issued by the gateway, or with a bearer token that
    it sends by TLS alone."""
    family = "bedrock"
    broken = (botocore.exceptions.ClientError,)
    throttled, full = "ThrottlingException", "ValidationException"

    def __init__(self, plan, retries=0, is_signed=True):
        self.name = "boto3 signed" if is_signed else "boto3 bearer"
        root = plan["base_url"].removesuffix("/v1") if is_signed else plan["tls_url"]
        config = botocore.config.Config(
            retries={"total_max_attempts": 1 + retries, "mode": "standard"},
            read_timeout=TIMEOUT_S, connect_timeout=TIMEOUT_S,
            signature_version="v4" if is_signed else "bearer")
        pair = plan["access_key"] if is_signed else {"id": None, "secret": None}
        session = boto3.Session(aws_access_key_id=pair["id"], aws_secret_access_key=pair["secret"],
                                region_name="us-east-1")
        if not is_signed:
            from botocore.tokens import FrozenAuthToken
            frozen = FrozenAuthToken(plan["api_key"])
            session._session.get_auth_token = lambda **_: _Token(frozen)
        self.client = session.client("bedrock-runtime", config=config,
                                     endpoint_url=root, verify=plan["ca_file"])

    def status_of(self, error):
        return error.response["ResponseMetadata"]["HTTPStatusCode"]

    def say(self, text):
        return [{"role": "user", "content": [{"text": text}]}]

    def whole(self, model, text):
        out = self.client.converse(modelId=model, messages=self.say(text))
        usage = out["usage"]
        return out["output"]["message"]["content"][0]["text"], (usage["inputTokens"],
                                                                usage["outputTokens"])

    def stream(self, model, text, stop_at=None):
        pieces, usage = [], None
        stream = self.client.converse_stream(modelId=model, messages=self.say(text))["stream"]
        for event in stream:
            if "contentBlockDelta" in event:
                pieces.append(event["contentBlockDelta"]["delta"]["text"])
                if len(pieces) == stop_at:
                    stream.close()
                    return pieces, None
            if "metadata" in event:
                usage = event["metadata"]["usage"]
        return pieces, (usage["inputTokens"], usage["outputTokens"])

    def tools(self, model, text, scene):
        config = {"tools": [{"toolSpec": {
            "name": scene["name"], "description": scene["description"],
            "inputSchema": {"json": json_tool_schema(scene)}}}]}
        messages = self.say(text)
        for _ in range(4):
            out = self.client.converse(modelId=model, messages=messages, toolConfig=config)
            message = out["output"]["message"]
            if out["stopReason"] != "tool_use":
                return message["content"][0]["text"]
            messages.append(message)
            calls = [block["toolUse"] for block in message["content"] if "toolUse" in block]
            messages.append({"role": "user", "content": [
                {"toolResult": {"toolUseId": call["toolUseId"],
                                "content": [{"text": scene["run"](call["input"])}]}}
                for call in calls]})
        raise AssertionError("it calls for ever")

    def structured(self, model, text, shape):
        tool = {"toolSpec": {"name": "answer", "description": "The answer.",
                             "inputSchema": {"json": shape.model_json_schema()}}}
        out = self.client.converse(
            modelId=model, messages=self.say(text),
            toolConfig={"tools": [tool], "toolChoice": {"tool": {"name": "answer"}}})
        return shape(**out["output"]["message"]["content"][0]["toolUse"]["input"])


class _Token:
    """What botocore asks for a bearer token: always the same one."""

    def __init__(self, frozen):
        self.frozen = frozen

    def get_frozen_token(self):
        return self.frozen


class Google(Face):
    name, family = "google-genai", "gemini"
    broken = (google_errors.APIError,)
    throttled, full = google_errors.ClientError, google_errors.ClientError

    def __init__(self, plan, retries=0):
        self.client = genai.Client(api_key=plan["api_key"], http_options=genai.types.HttpOptions(
            base_url=plan["base_url"].removesuffix("/v1"), timeout=TIMEOUT_S * 1000,
            retry_options=genai.types.HttpRetryOptions(attempts=1 + retries, initial_delay=0.2)))

    def status_of(self, error):
        return error.code

    def whole(self, model, text):
        out = self.client.models.generate_content(model=model, contents=text)
        return out.text, usage_of(out)

    def stream(self, model, text, stop_at=None):
        pieces, usage = [], None
        stream = self.client.models.generate_content_stream(model=model, contents=text)
        for chunk in stream:
            if chunk.text:
                pieces.append(chunk.text)
            if len(pieces) == stop_at:
                stream.close()
                return pieces, None
            if chunk.usage_metadata:
                usage = usage_of(chunk)
        return pieces, usage

    def tools(self, model, text, scene):
        def get_weather(city: str) -> str:
            """Weather in a city now."""
            return scene["run"]({"city": city})
        out = self.client.models.generate_content(
            model=model, contents=text,
            config=genai.types.GenerateContentConfig(tools=[get_weather]))
        return out.text

    def structured(self, model, text, shape):
        out = self.client.models.generate_content(
            model=model, contents=text, config=genai.types.GenerateContentConfig(
                response_mime_type="application/json", response_schema=shape))
        return out.parsed


def usage_of(reply):
    usage = reply.usage_metadata
    return usage.prompt_token_count, usage.candidates_token_count


class Azure(Face):
    name, family = "azure-openai", "openai"
    broken = (openai.APIStatusError,)
    throttled, full = openai.RateLimitError, openai.BadRequestError

    def __init__(self, plan, retries=0):
        self.client = openai.AzureOpenAI(
            azure_endpoint=plan["base_url"].removesuffix("/v1"), api_key=plan["api_key"],
            api_version="2024-10-21", max_retries=retries, timeout=TIMEOUT_S)

    def say(self, model, messages, **more):
        return self.client.chat.completions.create(model=model, messages=messages, **more)

    def whole(self, model, text):
        out = self.say(model, [{"role": "user", "content": text}])
        return out.choices[0].message.content, (out.usage.prompt_tokens,
                                                out.usage.completion_tokens)

    def stream(self, model, text, stop_at=None):
        pieces, usage = [], None
        stream = self.say(model, [{"role": "user", "content": text}], stream=True,
                          stream_options={"include_usage": True})
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                pieces.append(chunk.choices[0].delta.content)
                if len(pieces) == stop_at:
                    stream.close()
                    return pieces, None
            usage = chunk.usage or usage
        return pieces, (usage.prompt_tokens, usage.completion_tokens)

    def tools(self, model, text, scene):
        tools = [{"type": "function", "function": {
            "name": scene["name"], "description": scene["description"],
            "parameters": json_tool_schema(scene)}}]
        messages = [{"role": "user", "content": text}]
        for _ in range(4):
            message = self.say(model, messages, tools=tools).choices[0].message
            if not message.tool_calls:
                return message.content
            messages.append(message.model_dump(exclude_none=True))
            messages += [{"role": "tool", "tool_call_id": call.id,
                          "content": scene["run"](json.loads(call.function.arguments))}
                         for call in message.tool_calls]
        raise AssertionError("it calls for ever")

    def structured(self, model, text, shape):
        out = self.client.chat.completions.parse(
            model=model, messages=[{"role": "user", "content": text}], response_format=shape)
        return out.choices[0].message.parsed


def makers():
    """How to make each face: of a plan, and how often it may ask again by itself."""
    return [Anthropic, Bedrock,
            lambda plan, retries=0: Bedrock(plan, retries, is_signed=False), Google, Azure]
