"""LangChain's chat models and LlamaIndex, each behind the face that play.py puts its scenes to."""
import json

from langchain_anthropic import ChatAnthropic
from langchain_aws import ChatBedrockConverse
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import HumanMessage
from langchain_core.tools import StructuredTool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from sdks import TIMEOUT_S, Face


class Chain(Face):
    broken = (Exception,)
    throttled = Exception
    full = ContextOverflowError

    def __init__(self, name, family, make):
        self.name, self.family, self.make = f"langchain {name}", family, make

    def status_of(self, error):
        """The SDK's own error may be what the framework raised it from."""
        while error is not None:
            for name in ("status_code", "code"):
                if isinstance(getattr(error, name, None), int):
                    return getattr(error, name)
            if isinstance(getattr(error, "response", None), dict):
                return error.response["ResponseMetadata"]["HTTPStatusCode"]
            error = error.__cause__
        return None

    def whole(self, model, text):
        return self.folded(self.make(model).invoke(text))

    @staticmethod
    def folded(message):
        usage = message.usage_metadata
        return message.text, usage and (usage["input_tokens"], usage["output_tokens"])

    def stream(self, model, text, stop_at=None):
        pieces, folded = [], None
        stream = self.make(model).stream(text)
        for chunk in stream:
            folded = chunk if folded is None else folded + chunk
            if chunk.text:
                pieces.append(chunk.text)
            if len(pieces) == stop_at:
                stream.close()
                return pieces, None
        return pieces, self.folded(folded)[1]

    def tools(self, model, text, scene):
        known = StructuredTool.from_function(
            lambda **given: scene["run"](given), name=scene["name"],
            description=scene["description"], args_schema=scene["schema"])
        bound = self.make(model).bind_tools([known])
        said = [HumanMessage(text)]
        for _ in range(4):
            message = bound.invoke(said)
            if not message.tool_calls:
                return message.text
            said += [message, *(known.invoke(call) for call in message.tool_calls)]
        raise AssertionError("it calls for ever")

    def structured(self, model, text, shape):
        return self.make(model).with_structured_output(shape).invoke(text)


class Index(Face):
    """Its OpenAILike: what it offers for servers whose models it does not know."""
    name, family = "llama-index OpenAILike", "openai"
    can_leave = False  # its generators keep the SDK's stream open
    broken = (Exception,)
    throttled = full = Exception

    def __init__(self, plan, retries=0):
        self.plan, self.retries = plan, retries

    def make(self, model):
        return OpenAILike(model=model, api_base=self.plan["base_url"], api_key=self.plan["api_key"],
                          is_chat_model=True, is_function_calling_model=True, timeout=TIMEOUT_S,
                          max_retries=self.retries)

    def whole(self, model, text):
        out = self.make(model).chat([ChatMessage(role="user", content=text)])
        return out.message.content, (out.raw.usage.prompt_tokens, out.raw.usage.completion_tokens)

    def stream(self, model, text, stop_at=None):
        pieces, usage = [], None
        stream = self.make(model).stream_chat(
            [ChatMessage(role="user", content=text)], stream_options={"include_usage": True})
        for chunk in stream:
            if chunk.delta:
                pieces.append(chunk.delta)
            if len(pieces) == stop_at:
                stream.close()
                return pieces, None
            usage = chunk.raw.usage or usage
        return pieces, (usage.prompt_tokens, usage.completion_tokens)

    def tools(self, model, text, scene):
        known = FunctionTool.from_defaults(
            fn=lambda **given: scene["run"](given), name=scene["name"],
            description=scene["description"], fn_schema=scene["schema"])
        llm, said = self.make(model), [ChatMessage(role="user", content=text)]
        for _ in range(4):
            out = llm.chat_with_tools([known], chat_history=said)
            calls = llm.get_tool_calls_from_response(out, error_on_no_tool_call=False)
            if not calls:
                return out.message.content
            said.append(out.message)
            said += [ChatMessage(role="tool", content=known.call(**call.tool_kwargs).content,
                                 additional_kwargs={"tool_call_id": call.tool_id})
                     for call in calls]
        raise AssertionError("it calls for ever")

    def structured(self, model, text, shape):
        out = self.make(model).as_structured_llm(shape).chat(
            [ChatMessage(role="user", content=text)])
        return shape(**json.loads(out.message.content))


def makers():
    """As sdks.makers."""
    def chain(name, family, make):
        def made(plan, retries=0):
            root = plan["base_url"].removesuffix("/v1")
            return Chain(name, family, lambda model: make(plan, root, model, retries))
        return made
    return [
        chain("ChatOpenAI", "openai", lambda plan, root, model, retries: ChatOpenAI(
            model=model, api_key=plan["api_key"], base_url=plan["base_url"], timeout=TIMEOUT_S,
            max_retries=retries, stream_usage=True)),
        chain("ChatOpenAI responses", "openai", lambda plan, root, model, retries: ChatOpenAI(
            model=model, api_key=plan["api_key"], base_url=plan["base_url"], timeout=TIMEOUT_S,
            max_retries=retries, use_responses_api=True)),
        chain("AzureChatOpenAI", "openai", lambda plan, root, model, retries: AzureChatOpenAI(
            azure_deployment=model, api_key=plan["api_key"], azure_endpoint=root,
            api_version="2024-10-21", timeout=TIMEOUT_S, max_retries=retries, stream_usage=True)),
        chain("ChatAnthropic", "anthropic", lambda plan, root, model, retries: ChatAnthropic(
            model=model, api_key=plan["api_key"], base_url=root, timeout=TIMEOUT_S,
            max_retries=retries, max_tokens=1000)),
        chain("ChatBedrockConverse", "bedrock", lambda plan, root, model, retries:
              ChatBedrockConverse(
                  model=model, provider="anthropic", region_name="us-east-1", endpoint_url=root,
                  aws_access_key_id=plan["access_key"]["id"], max_retries=retries,
                  aws_secret_access_key=plan["access_key"]["secret"],
                  # What it looks up by model name and does not know of ours.
                  disable_streaming=False,
                  supports_tool_choice_values=("auto", "any", "tool"))),
        chain("ChatGoogleGenerativeAI", "gemini", lambda plan, root, model, retries:
              ChatGoogleGenerativeAI(model=model, google_api_key=plan["api_key"], base_url=root,
                                     timeout=TIMEOUT_S, max_retries=1 + retries)),
        Index,
    ]
