#include "dialect/openai_chat/reply_asides.h"

#include <algorithm>
#include <array>

#include "dialect/openai_chat/reply.h"
#include "json/value.h"

namespace entrepot::dialect::openai_chat {
namespace {

/// OpenRouter repeats the client's files as annotations; other suppliers cite without offsets.
bool is_url_citation(const json::Value& annotation) {
    const json::Value& cited = annotation["url_citation"];
    return annotation["type"].string() == "url_citation" && cited["url"].is_string() &&
        cited["title"].is_string() && cited["start_index"].as_int() && cited["end_index"].as_int();
}

std::optional<std::string> fit_annotations(const std::string& json, Dropped& dropped) {
    const auto document = json::Document::parse(json);
    if (!document || !document->root().is_array()) {
        dropped.add("annotations");
        return std::nullopt;
    }
    const auto items = document->root().items();
    if (std::ranges::all_of(items, is_url_citation)) return json;
    dropped.add("annotations");
    if (std::ranges::none_of(items, is_url_citation)) return std::nullopt;
    std::string out;
    json::Writer writer(out);
    writer.begin_array();
    for (const json::Value& annotation : items)
        if (is_url_citation(annotation)) writer.raw(annotation.raw());
    writer.end_array();
    return out;
}

std::optional<std::string> fit_service_tier(const std::string& json, Dropped& dropped) {
    const auto document = json::Document::parse(json);
    const auto tier = document ? document->root().as_string() : std::nullopt;
    if (tier && tier->empty()) return std::nullopt;
    const std::string_view word = tier ? service_tier_word(*tier) : std::string_view();
    if (!word.empty()) return json::quoted(word);
    dropped.add("service_tier");
    return std::nullopt;
}

std::string joined(const json::Value& first, const json::Value& second) {
    std::string out;
    json::Writer writer(out);
    writer.begin_array();
    for (const json::Value* list : {&first, &second})
        for (const json::Value& item : list->items()) writer.raw(item.raw());
    writer.end_array();
    return out;
}

/// The members of both, the second's where both have one: filter results and what else comes in
/// parts with the chunks.
std::string overlaid(const json::Value& first, const json::Value& second) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object();
    for (const json::Member& member : first.members()) {
        const json::Value* newer = second.find(member.key);
        const json::Value& value = newer == nullptr || newer->is_null() ? member.value : *newer;
        writer.member_raw(member.key, value.raw());
    }
    for (const json::Member& member : second.members())
        if (first.find(member.key) == nullptr) writer.member_raw(member.key, member.value.raw());
    writer.end_object();
    return out;
}

}  // namespace

void merge_aside(Asides& asides, std::string_view name, const std::string& json) {
    const auto found = std::ranges::find(asides, name, &Asides::value_type::first);
    if (found == asides.end()) {
        asides.emplace_back(name, json);
        return;
    }
    auto a = json::Document::parse(found->second);
    auto b = json::Document::parse(json);
    if (!a || !b) return;
    if (a->root().is_array() && b->root().is_array()) {
        found->second = joined(a->root(), b->root());
    } else if (name == "logprobs" && a->root().is_object() && b->root().is_object()) {
        std::string out;
        json::Writer writer(out);
        writer.begin_object();
        for (const std::string_view list : {"content", "refusal"}) {
            const json::Value& first = a->root()[list];
            const json::Value& second = b->root()[list];
            if (first.is_array() || second.is_array())
                writer.member_raw(list, joined(first, second));
            else
                writer.member_null(list);
        }
        writer.end_object();
        found->second = std::move(out);
    } else if (a->root().is_object() && b->root().is_object()) {
        found->second = overlaid(a->root(), b->root());
    } else {
        found->second = json;
    }
}

void write_asides(json::Writer& writer, const Asides& asides) {
    for (const auto& [name, json] : asides) writer.member_raw(name, json);
}

std::optional<std::string> fit_aside(
    std::string_view key, const std::string& json, Dropped& dropped) {
    if (key == "service_tier") return fit_service_tier(json, dropped);
    if (key.starts_with(kMessageAside) && key.substr(kMessageAside.size()) == "annotations")
        return fit_annotations(json, dropped);
    return json;
}

std::string_view service_tier_word(std::string_view tier) {
    static constexpr std::array<std::string_view, 6> kWords{
        "auto", "default", "flex", "scale", "priority", "fast"};
    if (tier == "on_demand" || tier == "standard") return "default";
    const auto* const found = std::ranges::find(kWords, tier);
    return found == kWords.end() ? std::string_view() : *found;
}

std::string with_indexes(const std::string& json, std::int64_t& next) {
    const auto document = json::Document::parse(json);
    if (!document || !document->root().is_array()) return json;
    std::string out;
    json::Writer writer(out);
    writer.begin_array();
    for (const json::Value& item : document->root().items()) {
        const auto stated = item["index"].as_int();
        if (stated) next = std::max(next, *stated < (std::int64_t{1} << 20) ? *stated + 1 : 0);
        if (stated || !item.is_object()) {
            writer.raw(item.raw());
            continue;
        }
        writer.begin_object().member("index", next++);
        for (const json::Member& member : item.members())
            if (member.key != "index") writer.member_raw(member.key, member.value.raw());
        writer.end_object();
    }
    writer.end_array();
    return out;
}

}  // namespace entrepot::dialect::openai_chat
