#include "dialect/gemini/encode_contents.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "dialect/gemini/gemini.h"
#include "dialect/google_file.h"

namespace entrepot::dialect::gemini {
namespace {

using canon::Item;
using canon::Media;
using canon::Role;
using json::Writer;

// Google's word for "this call was made elsewhere": newer models refuse a call without a signature,
// and a conversation that comes from another supplier has none.
constexpr std::string_view kMadeElsewhere = "skip_thought_signature_validator";

bool is_system(const Item& item) {
    return item.role == Role::kSystem || item.role == Role::kDeveloper;
}

struct Sniff {
    std::string_view start;
    std::string_view type;
};
// What base64 begins with when the file begins with its format's mark.
constexpr std::array kSniffs{Sniff{"iVBORw", "image/png"}, Sniff{"/9j/", "image/jpeg"},
    Sniff{"R0lGOD", "image/gif"}, Sniff{"JVBERi", "application/pdf"}, Sniff{"T2dnUw", "audio/ogg"},
    Sniff{"SUQz", "audio/mpeg"}};
constexpr std::array kEndings{Sniff{".png", "image/png"}, Sniff{".jpg", "image/jpeg"},
    Sniff{".jpeg", "image/jpeg"}, Sniff{".webp", "image/webp"}, Sniff{".gif", "image/gif"},
    Sniff{".heic", "image/heic"}, Sniff{".pdf", "application/pdf"}, Sniff{".txt", "text/plain"},
    Sniff{".md", "text/markdown"}, Sniff{".html", "text/html"}, Sniff{".csv", "text/csv"},
    Sniff{".mp3", "audio/mpeg"}, Sniff{".wav", "audio/wav"}, Sniff{".ogg", "audio/ogg"},
    Sniff{".flac", "audio/flac"}, Sniff{".mp4", "video/mp4"}, Sniff{".mov", "video/quicktime"},
    Sniff{".webm", "video/webm"}};

/// The type that Google is told: as the origin says, in the usual spelling; else as the data or the
/// name shows; else the commonest of its kind, since Vertex takes no part without.
std::string media_type_of(const Media& media) {
    const std::string type = to_lower(trim(media.media_type));
    if (type == "image/jpg") return "image/jpeg";
    if (type == "audio/x-wav" || type == "audio/wave") return "audio/wav";
    if (!type.empty() && !type.ends_with("/*")) return std::string(media.media_type);
    if (media.source == Media::Source::kBase64) {
        for (const Sniff& sniff : kSniffs)
            if (media.data.starts_with(sniff.start)) return std::string(sniff.type);
        if (media.data.starts_with("UklGR"))  // both are RIFF files
            return media.kind == Media::Kind::kAudio ? "audio/wav" : "image/webp";
    } else {
        const std::string path = to_lower(media.data.substr(0, media.data.find_first_of("?#")));
        for (const Sniff& ending : kEndings)
            if (path.ends_with(ending.start)) return std::string(ending.type);
    }
    switch (media.kind) {
        case Media::Kind::kImage: return "image/jpeg";
        case Media::Kind::kAudio: return "audio/wav";
        case Media::Kind::kVideo: return "video/mp4";
        case Media::Kind::kDocument: return "application/pdf";
    }
    return "application/octet-stream";
}

}  // namespace

std::string ContentsWriter::path_of(const Item& item) const {
    if (request_.origin == "openai-chat" || request_.origin == "azure-openai")
        return fmt::format("messages[{}]", item.turn);
    if (is_system(item)) return is_own_ ? "systemInstruction" : "system";
    // Where the system prompt stands apart it has the first turn.
    const bool has_system_turn = !request_.items.empty() && is_system(request_.items.front());
    return fmt::format("{}[{}]", is_own_ ? "contents" : "messages",
        item.turn - (has_system_turn && item.turn > 0 ? 1 : 0));
}

Result<std::string> ContentsWriter::lost(const Item& item, Meaning meaning, std::string_view why) {
    ENTREPOT_TRY_DO(loss_.lose(path_of(item) + ".content", meaning, why));
    return std::string();
}

Status ContentsWriter::check_riders(const Item& item) {
    if (!item.author.empty())
        ENTREPOT_TRY_DO(
            loss_.lose(path_of(item) + ".name", Meaning::kKept, "Gemini has no names of authors"));
    if (item.cache)
        ENTREPOT_TRY_DO(loss_.lose(
            path_of(item) + ".cache_control", Meaning::kKept, "Gemini caches prefixes by itself"));
    if (!is_own_)
        for (const canon::Extra& extra : item.extras)
            ENTREPOT_TRY_DO(loss_.lose(extra.path, Meaning::kKept, "Gemini has no such field"));
    if (item.signature && item.signature->origin != kOrigin &&
        !std::holds_alternative<canon::Thought>(item.body))
        ENTREPOT_TRY_DO(loss_.lose(path_of(item) + ".signature", Meaning::kKept,
            fmt::format("the proof is {}'s own", item.signature->origin)));
    return {};
}

void ContentsWriter::write_extras(Writer& writer, const Item& item, std::string_view inside) {
    if (!is_own_) return;
    for (const canon::Extra& extra : item.extras) {
        const std::string_view key = last_key(extra.path);
        const std::string_view parent =
            std::string_view(extra.path).substr(0, extra.path.size() - key.size() - 1);
        if (inside.empty() ? parent.ends_with(']') : last_key(parent) == inside)
            writer.member_raw(key, extra.json);
    }
}

void ContentsWriter::write_signature(Writer& writer, const Item& item) {
    if (item.signature && item.signature->origin == kOrigin)
        writer.member("thoughtSignature", item.signature->data);
}

std::string ContentsWriter::text_part(const Item& item, std::string_view text) {
    const bool is_signed = item.signature && item.signature->origin == kOrigin;
    // An empty text says nothing, and is refused.
    if (text.empty() && !is_own_ && !is_signed) return {};
    std::string out;
    Writer writer(out);
    writer.begin_object().member("text", text);
    write_signature(writer, item);
    write_extras(writer, item, {});
    writer.end_object();
    return out;
}

Result<std::string> ContentsWriter::media_part(const Item& item, const Media& media) {
    if (!media.detail.empty() && media.detail != "auto")
        ENTREPOT_TRY_DO(loss_.lose(path_of(item) + ".content.image_url.detail", Meaning::kKept,
            "Gemini has no such detail of images"));
    if (!media.name.empty() && !is_own_)
        ENTREPOT_TRY_DO(loss_.lose(path_of(item) + ".content.filename", Meaning::kKept,
            "Gemini is not told the names of files"));
    // A URL of Google's store too: the supplier would look there with our account's eyes.
    if (!is_own_ &&
        (media.source == Media::Source::kFileId ||
            (media.source == Media::Source::kUrl && !google_file_name(media.data).empty())))
        return lost(item, Meaning::kChanged, "the file lives in another supplier's store");
    if (media.source == Media::Source::kStorage && !media.data.starts_with("gs://"))
        return lost(item, Meaning::kChanged, "Google reads from its own store and no other");
    const bool is_inline =
        media.source == Media::Source::kBase64 || media.source == Media::Source::kText;
    const std::string_view kind = is_inline ? "inlineData" : "fileData";
    std::string out;
    Writer writer(out);
    writer.begin_object().key(kind).begin_object();
    if (is_own_) {
        if (!media.media_type.empty()) writer.member("mimeType", media.media_type);
    } else {
        writer.member(
            "mimeType", media.source == Media::Source::kText ? "text/plain" : media_type_of(media));
    }
    if (media.source == Media::Source::kText)
        writer.member("data", base64_encode(media.data));
    else
        writer.member(is_inline ? "data" : "fileUri", media.data);
    if (is_own_ && !media.name.empty()) writer.member("displayName", media.name);
    write_extras(writer, item, kind);
    writer.end_object();
    write_signature(writer, item);
    write_extras(writer, item, {});
    writer.end_object();
    return out;
}

Result<std::string> ContentsWriter::call_part(
    const Item& item, const canon::ToolCall& call, Turn& turn) {
    const std::string path = path_of(item) + ".tool_calls";
    if (call.is_custom)
        return lost(item, Meaning::kChanged, "Gemini has no calls with free-form input");
    std::string_view args = call.arguments;
    if (!is_object(args)) {
        ENTREPOT_TRY_DO(loss_.lose(path + ".function.arguments", Meaning::kChanged,
            "Gemini takes the arguments of a call as a JSON object only"));
        args = "{}";
    }
    calls_.insert_or_assign(call.id, Called{call.name, turn.parts.size()});
    std::string out;
    Writer writer(out);
    writer.begin_object().key("functionCall").begin_object();
    // Vertex' first version knows no ids; it matches by name and order.
    if (!call.id.empty() && !call.id.starts_with(kMadeUpId) &&
        (is_own_ || service_ == Service::kGemini))
        writer.member("id", call.id);
    writer.member("name", call.name).member_raw("args", args);
    write_extras(writer, item, "functionCall");
    writer.end_object();
    const bool is_signed = item.signature && item.signature->origin == kOrigin;
    const bool is_from_elsewhere = !is_own_ ||
        std::ranges::find(item.marks, kMadeElsewhereMark, &canon::Extra::path) != item.marks.end();
    if (!is_signed && is_from_elsewhere && !turn.has_call && model_.wants_signatures())
        writer.member("thoughtSignature", kMadeElsewhere);
    write_signature(writer, item);
    write_extras(writer, item, {});
    writer.end_object();
    turn.has_call = true;
    return out;
}

Result<std::string> ContentsWriter::response_part(
    const Item& item, const canon::ToolResult& result, Turn& turn) {
    const auto called = calls_.find(result.call_id);
    const std::string& name = called != calls_.end() ? called->second.name : result.name;
    if (name.empty())
        return Loss::refuse(path_of(item) + ".tool_call_id",
            fmt::format("Gemini matches results by the name of the tool, and no call before has "
                        "the id '{}'",
                excerpt(result.call_id)));
    std::vector<const canon::Text*> texts;
    std::vector<std::string> media;
    for (const Item& part : result.content) {
        Item placed = part;  // a part of a result has the result's place
        placed.turn = item.turn;
        placed.role = Role::kTool;
        ENTREPOT_TRY_DO(check_riders(placed));
        if (const auto* text = std::get_if<canon::Text>(&part.body)) {
            texts.push_back(text);
        } else if (const auto* seen = std::get_if<Media>(&part.body)) {
            ENTREPOT_TRY(std::string written, media_part(placed, *seen));
            if (!written.empty()) media.push_back(std::move(written));
        } else {
            ENTREPOT_TRY_DO(
                lost(item, Meaning::kChanged, "Gemini has no such part in a tool's result"));
        }
    }
    std::string out;
    Writer writer(out);
    writer.begin_object().key("functionResponse").begin_object();
    const bool is_named_only =
        std::ranges::any_of(item.marks, [](const canon::Extra& mark) { return mark.path == "id"; });
    if (!result.call_id.empty() && !result.call_id.starts_with(kMadeUpId) &&
        (is_own_ ? !is_named_only : service_ == Service::kGemini))
        writer.member("id", result.call_id);
    writer.member("name", name);
    writer.key("response");
    const std::string_view word = result.is_error ? "error" : "output";
    const auto is_said = [&](std::string_view text) {  // an object that says it already
        const auto parsed = json::Document::parse(std::string(text));
        return parsed && parsed->root().is_object() &&
            (!result.is_error || parsed->root().find("error") != nullptr);
    };
    const auto write_text = [&](const canon::Text& text) {
        if (text.is_json || is_object(text.text))
            writer.raw(text.text);
        else
            writer.string(text.text);
    };
    if (texts.empty()) {
        writer.raw("{}");
    } else if (texts.size() == 1 && is_said(texts.front()->text)) {
        writer.raw(texts.front()->text);
    } else if (texts.size() == 1) {
        writer.begin_object().key(word);
        write_text(*texts.front());
        writer.end_object();
    } else {
        writer.begin_object().key(word).begin_array();
        for (const canon::Text* text : texts) write_text(*text);
        writer.end_array().end_object();
    }
    const bool holds_media = is_own_ || model_.takes_media_in_results();
    if (!media.empty() && holds_media) {
        writer.key("parts").begin_array();
        for (const std::string& part : media) writer.raw(part);
        writer.end_array();
    }
    write_extras(writer, item, "functionResponse");
    writer.end_object();
    write_signature(writer, item);
    write_extras(writer, item, {});
    writer.end_object();
    if (is_own_) return out;
    turn.responses.push_back({called != calls_.end() ? called->second.order : 0, std::move(out)});
    if (!holds_media)
        for (std::string& part : media) turn.parts.push_back(std::move(part));
    return std::string();
}

Result<std::string> ContentsWriter::thought_part(const Item& item, const canon::Thought& thought) {
    const bool is_signed = item.signature && item.signature->origin == kOrigin;
    if (!is_signed && !is_own_) {
        ENTREPOT_TRY_DO(loss_.lose(path_of(item) + ".reasoning_content", Meaning::kKept,
            "Gemini takes back thoughts of its own"));
        return std::string();
    }
    std::string out;
    Writer writer(out);
    writer.begin_object().member("text", thought.text).member_bool("thought", true);
    write_signature(writer, item);
    write_extras(writer, item, {});
    writer.end_object();
    return out;
}

Result<std::string> ContentsWriter::part_of(const Item& item, Turn& turn) {
    if (const auto* text = std::get_if<canon::Text>(&item.body)) return text_part(item, text->text);
    if (const auto* refusal = std::get_if<canon::Refusal>(&item.body))
        return text_part(item, refusal->text);
    if (const auto* media = std::get_if<Media>(&item.body)) return media_part(item, *media);
    if (const auto* call = std::get_if<canon::ToolCall>(&item.body))
        return call_part(item, *call, turn);
    if (const auto* result = std::get_if<canon::ToolResult>(&item.body))
        return response_part(item, *result, turn);
    if (const auto* thought = std::get_if<canon::Thought>(&item.body))
        return thought_part(item, *thought);
    const auto& own = std::get<canon::Opaque>(item.body);
    if (own.origin != kOrigin)
        return lost(item, Meaning::kChanged,
            fmt::format("'{}' is known to {} alone", excerpt(own.kind), own.origin));
    if (!item.signature) return own.json;
    const auto parsed = json::Document::parse(own.json);
    std::string out;
    Writer writer(out);
    writer.begin_object();
    if (parsed)
        for (const json::Member& member : parsed->root().members())
            writer.member_raw(member.key, member.value.raw());
    write_signature(writer, item);
    writer.end_object();
    return out;
}

ContentsWriter::Turn& ContentsWriter::turn_for(const Item& item) {
    const bool is_model = item.role == Role::kAssistant;
    // What Google's client sent stays in its contents; others are merged, so that roles alternate
    // and all results of a turn stand in one.
    const bool continues = !turns_.empty() && turns_.back().is_model == is_model &&
        (!is_own_ || turns_.back().turn == item.turn);
    if (!continues) turns_.push_back({.is_model = is_model, .turn = item.turn});
    return turns_.back();
}

Status ContentsWriter::add(const Item& item) {
    ENTREPOT_TRY_DO(check_riders(item));
    // A system turn in mid-conversation keeps its place, as the user's words: moved to the front it
    // would mean something else, and the cached prefix would break.
    if (is_system(item))
        ENTREPOT_TRY_DO(loss_.lose(path_of(item) + ".role", Meaning::kKept,
            "Gemini has no system turns inside a conversation; it goes as the user's"));
    Turn& turn = turn_for(item);
    ENTREPOT_TRY(std::string part, part_of(item, turn));
    if (!part.empty()) turn.parts.push_back(std::move(part));
    return {};
}

/// Where nothing of a turn was left, its neighbours are one.
void ContentsWriter::merge_turns() {
    std::vector<Turn> merged;
    for (Turn& turn : turns_) {
        if (merged.empty() || merged.back().is_model != turn.is_model) {
            merged.push_back(std::move(turn));
            continue;
        }
        std::ranges::move(turn.responses, std::back_inserter(merged.back().responses));
        std::ranges::move(turn.parts, std::back_inserter(merged.back().parts));
    }
    turns_ = std::move(merged);
}

Result<Conversation> ContentsWriter::write() {
    Conversation out;
    std::string system;
    Writer system_writer(system);
    system_writer.begin_object().key("parts").begin_array();
    bool has_system = false;
    for (const Item& item : request_.items) {
        if (!is_system(item) || !turns_.empty()) {
            ENTREPOT_TRY_DO(add(item));
            continue;
        }
        ENTREPOT_TRY_DO(check_riders(item));
        if (!is_own_ && std::holds_alternative<Media>(item.body)) {
            ENTREPOT_TRY_DO(
                lost(item, Meaning::kChanged, "Gemini's system instruction is text alone"));
            continue;
        }
        Turn unused;
        ENTREPOT_TRY(const std::string part, part_of(item, unused));
        if (part.empty()) continue;
        system_writer.raw(part);
        has_system = true;
    }
    system_writer.end_array().end_object();
    if (has_system) out.system = std::move(system);
    std::erase_if(
        turns_, [](const Turn& turn) { return turn.parts.empty() && turn.responses.empty(); });
    if (!is_own_) merge_turns();
    if (turns_.empty())
        return fail_field(ErrorCode::kInvalidField, "messages",
            "messages hold nothing that can be sent: a user's text must not be empty");
    Writer writer(out.contents);
    writer.begin_array();
    for (Turn& turn : turns_) {
        std::ranges::stable_sort(turn.responses, {}, &Response::order);
        writer.begin_object().member("role", turn.is_model ? "model" : "user");
        writer.key("parts").begin_array();
        for (const Response& response : turn.responses) writer.raw(response.part);
        for (const std::string& part : turn.parts) writer.raw(part);
        writer.end_array().end_object();
    }
    writer.end_array();
    return out;
}

}  // namespace entrepot::dialect::gemini
