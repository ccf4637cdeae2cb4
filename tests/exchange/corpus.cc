#include "corpus.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "framing/event_stream.h"
#include "framing/sse.h"
#include "json/writer.h"

namespace entrepot::exchange {
namespace {

template <typename... F>
struct Overloaded : F... {
    using F::operator()...;
};

std::vector<dialect::Header> headers_of(const json::Value& message) {
    std::vector<dialect::Header> headers;
    for (const json::Member& header : message["headers"].members())
        headers.push_back({std::string(header.key), std::string(header.value.string())});
    return headers;
}

/// The bodies of one answer as bytes. Events that a source kept decoded are framed again; some
/// recordings of Messages and Responses hold the events of several replies, one after the other.
std::vector<std::string> bodies_of(std::string_view name, const json::Value& response) {
    if (const json::Value* base64 = response.find("body_base64"); base64 != nullptr) {
        std::string body;
        if (!base64_decode(base64->string(), body)) body.clear();
        return {body};
    }
    const json::Value* events = response.find("events");
    if (events == nullptr) {
        const json::Value& body = response["body"];
        return {std::string(body.is_string() ? body.string() : body.raw())};
    }
    std::vector<std::string> bodies(1);
    for (const json::Value& event : events->items()) {
        const std::string_view type = event["type"].string();
        if (name == "bedrock-converse") {
            for (const json::Member& member : event.members())
                framing::append_event_stream_event(bodies.back(), member.key, member.value.raw());
        } else if (name == "bedrock-invoke") {
            framing::append_event_stream_event(bodies.back(), "chunk",
                fmt::format(R"({{"bytes":"{}"}})", base64_encode(event.raw())));
        } else if (name.ends_with("anthropic") || name.starts_with("anthropic")) {
            if (type == "message_start" && !bodies.back().empty()) bodies.emplace_back();
            framing::append_sse(bodies.back(), type, event.raw());
        } else if (type == "error" || type.starts_with("response.")) {
            if (type == "response.created" && !bodies.back().empty()) bodies.emplace_back();
            framing::append_sse(bodies.back(), type, event.raw());
        } else {
            framing::append_sse(bodies.back(), {}, event.raw());
        }
    }
    const bool is_chat = !events->items().empty() && events->items()[0]["type"].is_null();
    if (is_chat && (name.ends_with("openai") || name.starts_with("openai")))
        framing::append_sse(bodies.back(), {}, "[DONE]");
    return bodies;
}

}  // namespace

std::string corpus_folder() {
    const char* shared = std::getenv("ENTREPOT_SHARED");
    const std::filesystem::path root = shared != nullptr
        ? std::filesystem::path(shared)
        : std::filesystem::path(ENTREPOT_SOURCE_DIR).parent_path() / "shared";
    const std::filesystem::path folder = root / "corpus";
    return std::filesystem::exists(folder) ? folder.string() : std::string();
}

std::vector<Exchange> read_corpus(
    std::string_view name, const std::function<bool(std::string_view operation)>& wanted) {
    std::vector<Exchange> exchanges;
    std::ifstream file(fmt::format("{}/{}.jsonl", corpus_folder(), name));
    std::string line;
    while (std::getline(file, line)) {
        const auto document = json::Document::parse(line);
        if (!document) continue;
        const json::Value& root = document->root();
        if (!wanted(root["operation"].string())) continue;
        Exchange exchange;
        exchange.id = root["id"].string();
        exchange.provider = root["provider"].string();
        exchange.fidelity = root["fidelity"].string();
        exchange.operation = root["operation"].string();
        exchange.model = root["model"].string();
        exchange.is_stream = root["stream"].as_bool().value_or(false);
        exchange.status = static_cast<int>(root["response"]["status"].as_int().value_or(0));
        exchange.path = root["request"]["path"].string();
        exchange.headers = headers_of(root["request"]);
        exchange.reply_headers = headers_of(root["response"]);
        if (const json::Value& body = root["request"]["body"]; body.is_object())
            exchange.request = body.raw();
        const std::string id = exchange.id;
        int reply = 1;
        for (std::string& body : bodies_of(name, root["response"])) {
            exchange.response = std::move(body);
            exchange.id = reply == 1 ? id : fmt::format("{} reply {}", id, reply);
            exchanges.push_back(exchange);
            exchange.request.clear();  // asked once
            ++reply;
        }
    }
    return exchanges;
}

namespace {

std::string described(const std::vector<canon::Extra>& extras) {
    std::string out;
    for (const canon::Extra& extra : extras) out += fmt::format(" {} {}", extra.path, extra.json);
    return out;
}

}  // namespace

std::string describe(const canon::Event& event) {
    return std::visit(
        Overloaded{
            [](const canon::Started& e) {
                return fmt::format("started {} {} {} {}{}", e.id, e.model, e.created_s, e.origin,
                    described(e.echo));
            },
            [](const canon::PartStarted& e) {
                std::string out = fmt::format("part {}.{} kind {} call {} name {}{}{}", e.choice,
                    e.part, static_cast<int>(e.kind), json::quoted(e.call_id), json::quoted(e.name),
                    e.is_custom ? " custom" : "", e.is_redacted ? " redacted" : "");
                if (e.media)
                    out += fmt::format(" media {} {} {} {} {} {}", static_cast<int>(e.media->kind),
                        static_cast<int>(e.media->source), json::quoted(e.media->media_type),
                        json::quoted(e.media->data), json::quoted(e.media->detail),
                        json::quoted(e.media->name));
                if (e.opaque)
                    out += fmt::format(
                        " opaque {} {} {}", e.opaque->origin, e.opaque->kind, e.opaque->json);
                if (e.is_summary) out += " summary";
                if (e.item) out += fmt::format(" of item {}", *e.item);
                return out + described(e.marks);
            },
            [](const canon::PartDelta& e) {
                return fmt::format("delta {}.{} {}", e.choice, e.part, json::quoted(e.text));
            },
            [](const canon::PartSignature& e) {
                return fmt::format("signature {}.{} {} {}", e.choice, e.part, e.signature.origin,
                    e.signature.data);
            },
            [](const canon::PartEnded& e) { return fmt::format("end {}.{}", e.choice, e.part); },
            [](const canon::Finished& e) {
                return fmt::format("finished {} {} {} {}", e.choice,
                    canon::stop_reason_name(e.reason), json::quoted(e.raw_reason),
                    json::quoted(e.stop_sequence));
            },
            [](const canon::UsageReported& e) {
                return "usage " + canon::to_json(e.usage) + " " + e.service_tier;
            },
            [](const canon::Aside& e) {
                return fmt::format("aside {} {} {}.{} {}", e.origin, e.key,
                    e.choice ? fmt::to_string(*e.choice) : "-",
                    e.part ? fmt::to_string(*e.part) : "-", e.json);
            },
            [](const canon::Failed& e) {
                return fmt::format("failed {} {} {} {} {} {} {}", static_cast<int>(e.failure.kind),
                    e.failure.status, json::quoted(e.failure.code), json::quoted(e.failure.message),
                    json::quoted(e.failure.param), e.failure.request_id,
                    e.failure.retry_after ? e.failure.retry_after->count() : -1);
            },
            [](const canon::Ended&) { return std::string("ended"); },
            [](const canon::Outcome& e) {
                if (const auto* counted = std::get_if<canon::TokensCounted>(&e.body))
                    return fmt::format("counted {}", counted->input_tokens);
                const auto& vector = std::get<canon::Vector>(e.body);
                return fmt::format(
                    "vector {} {} {}", vector.index, static_cast<int>(vector.form), vector.numbers);
            },
        },
        event);
}

std::string meaning(const std::vector<canon::Event>& events) {
    canon::Reply reply;
    for (const canon::Event& event : events) reply.add(event);
    std::string out;
    for (const canon::Reply::Choice& choice : reply.choices) {
        std::string text;
        std::string refusal;
        std::string thought;
        std::string calls;
        for (const canon::Reply::Part& part : choice.parts) {
            switch (part.start.kind) {
                case canon::PartKind::kText: text += part.text; break;
                case canon::PartKind::kRefusal: refusal += part.text; break;
                case canon::PartKind::kThought: thought += part.text; break;
                case canon::PartKind::kToolCall:
                    calls += fmt::format("call {} {} {}\n", part.start.call_id, part.start.name,
                        part.text.empty() && !part.start.is_custom ? "{}" : part.text);
                    break;
                default: break;
            }
        }
        // What the words of chat completions can tell apart.
        std::string_view reason = "none";
        if (choice.finished) {
            switch (choice.finished->reason) {
                case canon::StopReason::kLength:
                case canon::StopReason::kContextExceeded: reason = "length"; break;
                case canon::StopReason::kToolCalls: reason = "tool_calls"; break;
                case canon::StopReason::kContentFilter: reason = "content_filter"; break;
                default: reason = "stop";
            }
        }
        out += fmt::format("choice text {} refusal {} thought {} reason {}\n{}", text, refusal,
            thought, reason, calls);
    }
    if (reply.has_usage) {
        canon::Usage usage = reply.usage;
        // One OpenAI field for both lifetimes, and none for what is beside tokens.
        usage[canon::Meter::kCacheWrite] += usage[canon::Meter::kCacheWriteLong];
        usage[canon::Meter::kCacheWriteLong] = 0;
        // Pictures are counted among the rest.
        usage[canon::Meter::kInput] += usage[canon::Meter::kImageIn];
        usage[canon::Meter::kImageIn] = 0;
        for (const canon::Meter meter :
            {canon::Meter::kRequests, canon::Meter::kImages, canon::Meter::kAudioSeconds,
                canon::Meter::kCharacters, canon::Meter::kSearches, canon::Meter::kToolCalls})
            usage[meter] = 0;
        out += canon::to_json(usage);
    }
    if (reply.failure) out += "failure " + reply.failure->message;
    return out;
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace entrepot::exchange
