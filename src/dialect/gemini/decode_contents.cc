#include <array>
#include <deque>
#include <unordered_map>

#include "dialect/gemini/decode.h"
#include "dialect/gemini/gemini.h"
#include "dialect/gemini/parts.h"
#include "dialect/google_file.h"

namespace entrepot::dialect::gemini {
namespace {

using canon::Item;
using canon::Media;
using canon::Role;
using json::Value;

// Of a part, beside the one member that says what it is.
constexpr std::array<std::string_view, 5> kRiders{
    "thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"};

bool is_rider(std::string_view key) {
    return std::ranges::any_of(kRiders, [&](std::string_view name) { return spells(key, name); });
}

/// Calls that wait for their result. Most clients of Google's give them no id: results then find
/// their call by name, the first one first.
class Calls {
public:
    /// A new answer of the model begins: what nobody answered before will not be answered now.
    void forget() {
        calls_.clear();
        by_name_.clear();
        by_id_.clear();
    }
    void add(std::string id, const std::string& name) {
        by_name_[name].push_back(calls_.size());
        by_id_[id] = calls_.size();
        calls_.push_back({std::move(id), false});
    }
    /// The id of the call that a result of that name, and perhaps id, answers.
    std::string answer(std::string_view id, const std::string& name) {
        if (!id.empty()) {
            if (const auto found = by_id_.find(std::string(id)); found != by_id_.end()) {
                calls_[found->second].is_answered = true;
                return std::string(id);
            }
        }
        std::deque<std::size_t>& waiting = by_name_[name];
        while (!waiting.empty() && calls_[waiting.front()].is_answered) waiting.pop_front();
        // A result with an id belongs to a call without one, if to any.
        if (waiting.empty() || (!id.empty() && !calls_[waiting.front()].id.starts_with(kMadeUpId)))
            return std::string(id);
        Call& call = calls_[waiting.front()];
        call.is_answered = true;
        return call.id;
    }

private:
    struct Call {
        std::string id;
        bool is_answered;
    };
    std::vector<Call> calls_;
    std::unordered_map<std::string, std::deque<std::size_t>> by_name_;
    std::unordered_map<std::string, std::size_t> by_id_;
};

Status decode_inline(const Value& value, const std::string& path, Item& item) {
    if (!value.is_object()) return wrong(path, value, "an object");
    Media media;
    media.media_type = get(value, "mimeType").string();
    media.kind = media_kind(media.media_type);
    const Value& data = get(value, "data");
    if (!data.is_string()) return wrong(path + ".data", data, "a string with base64");
    media.data = data.string();
    media.name = get(value, "displayName").string();
    keep_rest(value, path, {"mimeType", "data", "displayName"}, item.extras);
    item.body = std::move(media);
    return {};
}

Status decode_file(const Value& value, const std::string& path, Item& item) {
    if (!value.is_object()) return wrong(path, value, "an object");
    const Value& uri = get(value, "fileUri");
    if (!uri.is_string()) return wrong(path + ".fileUri", uri, "a string");
    Media media;
    media.media_type = get(value, "mimeType").string();
    media.source = source_of(uri.string());
    media.data = uri.string();
    const bool is_film = media.data.find("youtube.com/") != std::string::npos ||
        media.data.find("youtu.be/") != std::string::npos;
    media.kind =
        media.media_type.empty() && is_film ? Media::Kind::kVideo : media_kind(media.media_type);
    media.name = get(value, "displayName").string();
    keep_rest(value, path, {"mimeType", "fileUri", "displayName"}, item.extras);
    item.body = std::move(media);
    return {};
}

/// A result's object as canon has results. `{"output": text}` and `{"error": text}` are Google's
/// own words for a plain text; anything else is said as JSON.
void decode_response(const Value& response, canon::ToolResult& result) {
    Item part;
    part.role = Role::kTool;
    canon::Text text{std::string(response.is_null() ? "{}" : response.raw()), true};
    if (response.members().size() == 1) {
        const json::Member& only = response.members().front();
        result.is_error = only.key == "error";
        const bool is_word = only.key == "output" || only.key == "error";
        if (is_word && only.value.is_string() && !is_object(only.value.string()))
            text = canon::Text{std::string(only.value.string())};
    }
    part.body = std::move(text);
    result.content.push_back(std::move(part));
}

class ContentsReader {
public:
    explicit ContentsReader(canon::Request& request) : request_(request) {}

