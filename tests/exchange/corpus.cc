#include "corpus.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "json/writer.h"

namespace entrepot::exchange {
namespace {

template <typename... F>
struct Overloaded : F... {
    using F::operator()...;
};

void set_response(const json::Value& response, bool is_anthropic, Exchange& exchange) {
    if (const json::Value* base64 = response.find("body_base64"); base64 != nullptr) {
        if (!base64_decode(base64->string(), exchange.response)) exchange.response.clear();
        return;
    }
    if (const json::Value* events = response.find("events"); events != nullptr) {
        exchange.was_framed_by_us = true;
        for (const json::Value& event : events->items()) {
            if (is_anthropic)
                exchange.response += fmt::format("event: {}\n", event["type"].string());
            exchange.response += fmt::format("data: {}\n\n", event.raw());
        }
        if (!is_anthropic) exchange.response += "data: [DONE]\n\n";
        return;
    }
    const json::Value& body = response["body"];
    exchange.response = body.is_string() ? body.string() : body.raw();
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
        exchange.is_stream = root["stream"].as_bool().value_or(false);
        exchange.status = static_cast<int>(root["response"]["status"].as_int().value_or(0));
        if (const json::Value& body = root["request"]["body"]; body.is_object())
            exchange.request = body.raw();
        const bool is_bedrock = name == "bedrock-converse";
        if (is_bedrock && root["response"].find("events") != nullptr) continue;
        set_response(root["response"], name == "anthropic-messages", exchange);
        exchanges.push_back(std::move(exchange));
    }
    return exchanges;
}

std::string describe(const canon::Event& event) {
    return std::visit(
        Overloaded{
            [](const canon::Started& e) {
                return fmt::format("started {} {} {}", e.id, e.model, e.created_s);
            },
            [](const canon::PartStarted& e) {
                return fmt::format("part {}.{} kind {} call {} name {} custom {} {} {}", e.choice,
                    e.part, static_cast<int>(e.kind), e.call_id, e.name, e.is_custom,
                    e.media ? e.media->data : "", e.opaque ? e.opaque->json : "");
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
                    canon::stop_reason_name(e.reason), e.raw_reason, e.stop_sequence);
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
                return fmt::format("failed {} {} {} {}", static_cast<int>(e.failure.kind),
                    e.failure.status, e.failure.code, e.failure.message);
            },
            [](const canon::Ended&) { return std::string("ended"); },
        },
        event);
}

std::string describe(const std::vector<canon::Event>& events) {
    std::string out;
    for (const canon::Event& event : events) out += describe(event) + "\n";
    return out;
}

std::string decode_in_pieces(const dialect::Dialect& dialect, dialect::ReplyForm form,
    std::string_view bytes, const std::vector<std::size_t>& cuts) {
    const auto decoder = dialect.reply_decoder(form);
    std::vector<canon::Event> events;
    Status status;
    std::size_t from = 0;
    for (std::size_t i = 0; i <= cuts.size() && status; ++i) {
        const std::size_t to = i < cuts.size() ? cuts[i] : bytes.size();
        status = decoder->feed(bytes.substr(from, to - from), events);
        from = to;
    }
    if (status) status = decoder->finish(events);
    std::string out = describe(events);
    if (!status) out += "error " + status.error().message;
    return out;
}

std::string decode_byte_by_byte(
    const dialect::Dialect& dialect, dialect::ReplyForm form, std::string_view bytes) {
    std::vector<std::size_t> cuts;
    for (std::size_t i = 1; i < bytes.size(); ++i) cuts.push_back(i);
    return decode_in_pieces(dialect, form, bytes, cuts);
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
