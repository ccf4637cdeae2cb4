#include "cloudsim/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "base/text.h"
#include "cloudsim/cloud.h"
#include "framing/event_stream.h"
#include "framing/sse.h"
#include "json/writer.h"

namespace entrepot::cloudsim {
namespace {

using json::Value;

void append_canonical(const Value& value, std::string& out) {
    if (value.is_array()) {
        out += '[';
        bool first = true;
        for (const Value& item : value.items()) {
            if (!std::exchange(first, false)) out += ',';
            append_canonical(item, out);
        }
        out += ']';
    } else if (value.is_object()) {
        std::vector<const json::Member*> members;
        for (const json::Member& member : value.members()) members.push_back(&member);
        std::ranges::stable_sort(members, {}, &json::Member::key);
        out += '{';
        bool first = true;
        for (const json::Member* member : members) {
            if (!std::exchange(first, false)) out += ',';
            json::append_quoted(out, member->key);
            out += ':';
            append_canonical(member->value, out);
        }
        out += '}';
    } else if (value.is_string()) {
        json::append_quoted(out, value.string());
    } else {
        out += value.raw();
    }
}

/// The body of a recording that was kept as decoded events, in its dialect's framing.
std::string framed(const Value& events, std::string_view dialect) {
    std::string out;
    for (const Value& event : events.items()) {
        if (dialect.starts_with("bedrock")) {
            for (const json::Member& member : event.members())
                framing::append_event_stream_event(out, member.key, member.value.raw());
        } else {
            framing::append_sse(
                out, dialect.starts_with("anthropic") ? event["type"].string() : "", event.raw());
        }
    }
    if (dialect.starts_with("openai") || dialect.starts_with("azure"))
        framing::append_sse(out, "", "[DONE]");
    return out;
}

std::string default_type(std::string_view dialect, bool is_stream) {
    if (!is_stream) return "application/json";
    return dialect.starts_with("bedrock") ? "application/vnd.amazon.eventstream"
                                          : "text/event-stream; charset=utf-8";
}

std::string route(std::string_view method, std::string_view path) {
    while (path.starts_with("//")) path.remove_prefix(1);
    return fmt::format("{} {}", method, percent_decoded(path));
}

}  // namespace

std::string canonical_json(std::string_view text) {
    const auto parsed = json::Document::parse(std::string(text));
    if (!parsed) return std::string(text);
    std::string out;
    append_canonical(parsed->root(), out);
    return out;
}

Result<Replay> Replay::load(const std::string& file) {
    std::ifstream in(file);
    if (!in) return fail(ErrorCode::kIo, fmt::format("cannot read '{}'", file));
    Replay replay;
    std::size_t number = 0;
    for (std::string line; std::getline(in, line);) {
        ++number;
        if (line.empty()) continue;
        const auto parsed = json::Document::parse(std::move(line));
        if (!parsed || !parsed->root()["response"].is_object())
            return fail(ErrorCode::kBadRequest,
                fmt::format("{}:{}: is no recorded exchange", file, number));
        replay.add(parsed->root());
    }
    return replay;
}

void Replay::add(const Value& exchange) {
    const Value& request = exchange["request"];
    const Value& response = exchange["response"];
    const std::string_view dialect = exchange["dialect"].string();
    Entry entry;
    Recorded& recorded = entry.recorded;
    recorded.id = exchange["id"].string();
    recorded.status = static_cast<int>(response["status"].as_int().value_or(200));
    recorded.is_stream = exchange["stream"].as_bool().value_or(false) && recorded.status == 200;
    if (const Value* body = response.find("body")) {
        recorded.body = body->is_string() ? body->string() : body->raw();
    } else if (const Value* encoded = response.find("body_base64")) {
        if (!base64_decode(encoded->string(), recorded.body)) return;
    } else {
        recorded.body = framed(response["events"], dialect);
    }
    // Of the transport, and made anew by ours.
    static const std::set<std::string_view> kTransport{"content-length", "transfer-encoding",
        "content-encoding", "connection", "date", "keep-alive"};
    bool has_type = false;
    for (const json::Member& header : response["headers"].members()) {
        const std::string name = to_lower(header.key);
        if (kTransport.contains(name) || !header.value.is_string()) continue;
        has_type = has_type || name == "content-type";
        recorded.headers.emplace_back(name, header.value.string());
    }
    if (!has_type)
        recorded.headers.emplace_back("content-type", default_type(dialect, recorded.is_stream));
    if (request["body"].is_object()) {
        entry.raw_body = request["body"].raw();
        entry.body = canonical_json(entry.raw_body);
        entry.model = request["body"]["model"].string();
    }
    by_path_.emplace(route(request["method"].string(), request["path"].string()), entries_.size());
    entries_.push_back(std::move(entry));
}

const Replay::Recorded* Replay::find(
    std::string_view method, std::string_view path, std::string_view body) {
    const auto [begin, end] = by_path_.equal_range(route(method, path));
    const std::string canonical = canonical_json(body);
    const auto parsed = json::Document::parse(std::string(body));
    const std::string model(parsed ? parsed->root()["model"].string() : std::string_view());
    // Each way of matching prefers what was not used yet, so that a conversation goes on.
    const auto pick = [&](auto matches, bool takes_used) -> Entry* {
        Entry* used = nullptr;
        for (auto at = begin; at != end; ++at) {
            Entry& entry = entries_[at->second];
            if (!matches(entry)) continue;
            if (!entry.is_used) return &entry;
            if (used == nullptr) used = &entry;
        }
        return takes_used ? used : nullptr;
    };
    Entry* found = pick([&](const Entry& e) { return e.raw_body == body; }, true);
    if (found == nullptr) found = pick([&](const Entry& e) { return e.body == canonical; }, true);
    if (found == nullptr) found = pick([&](const Entry& e) { return e.model == model; }, false);
    if (found == nullptr) {
        unmatched_ += fmt::format("{} {}\n", method, path);
        return nullptr;
    }
    found->is_used = true;
    return &found->recorded;
}

}  // namespace entrepot::cloudsim
