#include "dialect/bedrock_converse/blocks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "dialect/bedrock_converse/bedrock_converse.h"
#include "dialect/bedrock_converse/parts.h"

namespace entrepot::dialect::bedrock_converse {
namespace {

using canon::Item;
using canon::Media;
using canon::Role;
using json::Writer;

constexpr std::size_t kNameBytesMax = 64;  // of a tool and of a call's id

bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
        c == '-';
}

bool is_legal_name(std::string_view name) {
    return !name.empty() && name.size() <= kNameBytesMax && std::ranges::all_of(name, is_name_char);
}

bool is_system(const Item& item) {
    return item.role == Role::kSystem || item.role == Role::kDeveloper;
}

}  // namespace

std::string legal_call_id(std::string_view id) {
    // Bedrock's own replies have ids such as `functions.f:0`, so those may go back.
    const auto is_id_char = [](char c) { return is_name_char(c) || c == '.' || c == ':'; };
    if (!id.empty() && id.size() <= kNameBytesMax && std::ranges::all_of(id, is_id_char))
        return std::string(id);
    std::uint64_t hash = 14695981039346656037U;  // FNV-1a
    for (const char c : id) hash = (hash ^ static_cast<std::uint8_t>(c)) * 1099511628211U;
    return fmt::format("call_{:016x}", hash);
}

Status Loss::lose(std::string_view field, Meaning meaning, std::string_view why) {
    if (policy_ == OnLossy::kRefuse ||
        (policy_ == OnLossy::kMeaning && meaning == Meaning::kChanged))
        return fail_field(ErrorCode::kUnsupported, std::string(field),
            fmt::format("{} cannot be carried to this offer: {}", field, why));
    dropped_.add(field);
    return {};
}

Status check_tool_name(std::string_view field, std::string_view name) {
    if (is_legal_name(name)) return {};
    return fail_field(ErrorCode::kUnsupported, std::string(field),
        fmt::format("Bedrock takes tool names of 1 to 64 letters, digits, '_' and '-', not '{}'",
            excerpt(name)));
}

void write_cache_point(Writer& writer, const canon::CacheMark& mark) {
    writer.begin_object().key("cachePoint").begin_object().member("type", "default");
    if (!mark.ttl.empty()) writer.member("ttl", mark.ttl);
    writer.end_object().end_object();
}

std::string_view last_key(std::string_view path) { return path.substr(path.rfind('.') + 1); }

std::string BlockWriter::path_of(const Item& item) const {
    if (request_.origin == "openai-chat" || request_.origin == "azure-openai")
        return fmt::format("messages[{}]", item.turn);
    if (is_system(item)) return "system";
    // Where the system prompt stands apart it has the first turn.
    const bool has_system_turn = !request_.items.empty() && is_system(request_.items.front());
    return fmt::format("messages[{}]", item.turn - (has_system_turn && item.turn > 0 ? 1 : 0));
}

Result<std::string> BlockWriter::lost(const Item& item, Meaning meaning, std::string_view why) {
    ENTREPOT_TRY_DO(loss_.lose(path_of(item) + ".content", meaning, why));
    return std::string();
}

Status BlockWriter::check_riders(const Item& item) {
    if (!item.author.empty())
        ENTREPOT_TRY_DO(loss_.lose(
            path_of(item) + ".name", Meaning::kKept, "Converse has no names of authors"));
    const bool is_own = request_.origin == kName;
    if (!is_own)
        for (const canon::Extra& extra : item.extras)
            ENTREPOT_TRY_DO(loss_.lose(extra.path, Meaning::kKept, "Converse has no such field"));
    if (item.signature && item.signature->origin != kName)
        ENTREPOT_TRY_DO(loss_.lose(path_of(item) + ".signature", Meaning::kKept,
            fmt::format("the proof is {}'s own", item.signature->origin)));
    return {};
}

void BlockWriter::write_own_extras(const Item& item, Writer& writer) const {
    if (request_.origin != kName) return;
    for (const canon::Extra& extra : item.extras)
        if (extra.path.find(".s3Location.") == std::string::npos)
            writer.member_raw(last_key(extra.path), extra.json);
}

Result<std::string> BlockWriter::text_block(const Item& item, std::string_view text) {
    if (request_.origin == kName)
        for (const canon::Extra& extra : item.extras)
            if (last_key(extra.path) == "citationsContent")
                return fmt::format(R"({{"citationsContent":{}}})", extra.json);
    // Bedrock refuses blank text, and it says nothing to the model. What a Converse client sent is
    // its own affair.
    if (request_.origin == kName ? text.empty() : trim(text).empty()) return std::string();
    return fmt::format(R"({{"text":{}}})", json::quoted(text));
}

