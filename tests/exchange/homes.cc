#include "homes.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "dialect/bedrock_invoke/family.h"

namespace entrepot::exchange {
namespace {

// --- what has two spellings, dialect by dialect ---

void spell_chat_request(Tree& tree) {
    tree.absent("stream", "false");
    tree.absent("stream_options", R"({"include_usage":true})");  // the meter asks for it anyhow
    for (const char* list : {"stop", "tools", "messages[].tool_calls"}) tree.absent(list, "[]");
    tree.absent("tools[].function.description", R"("")");
    tree.absent("messages[].content", R"("")");
    tree.renamed("max_tokens", "max_completion_tokens");
    tree.renamed("messages[].reasoning", "reasoning_content");
    tree.renamed("safety_identifier", "user");
    tree.listed("stop");
    tree.text_as_part("messages[].content", "text", R"({"type":"text"})");
    tree.each("messages[]", [](Tree::Node& message) {
        // Other makers' caches: a mark on a message is a mark on its last part.
        const auto mark = message.members.find("cache_control");
        const auto content = message.members.find("content");
        if (mark == message.members.end() || content == message.members.end()) return;
        content->second.items.back().members.insert(*mark);
        message.members.erase(mark);
    });
    // The place in the list says it; a client repeats what it saw in a stream.
    tree.each("messages[].tool_calls[]", [](Tree::Node& call) { call.members.erase("index"); });
}

void spell_chat_reply(Tree& tree) {
    tree.renamed("choices[].message.reasoning", "reasoning_content");
    for (const char* list : {"annotations", "tool_calls"})
        tree.absent(std::string("choices[].message.") + list, "[]");
    for (const char* text : {"content", "refusal", "reasoning_content"})
        tree.absent(std::string("choices[].message.") + text, R"("")");
    tree.each("choices[].message.tool_calls[]", [](Tree::Node& call) {
        call.members.erase("index");
        call.members.try_emplace(
            "type", Tree::Node{.kind = json::Kind::kString, .text = "function"});
    });
    tree.absent("usage.*", "0");
    tree.absent("usage.*", "{}");
}

void spell_anthropic_request(Tree& tree) {
    tree.absent("stream", "false");
    tree.absent("tools", "[]");
    tree.absent("tools[].description", R"("")");
    tree.absent("tools[].type", R"("custom")");
    tree.absent("*.is_error", "false");
    tree.text_as_part("system", "text", R"({"type":"text"})");
    tree.text_as_part("*.content", "text", R"({"type":"text"})");
    tree.each("", [](Tree::Node& root) {
        // The name that the field had in its beta.
        const auto old = root.members.find("output_format");
        if (old == root.members.end()) return;
        Tree::Node config{.kind = json::Kind::kObject};
        config.members["format"] = std::move(old->second);
        root.members.erase(old);
        root.members.try_emplace("output_config", std::move(config));
    });
}

void spell_anthropic_reply(Tree& tree) { tree.absent("content[].caller", R"({"type":"direct"})"); }

void spell_converse_request(Tree& tree) {
    tree.absent("inferenceConfig.stopSequences", "[]");
    tree.absent("inferenceConfig", "{}");
    tree.absent("additionalModelRequestFields", "{}");
    tree.absent("system", "[]");
    tree.absent("messages[].content[].toolResult.status", R"("success")");
}

void spell_converse_reply(Tree& tree) {
    // What AWS's SDKs add to the reply.
    tree.each("", [](Tree::Node& root) { root.members.erase("$metadata"); });
    tree.absent("output.message.content[].type", R"("text")");
    tree.absent("output.message.content[].toolUse.type", R"("tool_use")");
    // Its clients read `metrics` and `citationsContent.content` without asking.
    tree.absent("metrics", R"({"latencyMs":0})");
    tree.absent("output.message.content[].citationsContent.content", "[]");
}

void spell_converse_error(Tree& tree) {
    // AWS says the error's name in a header; SDKs read it from either place.
    tree.each("", [](Tree::Node& root) { root.members.erase("__type"); });
}

std::string camel_of(const std::string& key) {
    std::string camel;
    for (std::size_t i = 0; i < key.size(); ++i)
        if (key[i] == '_' && i > 0 && i + 1 < key.size())
            camel += static_cast<char>(std::toupper(key[++i]));
        else
            camel += key[i];
    return camel;
}

void in_capitals(Tree::Node& object, const std::string& name) {
    const auto found = object.members.find(name);
    if (found == object.members.end()) return;
    for (char& c : found->second.text) c = static_cast<char>(std::toupper(c));
}

/// Functions in one entry, and each of Google's own tools in one.
void part_tools(Tree::Node& root) {
    const auto tools = root.members.find("tools");
    if (tools == root.members.end()) return;
    Tree::Node functions{.kind = json::Kind::kArray};
    std::map<std::string, Tree::Node> others;
    for (Tree::Node& entry : tools->second.items)
        for (auto& [key, value] : entry.members) {
            if (key != "functionDeclarations")
                others[key] = std::move(value);
            else
                std::ranges::move(value.items, std::back_inserter(functions.items));
        }
    others["functionDeclarations"] = std::move(functions);
    tools->second = Tree::Node{.kind = json::Kind::kObject, .members = std::move(others)};
}

void spell_gemini_request(Tree& tree) {
    // Names in either case; words of enums too.
    tree.each("*", [](Tree::Node& object) {
        std::map<std::string, Tree::Node> members;
        for (auto& [key, value] : object.members) members[camel_of(key)] = std::move(value);
        object.members = std::move(members);
    });
    tree.each("generationConfig.thinkingConfig",
        [](Tree::Node& config) { in_capitals(config, "thinkingLevel"); });
    tree.each("toolConfig.functionCallingConfig",
        [](Tree::Node& config) { in_capitals(config, "mode"); });
    // The path names the model; who instructs is nobody's role.
    tree.each("", [](Tree::Node& root) { root.members.erase("model"); });
    tree.each("systemInstruction", [](Tree::Node& content) { content.members.erase("role"); });
    tree.listed("systemInstruction.parts");
    tree.each("contents[]", [](Tree::Node& content) {
        if (const auto role = content.members.find("role");
            role != content.members.end() && role->second.text == "function")
            role->second.text = "user";
    });
    tree.absent("*.thought", "false");
    tree.absent("contents[].parts[].text", R"("")");
    tree.absent("*.functionCall.args", "{}");
    tree.absent("tools[].functionDeclarations[].description", R"("")");
    tree.absent("generationConfig.responseModalities", R"(["TEXT"])");
    tree.absent("generationConfig.thinkingConfig.includeThoughts", "false");
    for (const char* empty : {"generationConfig.thinkingConfig", "generationConfig", "toolConfig"})
        tree.absent(empty, "{}");
    tree.each("", part_tools);
}

void spell_gemini_reply(Tree& tree) {
    tree.each("candidates[]", [](Tree::Node& candidate) {
        // Enums may be numbers.
        if (const auto reason = candidate.members.find("finishReason");
            reason != candidate.members.end() && reason->second.kind == json::Kind::kNumber)
            reason->second = Tree::Node{.kind = json::Kind::kString,
                .text = reason->second.text == "2" ? "MAX_TOKENS" : "STOP"};
    });
    tree.absent("candidates[].content.parts", R"([{"text":""}])");
    tree.absent("candidates[].content.parts[].functionCall.args", "{}");
    tree.absent("candidates[].content.role", R"("model")");
    tree.absent("candidates[].content", "{}");
    tree.absent("candidates[].index", "0");
    tree.absent("candidates", "[]");
}

void spell_responses_request(Tree& tree) {
    tree.absent("stream", "false");
    tree.absent("background", "false");
    tree.absent("truncation", R"("disabled")");
    tree.absent("reasoning", "{}");
    for (const char* list : {"tools", "include"}) tree.absent(list, "[]");
    for (const char* list : {"annotations", "logprobs"})
        tree.absent(std::string("input[].content[].") + list, "[]");
    tree.absent("tools[].description", R"("")");
    tree.renamed("user", "safety_identifier");
    tree.text_as_part("input", "content", R"({"role":"user"})");
    tree.absent("input[].type", R"("message")");
    tree.absent("input[].content", "[]");
    tree.each("input[]", [](Tree::Node& item) {
        // One text is a string, and it is the user's and the model's by its role.
        for (const char* key : {"content", "output"}) {
            const auto list = item.members.find(key);
            if (list == item.members.end() || list->second.items.size() != 1) continue;
            Tree::Node& part = list->second.items[0];
            const Tree::Node* type = part.find("type");
            if (type == nullptr || part.members.size() != 2 || part.find("text") == nullptr ||
                (type->text != "input_text" && type->text != "output_text"))
                continue;
            Tree::Node text = part.members["text"];
            list->second = std::move(text);
        }
    });
    // In no order.
    tree.each("", [](Tree::Node& root) {
        const auto include = root.members.find("include");
        if (include != root.members.end())
            std::ranges::sort(include->second.items, {}, &Tree::Node::text);
    });
}

void spell_responses_reply(Tree& tree) {
    tree.absent("output[].content", "[]");
    for (const char* list : {"annotations", "logprobs"})
        tree.absent(std::string("output[].content[].") + list, "[]");
    tree.absent("output[].arguments", R"("")");
    tree.absent("usage.*", "0");
    tree.absent("usage.*", "{}");
    // When it was completed no event says, and the text over all of it only SDKs write.
    tree.each("", [](Tree::Node& root) {
        root.members.erase("completed_at");
        root.members.erase("output_text");
    });
}

void spell_invoke_request(Tree& tree) {
    for (const char* text : {"system", "messages[].content", "messages[].content[].content"})
        tree.text_as_part(text, "text", R"({"type":"text"})");
    for (const char* list : {"tools", "stop_sequences", "stopSequences", "chat_history"})
        tree.absent(std::string("*") + list, "[]");
    tree.absent("*.is_error", "false");
    tree.absent("schemaVersion", R"("messages-v1")");
    tree.renamed("inferenceConfig.max_new_tokens", "maxTokens");
    tree.renamed("inferenceConfig.top_p", "topP");
    tree.absent("*Penalty", R"({"scale":0})");
    for (const char* empty : {"inferenceConfig", "textGenerationConfig"}) tree.absent(empty, "{}");
    tree.absent("stream", "false");
}

void spell_cohere_request(Tree& tree) {
    tree.absent("stream", "false");
    tree.text_as_part("messages[].content", "text", R"({"type":"text"})");
    for (const char* list : {"tools", "documents", "stop_sequences", "messages[].content",
             "messages[].tool_calls", "messages[].citations"})
        tree.absent(list, "[]");
}

void spell_cohere_reply(Tree& tree) {
    for (const char* list : {"content", "tool_calls", "citations"})
        tree.absent(std::string("message.") + list, "[]");
}

void spell_nothing(Tree&) {}

/// The id between `/model/` and the operation.
std::string invoked_model(const Exchange& exchange) {
    const std::string path = percent_decode(exchange.path);
    const std::size_t begin = path.find("/model/") + 7;
    const std::string model = path.substr(begin, path.rfind('/') - begin);
    // Names of a gateway's own say nothing of the family.
    return model == "unknown" ? "anthropic." + exchange.model + "-v1:0" : model;
}

std::string invoked_family(const Exchange& exchange) {
    namespace invoke = dialect::bedrock_invoke;
    const std::string model = invoked_model(exchange);
    invoke::Family family = invoke::family_of_model(model);
    if (const auto body = json::Document::parse(exchange.request); body)
        family = invoke::family_of_request(model, body->root());
    else if (exchange.response.find("\"completion\":") != std::string::npos)
        family = invoke::Family::kClaudeText;
    return std::string(invoke::family_name(family));
}

}  // namespace

std::span<const Home> homes() {
    static const std::vector<Home> kHomes{
        {.name = "openai-chat",
            .file = "openai-chat",
            .dialect = "openai-chat",
            .operations = {"chat.completions"},
            .verbatim = {"parameters", "schema"},
            .requests = 525,
            .replies = 506,
            .errors = 20,
            .spell_request = &spell_chat_request,
            .spell_reply = &spell_chat_reply,
            .spell_error = &spell_nothing},
        {.name = "openai-compatible",
            .file = "openai-compatible",
            .dialect = "openai-chat",
            .operations = {"chat.completions"},
            .verbatim = {"parameters", "schema"},
            .requests = 214,
            .replies = 197,
            .errors = 34,
            .spell_request = &spell_chat_request,
            .spell_reply = &spell_chat_reply,
            .spell_error = &spell_nothing},
        {.name = "azure-openai",
            .file = "azure-openai",
            .dialect = "azure-openai",
            .operations = {"chat.completions"},
            .verbatim = {"parameters", "schema"},
            .requests = 102,
            .replies = 98,
            .errors = 5,
            .spell_request = &spell_chat_request,
            .spell_reply = &spell_chat_reply,
            .spell_error = &spell_nothing},
        {.name = "anthropic-messages",
            .file = "anthropic-messages",
            .dialect = "anthropic-messages",
            .operations = {"messages"},
            .verbatim = {"input_schema", "schema", "input"},
            .requests = 388,
            .replies = 407,
            .errors = 34,
            .spell_request = &spell_anthropic_request,
            .spell_reply = &spell_anthropic_reply,
            .spell_error = &spell_nothing},
        {.name = "bedrock-converse",
            .file = "bedrock-converse",
            .dialect = "bedrock-converse",
            .operations = {"converse", "converse-stream"},
            .is_stream_in_path = true,
            .verbatim = {"json", "input"},
            .requests = 258,
            .replies = 262,
            .errors = 13,
            .spell_request = &spell_converse_request,
            .spell_reply = &spell_converse_reply,
            .spell_error = &spell_converse_error},
        {.name = "vertex-anthropic",
            .file = "vertex-anthropic",
            .dialect = "vertex-anthropic",
            .operations = {"rawpredict", "streamrawpredict"},
            .is_stream_in_path = true,
            .verbatim = {"input_schema", "schema", "input"},
            .requests = 10,
            .replies = 10,
            .errors = 0,
            .spell_request = &spell_anthropic_request,
            .spell_reply = &spell_anthropic_reply,
            .spell_error = &spell_nothing},
        {.name = "gemini",
            .file = "gemini",
            .dialect = "gemini",
            .operations = {"generateContent", "streamGenerateContent"},
            .is_stream_in_path = true,
            .verbatim = {"args", "response", "parameters", "parametersJsonSchema",
                "parameters_json_schema", "responseSchema", "response_schema",
                "responseJsonSchema"},
            .requests = 356,
            .replies = 369,
            .errors = 13,
            .spell_request = &spell_gemini_request,
            .spell_reply = &spell_gemini_reply,
            .spell_error = &spell_nothing},
        {.name = "vertex",
            .file = "vertex",
            .dialect = "vertex",
            .operations = {"generateContent", "streamGenerateContent"},
            .is_stream_in_path = true,
            .verbatim = {"args", "response", "parameters", "parametersJsonSchema",
                "parameters_json_schema", "responseSchema", "response_schema",
                "responseJsonSchema"},
            .requests = 138,
            .replies = 170,
            .errors = 14,
            .spell_request = &spell_gemini_request,
            .spell_reply = &spell_gemini_reply,
            .spell_error = &spell_nothing},
        {.name = "openai-responses",
            .file = "openai-responses",
            .dialect = "openai-responses",
            .operations = {"responses"},
            .verbatim = {"parameters", "schema"},
            .requests = 305,
            .replies = 317,
            .errors = 17,
            .spell_request = &spell_responses_request,
            .spell_reply = &spell_responses_reply,
            .spell_error = &spell_nothing},
        {.name = "azure-responses",
            .file = "azure-openai",
            .dialect = "openai-responses",
            .operations = {"responses"},
            .verbatim = {"parameters", "schema"},
            .requests = 20,
            .replies = 33,
            .errors = 0,
            .spell_request = &spell_responses_request,
            .spell_reply = &spell_responses_reply,
            .spell_error = &spell_nothing},
        {.name = "bedrock-invoke",
            .file = "bedrock-invoke",
            .dialect = "bedrock-invoke",
            .operations = {"invoke", "invoke-with-response-stream"},
            .is_stream_in_path = true,
            .verbatim = {"input_schema", "json", "input", "parameters"},
            .requests = 198,
            .replies = 201,
            .errors = 20,
            .spell_request = &spell_invoke_request,
            .spell_reply = &spell_nothing,
            .spell_error = &spell_converse_error,
            .model_of = &invoked_model,
            .family_of = &invoked_family},
        {.name = "cohere",
            .file = "cohere",
            .dialect = "cohere",
            .operations = {"v2/chat"},
            .verbatim = {"parameters", "schema"},
            .requests = 67,
            .replies = 74,
            .errors = 0,
            .spell_request = &spell_cohere_request,
            .spell_reply = &spell_cohere_reply,
            .spell_error = &spell_nothing},
    };
    return kHomes;
}

std::string_view side_name(Side side) {
    switch (side) {
        case Side::kRequest: return "request";
        case Side::kReply: return "reply";
        case Side::kStream: return "stream";
        case Side::kForms: return "forms";
        case Side::kError: return "error";
    }
    return "";
}

std::span<const Exception> exceptions() {
    using enum Side;
    constexpr std::string_view kChat = "openai-chat";
    constexpr std::string_view kServers = "openai-compatible";
    constexpr std::string_view kAzure = "azure-openai";
    constexpr std::string_view kAnthropic = "anthropic-messages";
    constexpr std::string_view kConverse = "bedrock-converse";
    constexpr std::string_view kGemini = "gemini";
    constexpr std::string_view kVertex = "vertex";
    constexpr std::string_view kResponses = "openai-responses";
    constexpr std::string_view kInvoke = "bedrock-invoke";
    static constexpr Exception kExceptions[]{
        {kChat, kRequest, "refused max_tokens", 1, "is 0: the supplier refuses it too"},
        {kChat, kRequest, "function*", 11,
            "OpenAI's old form goes on as tools; replies are theirs"},
        {kChat, kRequest, "tool*", 11, "the same, as it is written"},
        {kChat, kError, "error.code", 2, "where there was none, one that says what is known"},

        {kServers, kRequest, "refused *", 2,
            "base64 and a temperature that the supplier refuses too"},
        {kServers, kRequest, "function_call", 1, "the old form, without functions"},
        {kServers, kRequest, "tool_choice", 1, "the same, as it is written"},
        {kServers, kReply, "choices[].finish_reason", 3, "an empty word: OpenAI's types refuse it"},
        {kServers, kReply, "* finished", 3, "the same"},
        {kServers, kReply, "choices[].delta", 1, "Perplexity repeats the message as a delta"},
        {kServers, kReply, "choices[].message.annotations", 1,
            "OpenRouter returns the client's file: OpenAI's types refuse it; named"},
        {kServers, kReply, "lost aside message.annotations", 1, "the same"},
        {kServers, kReply, "choices[].message.content", 1, "Mistral's list with thoughts: a text"},
        {kServers, kReply, "choices[].message.reasoning_content", 3,
            "thoughts that stood in a list of the server's own"},
        {kServers, kReply, "choices[].message.function_call", 3,
            "a call of nothing, without a name"},
        {kServers, kReply, "choices[].message.tool_calls[].custom", 2, "the same"},
        {kServers, kReply, "created", 3, "where there was none: OpenAI's types demand it"},
        {kServers, kReply, "object", 3, "the same"},
        {kServers, kReply, "*service_tier", 12, "a word that OpenAI's types refuse; named"},
        {kServers, kReply, "* tier", 9, "the same"},
        {kServers, kReply, "usage.*", 10, "counts that left a part out, or counted one twice"},
        {kServers, kStream, "* finished", 3, "an empty word, as in whole replies"},
        {kServers, kStream, "*service_tier", 4, "as in whole replies"},
        {kServers, kStream, "* tier", 2, "the same"},
        {kServers, kStream, "*aside message.reasoning_details", 1, "SDKs demand an index in lists"},
        {kServers, kStream, "lost aside message.reasoning_encrypted", 2, "the same word twice"},
        {kServers, kStream, "new delta", 1, "a call without arguments: no argument is no JSON"},
        {kServers, kForms, "* finished", 6, "an empty word"},
        {kServers, kForms, "*service_tier", 16, "a word that OpenAI's types refuse; named"},
        {kServers, kForms, "* tier", 11, "the same"},
        {kServers, kForms, "*message.annotations", 2, "a file refused, an index in a list"},
        {kServers, kForms, "*", 3,
            "a text after a call, an error after thoughts, a call of no words"},
        {kServers, kError, "*", 24, "errors of many shapes get OpenAI's; more of them is L7"},

        {kAzure, kRequest, "model", 18, "the path names it; the body may as well"},
        {kAzure, kReply, "choices[].message", 1, "no message at all: OpenAI's types demand one"},
        {kAzure, kReply, "usage.*_tokens", 17, "xAI's cached tokens, of which the prompt has less"},
        {kAzure, kReply, "*", 1, "an error under a 200 gets a status; innererror is L7"},
        {kAzure, kForms, "* failed", 1, "the same"},
        {kAzure, kError, "*", 5,
            "a status as a code, and no type: they get OpenAI's; details is L7"},

        {kAnthropic, kRequest, "refused tools[0].input_schema", 1,
            "is `true`: the supplier refuses it too"},

        {kConverse, kRequest, "messages[].content[].video.format", 1, "video/mp4 is mp4"},
        {kConverse, kReply, "output.message.content", 1, "an empty text could not be sent back"},
        {kConverse, kReply, "usage.*Tokens", 1, "counts left out that its clients demand"},
        {kConverse, kReply, "usage", 1, "where there was none: its clients read it unasked"},
        {kConverse, kReply, "new aside metrics", 7, "the same"},
        {kConverse, kStream, "new aside metrics", 6, "the same"},
        {kConverse, kForms, "new aside metrics", 13, "the same"},

        {kGemini, kReply, "unreadable", 1, "a count of tokens, which is no conversation"},
        {kGemini, kForms, "*aside citationMetadata", 1, "a whole reply has all of them in one"},
        {kGemini, kForms, "*aside safetyRatings", 2, "a whole reply has the last of them"},
        {kGemini, kError, "error.details", 8, "L7: the reason, the delay and the field are kept"},

        {kVertex, kReply, "unreadable", 2, "a count of tokens, a schema"},
        {kVertex, kReply, "candidates", 1, "a candidate of which nothing is said"},
        {kVertex, kReply, "*finish*", 1,
            "where there was none: its clients take none for going on"},
        {kVertex, kReply, "* part", 1, "no id of the reply: a call's made-up one is another"},
        {kVertex, kReply, "usageMetadata", 1, "nothing is counted in it"},
        {kVertex, kStream, "unreadable", 2, "recordings that stop early"},
        {kVertex, kStream, "* part", 1, "no id of the reply, as in whole ones"},
        {kVertex, kForms, "*aside citationMetadata", 1, "a whole reply has all of them in one"},
        {kVertex, kForms, "*aside safetyRatings", 4, "a whole reply has the last of them"},
        {kVertex, kForms, "* part", 7, "no id of the reply, as in whole ones"},
        {kVertex, kForms, "new finished", 1, "where there was none"},
        {kVertex, kError, "error.details", 8, "L7: the reason, the delay and the field are kept"},

        {kResponses, kReply, "* part", 3, "a program's call, whole but in progress; a call's id"},
        {kResponses, kReply, "output[].*", 3, "the same"},
        {kResponses, kReply, "*", 2, "what OpenAI's types demand and the server left out"},
        {kResponses, kStream, "* part", 1, "two lists of tools are whole in the other order"},
        {kResponses, kForms, "* part", 5, "that an item was cut is known at its end"},
        {kResponses, kForms, "* started", 5, "what the server left out, or repeats at the end"},
        {kResponses, kForms, "lost aside tools", 2, "the same: it stands in the whole reply once"},
        {kResponses, kError, "*", 2, "xAI's own shape of an error gets OpenAI's"},

        {kInvoke, kRequest, "refused model", 7, "rerankings; names that say no family"},
        {kInvoke, kRequest, "header x-amzn-bedrock-accept", 11, "JSON, and there is nothing else"},
        {kInvoke, kRequest, "stream", 1, "Command's word for what the path says"},
        {kInvoke, kReply, "unreadable", 2, "rerankings"},
        {kInvoke, kReply, "texts", 15, "Embed repeats what was asked"},
        {kInvoke, kReply, "embeddings", 10, "by type only to who asked for types"},
        {kInvoke, kReply, "response_type", 10, "the same"},
        {kInvoke, kReply, "embeddingsByType", 3,
            "Titan's newer models tell both; old recordings do not"},
        {kInvoke, kReply, "meta", 17, "billed tokens, which stood in the headers"},
        {kInvoke, kReply, "*finish*", 3, "made by hand, with another family's word for the end"},
        {kInvoke, kReply, "stop_reason", 2, "the same"},
        {kInvoke, kReply, "*", 10,
            "made by hand: without an id, a date, counts; one is a text completion for Messages"},
        {kInvoke, kStream, "*", 1, "Command's stream has no place for its id and the prompt"},
        {kInvoke, kForms, "* started", 12, "the same"},
        {kInvoke, kForms, "*aside prompt", 8, "the same"},
        {kInvoke, kForms, "*id", 10, "the same"},
        {kInvoke, kForms, "* finished", 3, "another family's word for the end"},
        {kInvoke, kForms, "lost aside amazon-bedrock-invocationMetrics", 73,
            "whole replies have headers instead, without latencies"},
        {kInvoke, kForms, "*", 1, "what failed in the middle is an error as a whole"},
    };
    return kExceptions;
}

}  // namespace entrepot::exchange