    Status read(const Value& contents) {
        const std::span<const Value> list = items_of(contents);
        if (list.empty()) return wrong("contents", contents, "an array of at least one content");
        const std::size_t first = request_.items.size();
        turn_ = request_.items.empty() ? 0 : 1;
        for (std::size_t i = 0; i < list.size(); ++i, ++turn_)
            ENTREPOT_TRY_DO(read_content(list[i], fmt::format("contents[{}]", i)));
        if (request_.items.size() == first)
            return fail_field(ErrorCode::kInvalidField, "contents",
                "contents hold no parts; at least one must be there");
        return {};
    }

    Status read_parts(const Value& content, const std::string& path, Role role) {
        if (!content.is_object()) return wrong(path, content, "an object with 'parts'");
        const std::span<const Value> parts = items_of(get(content, "parts"));
        for (std::size_t i = 0; i < parts.size(); ++i)
            ENTREPOT_TRY_DO(read_part(parts[i], fmt::format("{}.parts[{}]", path, i), role));
        return {};
    }

private:
    Status read_content(const Value& content, const std::string& path) {
        const Value& named = get(content, "role");
        if (!named.is_null() && !named.is_string())
            return wrong(path + ".role", named, "'user' or 'model'");
        const std::string_view word = named.string();
        Role role = Role::kUser;
        if (word == "model") {
            role = Role::kAssistant;
        } else if (word != "user" && word != "function" && word != "tool" && !word.empty()) {
            return wrong(path + ".role", named, "'user' or 'model'");
        }
        if (role != Role::kAssistant) is_answering_ = true;
        return read_parts(content, path, role);
    }

    Status read_part(const Value& part, const std::string& path, Role role) {
        if (!part.is_object()) return wrong(path, part, "an object");
        const json::Member* kind = nullptr;
        for (const json::Member& member : part.members())
            if (kind == nullptr && !member.value.is_null() && !is_rider(member.key)) kind = &member;
        Item item;
        item.role = role;
        item.turn = turn_;
        Sealed sealed;
        if (const Value& signature = get(part, "thoughtSignature"); !signature.string().empty()) {
            sealed = read_signature(signature.string());
            if (sealed.signature.origin != kOrigin) request_.holds_sealed = true;
            if (sealed.signature.origin == kNobody)
                item.marks.push_back(
                    {std::string(kMadeElsewhereMark), "true", std::string(kOrigin)});
            else
                item.signature = sealed.signature;
        }
        if (kind == nullptr && !item.signature)
            return fail_field(ErrorCode::kInvalidField, path,
                fmt::format("{} must have one of text, inlineData, fileData, functionCall, "
                            "functionResponse, executableCode, codeExecutionResult",
                    path));
        ENTREPOT_TRY_DO(read_kind(part, kind, path, item));
        if (!std::holds_alternative<canon::Opaque>(item.body))
            for (const std::string_view rider :
                {"videoMetadata", "mediaResolution", "partMetadata"})
                if (const Value* value = find(part, rider))
                    item.extras.push_back(
                        {fmt::format("{}.{}", path, rider), std::string(value->raw())});
        if (auto* thought = std::get_if<canon::Thought>(&item.body);
            thought != nullptr && item.signature && item.signature->origin != kOrigin) {
            thought->is_redacted = sealed.of == Sealed::Of::kRedacted;
            if (!thought->is_redacted && thought->text.empty()) gather_thought(*thought);
        }
        request_.items.push_back(std::move(item));
        return {};
    }

    /// A stream said another maker's thought piece by piece, and its signature last; the two belong
    /// together.
    void gather_thought(canon::Thought& thought) {
        while (!request_.items.empty()) {
            const Item& before = request_.items.back();
            const auto* piece = std::get_if<canon::Thought>(&before.body);
            if (piece == nullptr || before.signature || before.role != Role::kAssistant) return;
            thought.text.insert(0, piece->text);
            request_.items.pop_back();
        }
    }