/// Letters, digits, single spaces, hyphens, parentheses, brackets; and no two documents of one
/// name.
std::string BlockWriter::legal_document_name(std::string_view name) {
    std::string legal;
    for (const char c : name) {
        const bool is_legal =
            is_name_char(c) || std::string_view(" ()[]-").find(c) != std::string_view::npos;
        const char put = is_legal ? c : '-';
        if (put == ' ' && legal.ends_with(' ')) continue;
        legal += put;
    }
    legal = trim(legal.substr(0, 190));
    if (legal.empty()) legal = "document";
    std::string unique = legal;
    for (int n = 2; !document_names_.insert(unique).second; ++n)
        unique = fmt::format("{} ({})", legal, n);
    return unique;
}

Result<std::string> BlockWriter::media_block(const Item& item, const Media& media) {
    const std::string_view block = block_name(media.kind);
    std::string_view format = format_of(media);
    if (format.empty() && media.kind == Media::Kind::kDocument &&
        media.source == Media::Source::kText)
        format = "txt";
    if (format.empty() && request_.origin == kName && !media.media_type.empty())
        format = std::string_view(media.media_type).substr(media.media_type.find('/') + 1);
    if (media.source == Media::Source::kUrl || media.source == Media::Source::kFileId)
        return lost(item, Meaning::kChanged,
            fmt::format("Converse takes {}s as base64 data or from S3, not by {}", block,
                media.source == Media::Source::kUrl ? "URL" : "file id"));
    if (media.source == Media::Source::kStorage && !media.data.starts_with("s3://"))
        return lost(item, Meaning::kChanged, "Converse reads from S3 and no other store");
    if (format.empty())
        return lost(item, Meaning::kChanged,
            fmt::format("Converse takes no {} of type '{}'", block, excerpt(media.media_type)));
    if (!media.detail.empty() && media.detail != "auto")
        ENTREPOT_TRY_DO(loss_.lose(path_of(item) + ".content.image_url.detail", Meaning::kKept,
            "Converse has no detail of images"));
    std::string out;
    Writer writer(out);
    writer.begin_object().key(block).begin_object();
    writer.member("format", format);
    if (media.kind == Media::Kind::kDocument)
        writer.member("name", legal_document_name(media.name));
    writer.key("source").begin_object();
    switch (media.source) {
        case Media::Source::kText: writer.member("text", media.data); break;
        case Media::Source::kStorage: {
            writer.key("s3Location").begin_object().member("uri", media.data);
            if (request_.origin == kName)
                for (const canon::Extra& extra : item.extras)
                    if (extra.path.find(".s3Location.") != std::string::npos)
                        writer.member_raw(last_key(extra.path), extra.json);
            writer.end_object();
            break;
        }
        default: writer.member("bytes", media.data);
    }
    writer.end_object();
    write_own_extras(item, writer);
    writer.end_object().end_object();
    return out;
}

Result<std::string> BlockWriter::call_block(const Item& item, const canon::ToolCall& call) {
    const std::string path = path_of(item) + ".tool_calls";
    if (call.is_custom)
        return lost(item, Meaning::kChanged, "Converse has no calls with free-form input");
    ENTREPOT_TRY_DO(check_tool_name(path + ".function.name", call.name));
    std::string_view input = call.arguments;
    if (!is_object(input)) {
        ENTREPOT_TRY_DO(loss_.lose(path + ".function.arguments", Meaning::kChanged,
            "Converse takes the arguments of a call as a JSON object only"));
        input = "{}";
    }
    if (std::ranges::find(tool_names_, call.name) == tool_names_.end())
        tool_names_.push_back(call.name);
    std::string out;
    Writer writer(out);
    writer.begin_object().key("toolUse").begin_object();
    writer.member("toolUseId", legal_call_id(call.id));
    writer.member("name", call.name);
    writer.member_raw("input", input);
    write_own_extras(item, writer);
    writer.end_object().end_object();
    return out;
}

Result<std::string> BlockWriter::result_block(const Item& item, const canon::ToolResult& result) {
    std::string out;
    Writer writer(out);
    writer.begin_object().key("toolResult").begin_object();
    writer.member("toolUseId", legal_call_id(result.call_id));
    writer.key("content").begin_array();
    for (const Item& part : result.content) {
        Item placed = part;  // a part of a result has the result's place
        placed.turn = item.turn;
        ENTREPOT_TRY(const std::string written, block(placed, true));
        if (!written.empty()) writer.raw(written);
    }
    writer.end_array();
    if (result.is_error) writer.member("status", "error");
    write_own_extras(item, writer);
    writer.end_object().end_object();
    return out;
}