    Status read_kind(
        const Value& part, const json::Member* kind, const std::string& path, Item& item) {
        const std::string name = kind == nullptr ? "text" : camel_of(kind->key);
        const std::string where = fmt::format("{}.{}", path, name);
        if (name == "text") {
            if (kind != nullptr && !kind->value.is_string())
                return wrong(where, kind->value, "a string");
            std::string text(kind == nullptr ? std::string_view() : kind->value.string());
            if (get(part, "thought").as_bool().value_or(false))
                item.body = canon::Thought{std::move(text)};
            else
                item.body = canon::Text{std::move(text)};
            return {};
        }
        if (name == "inlineData") return decode_inline(kind->value, where, item);
        if (name == "fileData") return decode_file(kind->value, where, item);
        if (name == "functionCall") return read_call(kind->value, where, item);
        if (name == "functionResponse") return read_response(kind->value, where, item);
        std::string json;
        json::Writer writer(json);
        writer.begin_object().member_raw(name, kind->value.raw());
        for (const json::Member& member : part.members())
            if (&member != kind && !member.value.is_null() &&
                !spells(member.key, "thoughtSignature"))
                writer.member_raw(camel_of(member.key), member.value.raw());
        writer.end_object();
        item.body = canon::Opaque{std::string(kOrigin), name, std::move(json)};
        return {};
    }

    Status read_call(const Value& value, const std::string& path, Item& item) {
        if (!value.is_object()) return wrong(path, value, "an object");
        const Value& name = get(value, "name");
        if (!name.is_string()) return wrong(path + ".name", name, "a string");
        const Value& args = get(value, "args");
        if (!args.is_null() && !args.is_object()) return wrong(path + ".args", args, "an object");
        if (is_answering_) calls_.forget();
        is_answering_ = false;
        canon::ToolCall call;
        call.name = name.string();
        call.id = get(value, "id").string();
        if (call.id.empty())
            call.id = fmt::format("{}{}_{}", kMadeUpId, turn_, request_.items.size());
        call.arguments = args.is_null() ? "{}" : args.raw();
        calls_.add(call.id, call.name);
        keep_rest(value, path, {"id", "name", "args"}, item.extras);
        item.body = std::move(call);
        return {};
    }

    Status read_response(const Value& value, const std::string& path, Item& item) {
        if (!value.is_object()) return wrong(path, value, "an object");
        const Value& name = get(value, "name");
        if (!name.is_string()) return wrong(path + ".name", name, "a string");
        const Value& response = get(value, "response");
        if (!response.is_null() && !response.is_object())
            return wrong(path + ".response", response, "an object");
        canon::ToolResult result;
        result.name = name.string();
        result.call_id = calls_.answer(get(value, "id").string(), result.name);
        if (result.call_id.empty())
            result.call_id = fmt::format("{}{}_{}", kMadeUpId, turn_, request_.items.size());
        // Said by name alone, it goes back to Google by name alone.
        if (get(value, "id").string().empty()) item.marks.push_back({"id", "null"});
        decode_response(response, result);
        const std::span<const Value> parts = items_of(get(value, "parts"));
        for (std::size_t i = 0; i < parts.size(); ++i) {
            const std::string where = fmt::format("{}.parts[{}]", path, i);
            Item seen;
            seen.role = Role::kTool;
            seen.turn = turn_;
            if (const Value* data = find(parts[i], "inlineData")) {
                ENTREPOT_TRY_DO(decode_inline(*data, where + ".inlineData", seen));
            } else if (const Value* file = find(parts[i], "fileData")) {
                ENTREPOT_TRY_DO(decode_file(*file, where + ".fileData", seen));
            } else {
                return wrong(where, parts[i], "an object with inlineData or fileData");
            }
            result.content.push_back(std::move(seen));
        }
        keep_rest(value, path, {"id", "name", "response", "parts"}, item.extras);
        item.role = Role::kTool;
        item.body = std::move(result);
        return {};
    }

    canon::Request& request_;
    Calls calls_;
    std::uint32_t turn_ = 0;
    bool is_answering_ = false;  // a turn of the client stands behind the last calls
};

}  // namespace

Media::Source source_of(std::string_view uri) {
    if (uri.starts_with("gs://")) return Media::Source::kStorage;
    // Files of one account of one supplier.
    if (!google_file_name(uri).empty()) return Media::Source::kFileId;
    return Media::Source::kUrl;
}

Status decode_system(const Value& instruction, canon::Request& request) {
    return ContentsReader(request).read_parts(instruction, "systemInstruction", Role::kSystem);
}

Status decode_contents(const Value& contents, canon::Request& request) {
    return ContentsReader(request).read(contents);
}

}  // namespace entrepot::dialect::gemini