Result<std::string> BlockWriter::thought_block(const Item& item, const canon::Thought& thought) {
    const bool is_ours = item.signature && item.signature->origin == kName;
    if (thought.is_redacted) {
        if (!is_ours) return lost(item, Meaning::kKept, "another supplier's hidden reasoning");
        return fmt::format(R"({{"reasoningContent":{{"redactedContent":{}}}}})",
            json::quoted(item.signature->data));
    }
    // Reasoning without Bedrock's own proof is refused by the models that sign.
    if (!is_ours && (request_.origin != kName || item.signature || must_be_signed_)) {
        ENTREPOT_TRY_DO(loss_.lose(path_of(item) + ".reasoning_content", Meaning::kKept,
            "Converse takes back reasoning that it signed itself"));
        return std::string();
    }
    std::string out;
    Writer writer(out);
    writer.begin_object().key("reasoningContent").begin_object();
    writer.key("reasoningText").begin_object().member("text", thought.text);
    if (is_ours) writer.member("signature", item.signature->data);
    writer.end_object().end_object().end_object();
    return out;
}

Result<std::string> BlockWriter::block(const Item& item, bool in_result) {
    if (const auto* text = std::get_if<canon::Text>(&item.body)) {
        if (in_result && text->is_json) return fmt::format(R"({{"json":{}}})", text->text);
        return text_block(item, text->text);
    }
    if (const auto* refusal = std::get_if<canon::Refusal>(&item.body))
        return text_block(item, refusal->text);
    if (const auto* media = std::get_if<Media>(&item.body)) return media_block(item, *media);
    if (const auto* own = std::get_if<canon::Opaque>(&item.body)) {
        if (own->origin == kName) return own->json;
        return lost(item, Meaning::kChanged,
            fmt::format("'{}' is known to {} alone", excerpt(own->kind), own->origin));
    }
    if (in_result)
        return lost(item, Meaning::kChanged, "Converse has no such part in a tool's result");
    if (const auto* call = std::get_if<canon::ToolCall>(&item.body)) return call_block(item, *call);
    if (const auto* result = std::get_if<canon::ToolResult>(&item.body))
        return result_block(item, *result);
    return thought_block(item, std::get<canon::Thought>(item.body));
}

Status BlockWriter::append_item(const Item& item, std::vector<std::string>& out) {
    if (!std::holds_alternative<canon::Thought>(item.body)) ENTREPOT_TRY_DO(check_riders(item));
    ENTREPOT_TRY(std::string written, block(item, false));
    if (!written.empty()) out.push_back(std::move(written));
    if (item.cache && !out.empty()) {
        std::string point;
        Writer writer(point);
        write_cache_point(writer, *item.cache);
        out.push_back(std::move(point));
    }
    return {};
}

Result<Conversation> BlockWriter::write() {
    std::vector<std::string> system;
    std::vector<Turn> turns;
    for (const Item& item : request_.items) {
        if (is_system(item) && turns.empty()) {
            if (std::holds_alternative<Media>(item.body)) {
                ENTREPOT_TRY_DO(
                    lost(item, Meaning::kChanged, "Converse's system prompt is text alone"));
                continue;
            }
            ENTREPOT_TRY_DO(append_item(item, system));
            continue;
        }
        // A system turn in mid-conversation keeps its place, as the user's words: moved to the
        // front it would mean something else, and the cached prefix would break.
        if (is_system(item))
            ENTREPOT_TRY_DO(loss_.lose(path_of(item) + ".role", Meaning::kKept,
                "Converse has no system turns inside a conversation; it goes as the user's"));
        const bool is_user = item.role != Role::kAssistant;
        std::vector<std::string> written;
        ENTREPOT_TRY_DO(append_item(item, written));
        if (written.empty()) continue;
        if (turns.empty() && !is_user && request_.origin != kName) {
            ENTREPOT_TRY_DO(loss_.lose(path_of(item), Meaning::kChanged,
                "Converse wants the user to begin the conversation"));
            continue;
        }
        // What a Converse client sent keeps its turns and their order: how it is joined is
        // Bedrock's affair.
        const bool is_own = request_.origin == kName;
        if (turns.empty() || turns.back().is_user != is_user ||
            (is_own && turns.back().number != item.turn))
            turns.push_back({.is_user = is_user, .number = item.turn});
        Turn& turn = turns.back();
        const bool is_result = !is_own && std::holds_alternative<canon::ToolResult>(item.body);
        auto& into = is_result ? turn.results : turn.blocks;
        for (std::string& text : written) into.push_back(std::move(text));
    }
    if (turns.empty())
        return fail_field(ErrorCode::kInvalidField, "messages",
            "messages hold nothing that can be sent: a user's text must not be blank");
    Conversation out;
    Writer system_writer(out.system);
    system_writer.begin_array();
    for (const std::string& text : system) system_writer.raw(text);
    system_writer.end_array();
    Writer writer(out.messages);
    writer.begin_array();
    for (const Turn& turn : turns) {
        writer.begin_object().member("role", turn.is_user ? "user" : "assistant");
        writer.key("content").begin_array();
        for (const std::string& text : turn.results) writer.raw(text);
        for (const std::string& text : turn.blocks) writer.raw(text);
        writer.end_array().end_object();
    }
    writer.end_array();
    out.tool_names = std::move(tool_names_);
    return out;
}

}  // namespace entrepot::dialect::bedrock_converse
