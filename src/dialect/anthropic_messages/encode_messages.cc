#include "dialect/anthropic_messages/encode_messages.h"

#include <algorithm>
#include <array>
#include <map>
#include <variant>

#include "base/text.h"
#include "dialect/anthropic_messages/names.h"
#include "json/value.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

using canon::Item;
using canon::Media;
using canon::Role;

constexpr std::size_t kMarksMax = 4;
// Stands where the supplier demands a first turn of the user and the client wrote none.
constexpr std::string_view kOpeningTurn = "(The conversation begins with the next turn.)";

bool is_blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

bool is_system(const Item& item) {
    return item.role == Role::kSystem || item.role == Role::kDeveloper;
}

std::string path_of(const Item& item) { return fmt::format("messages[{}]", item.turn); }

bool takes_mark(const Item& item) {
    if (std::holds_alternative<canon::Thought>(item.body)) return false;
    const auto* text = std::get_if<canon::Text>(&item.body);
    return text == nullptr || !is_blank(text->text);
}

// Names for `tool_use.id` where the client's own has letters that the supplier refuses.
class CallIds {
public:
    const std::string& operator[](const std::string& id) {
        const auto [at, is_new] = ids_.try_emplace(id, id);
        if (is_new) {
            for (char& c : at->second) {
                if (!is_allowed(c)) c = '_';
            }
            if (at->second.empty()) at->second = "_";
            while (!taken_.insert(at->second).second) at->second += fmt::format("_{}", ids_.size());
        }
        return at->second;
    }

private:
    static bool is_allowed(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '_' || c == '-';
    }
    std::map<std::string, std::string> ids_;
    std::set<std::string> taken_;
};

struct Turn {
    Role role = Role::kUser;
    std::uint32_t number = 0;
    std::vector<std::string> results;  // blocks that stand first, where the client is another's
    std::vector<std::string> blocks;
};

class Conversation {
public:
    Conversation(const canon::Request& request, const std::set<const canon::CacheMark*>& marks,
        Losses& losses)
        : request_(request), marks_(marks), losses_(losses), is_own_(request.origin == kName) {}

    Status run(json::Writer& writer) {
        ENTREPOT_TRY_DO(read_items());
        ENTREPOT_TRY_DO(mend_opening());
        ENTREPOT_TRY_DO(mend_prefill());
        if (!system_.empty()) write_array(writer, "system", system_);
        writer.key("messages").begin_array();
        for (const Turn& turn : turns_) {
            writer.begin_object();
            writer.member("role", canon::role_name(turn.role));
            writer.key("content").begin_array();
            for (const std::string& block : turn.results) writer.raw(block);
            for (const std::string& block : turn.blocks) writer.raw(block);
            writer.end_array();
            if (is_own_ && turn.number > 0) {
                write_extras(writer, request_.extras, fmt::format("messages[{}]", turn.number - 1));
            }
            writer.end_object();
        }
        writer.end_array();
        return {};
    }

private:
    static void write_array(
        json::Writer& writer, std::string_view key, const std::vector<std::string>& blocks) {
        writer.key(key).begin_array();
        for (const std::string& block : blocks) writer.raw(block);
        writer.end_array();
    }

    // Own requests have the system prompt as turn 0.
    std::string turn_path() const {
        return fmt::format("messages[{}]", turn_ - (is_own_ && turn_ > 0 ? 1 : 0));
    }

    Status read_items() {
        bool is_leading = true;
        for (const Item& item : request_.items) {
            turn_ = item.turn;
            // In this dialect's own requests turn 0 is the `system` field.
            const bool is_top = is_system(item) && (is_own_ ? item.turn == 0 : is_leading);
            if (!is_system(item)) is_leading = false;
            if (!item.author.empty()) {
                ENTREPOT_TRY_DO(
                    losses_.of_hint(turn_path() + ".name", "turns bear no names there"));
            }
            std::string block;
            bool has_block = false;
            ENTREPOT_TRY_DO(write_block(item, block, has_block));
            if (!has_block) continue;
            if (is_top) {
                if (!std::holds_alternative<canon::Text>(item.body) && !is_own_) {
                    ENTREPOT_TRY_DO(losses_.of_answer(
                        turn_path() + ".content", "a system prompt is text alone there"));
                    continue;
                }
                system_.push_back(std::move(block));
                continue;
            }
            ENTREPOT_TRY(const Role role, role_of(item));
            Turn& turn = turn_for(role, item.turn);
            const bool is_first = !is_own_ && std::holds_alternative<canon::ToolResult>(item.body);
            (is_first ? turn.results : turn.blocks).push_back(std::move(block));
        }
        return {};
    }

    Result<Role> role_of(const Item& item) {
        if (item.role == Role::kAssistant) return Role::kAssistant;
        if (!is_system(item)) return Role::kUser;
        if (is_own_) return Role::kSystem;
        // Moved to the front it would rule turns that came before it, and break the prompt cache.
        ENTREPOT_TRY_DO(losses_.of_answer(turn_path() + ".role",
            "a system prompt stands before the first turn there, and moving this one would change "
            "its meaning"));
        return Role::kUser;
    }

    // Own requests keep their turns as they were; others are merged until the roles alternate.
    Turn& turn_for(Role role, std::uint32_t number) {
        const bool is_same = !turns_.empty() && turns_.back().role == role &&
            (!is_own_ || turns_.back().number == number);
        if (!is_same) turns_.push_back({.role = role, .number = number});
        return turns_.back();
    }

    Status mend_opening() {
        if (is_own_) return {};
        if (turns_.empty()) {
            if (system_.empty()) {
                return losses_.refuse("messages", "no turn holds anything that is not blank");
            }
            ENTREPOT_TRY_DO(losses_.of_answer("messages",
                "a request needs a turn of the user there, and this one has system prompts alone"));
            turns_.push_back({.role = Role::kUser, .blocks = {system_.back()}});
            system_.pop_back();
        } else if (turns_.front().role == Role::kAssistant) {
            ENTREPOT_TRY_DO(
                losses_.of_answer("messages[0].role", "the first turn is the user's there"));
            turns_.insert(
                turns_.begin(), Turn{.role = Role::kUser, .blocks = {text_block(kOpeningTurn)}});
        }
        return {};
    }

    // A last turn of the assistant is the beginning of its answer, and may not end in white space.
    Status mend_prefill() {
        if (is_own_ || turns_.empty() || turns_.back().role != Role::kAssistant) return {};
        if (request_.items.empty()) return {};
        const auto* text = std::get_if<canon::Text>(&request_.items.back().body);
        if (text == nullptr || is_blank(text->text)) return {};
        const std::size_t end = text->text.find_last_not_of(" \t\r\n\v\f") + 1;
        if (end == text->text.size()) return {};
        ENTREPOT_TRY_DO(losses_.of_hint(
            turn_path() + ".content", "the beginning of an answer ends without white space there"));
        turns_.back().blocks.back() = text_block(text->text.substr(0, end));
        return {};
    }

    static std::string text_block(std::string_view text) {
        std::string out;
        json::Writer writer(out);
        writer.begin_object().member("type", "text").member("text", text).end_object();
        return out;
    }

    Status write_block(const Item& item, std::string& out, bool& has_block) {
        json::Writer writer(out);
        has_block = true;
        if (const auto* opaque = std::get_if<canon::Opaque>(&item.body)) {
            if (opaque->origin != kName) {
                has_block = false;
                return lose_opaque(*opaque);
            }
            writer.raw(opaque->json);
            return {};
        }
        if (!is_own_) ENTREPOT_TRY_DO(lose_riders(item));
        writer.begin_object();
        ENTREPOT_TRY(has_block,
            std::visit(
                [&](const auto& body) { return write_body(writer, item, body); }, item.body));
        if (!has_block) return {};
        if (item.cache && marks_.contains(&*item.cache)) write_cache(writer, *item.cache);
        if (is_own_) {
            for (const canon::Extra& extra : item.extras) {
                writer.member_raw(key_of(extra), extra.json);
            }
        }
        writer.end_object();
        return {};
    }

    Status lose_opaque(const canon::Opaque& opaque) {
        constexpr std::string_view kWhy = "only its own dialect knows what it means";
        std::string field = fmt::format("{}.{}", turn_path(), opaque.kind);
        // Another maker's thoughts are no part of what was said.
        if (opaque.kind.starts_with("reasoning")) return losses_.of_hint(std::move(field), kWhy);
        return losses_.of_answer(std::move(field), kWhy);
    }

    // What another dialect's item brings along, whether or not the item itself leaves a block.
    Status lose_riders(const Item& item) {
        for (const canon::Extra& extra : item.extras) {
            ENTREPOT_TRY_DO(losses_.of_hint(extra.path, "there is no such field there"));
        }
        const bool is_thought = std::holds_alternative<canon::Thought>(item.body);
        if (!item.signature || is_thought || item.signature->origin == kName) return {};
        return losses_.of_hint(turn_path() + ".signature", "it is another maker's");
    }

    // Each gives false where the item leaves no block, which its loss has named.
    Result<bool> write_body(json::Writer& writer, const Item& item, const canon::Text& body) {
        // Another maker's empty text was there for its proof alone, which stays behind.
        const bool is_foreign = item.signature && item.signature->origin != kName;
        if ((!is_own_ || is_foreign) && is_blank(body.text)) {
            // An empty text says nothing; blanks are something, and the supplier refuses them.
            if (!body.text.empty()) {
                ENTREPOT_TRY_DO(losses_.of_hint(
                    turn_path() + ".content", "a text of white space alone is refused there"));
            }
            return false;
        }
        writer.member("type", "text").member("text", body.text);
        return true;
    }

    Result<bool> write_body(json::Writer& writer, const Item& item, const canon::Refusal& body) {
        return write_body(writer, item, canon::Text{body.text});
    }

    Result<bool> write_body(json::Writer&, const Item&, const canon::Opaque&) { return false; }

    Result<bool> write_body(json::Writer& writer, const Item& item, const canon::Thought& body) {
        // Also in this dialect's own requests: an earlier turn may have been another maker's.
        if (!item.signature || item.signature->origin != kName) {
            ENTREPOT_TRY_DO(losses_.of_hint(turn_path() + ".reasoning",
                "thoughts go back to their maker alone, with its signature"));
            return false;
        }
        if (body.is_redacted) {
            writer.member("type", "redacted_thinking").member("data", item.signature->data);
        } else {
            writer.member("type", "thinking").member("thinking", body.text);
            writer.member("signature", item.signature->data);
        }
        return true;
    }

    Result<bool> write_body(json::Writer& writer, const Item&, const canon::ToolCall& body) {
        writer.member("type", "tool_use");
        writer.member("id", is_own_ ? body.id : ids_[body.id]).member("name", body.name);
        if (body.is_custom) {
            ENTREPOT_TRY_DO(losses_.of_answer(turn_path() + ".tool_calls",
                "a tool's input is a JSON object there, not free text"));
            writer.key("input").begin_object().member("input", body.arguments).end_object();
            return true;
        }
        // Some gateways left "" in histories for a call without arguments.
        if (is_blank(body.arguments)) {
            writer.member_raw("input", "{}");
            return true;
        }
        const auto document = json::Document::parse(body.arguments);
        if (!document || !document->root().is_object()) {
            return losses_.refuse(turn_path() + ".tool_calls.function.arguments",
                fmt::format("the call '{}' of '{}' needs a JSON object, and has {}", body.id,
                    body.name, excerpt(body.arguments, 60)));
        }
        writer.member_raw("input", document->root().raw());
        return true;
    }

    Result<bool> write_body(json::Writer& writer, const Item&, const canon::ToolResult& body) {
        writer.member("type", "tool_result");
        writer.member("tool_use_id", is_own_ ? body.call_id : ids_[body.call_id]);
        std::vector<std::string> blocks;
        for (const Item& part : body.content) {
            std::string block;
            bool has_block = false;
            ENTREPOT_TRY_DO(write_block(part, block, has_block));
            if (has_block) blocks.push_back(std::move(block));
        }
        if (!blocks.empty()) write_array(writer, "content", blocks);
        if (body.is_error) writer.member_bool("is_error", true);
        return true;
    }

    Result<bool> write_body(json::Writer& writer, const Item& item, const Media& body) {
        const std::string path = turn_path() + ".content";
        const std::string type = is_own_ ? body.media_type : media_type_of(body);
        if (!is_own_) {
            ENTREPOT_TRY(const bool is_taken, check_media(item, body, path));
            if (!is_taken) return false;
        }
        writer.member("type", body.kind == Media::Kind::kImage ? "image" : "document");
        writer.key("source").begin_object();
        std::string plain;
        if (!is_own_ && is_plain_text(body, plain)) {
            writer.member("type", "text").member("media_type", "text/plain").member("data", plain);
        } else {
            write_source(writer, body, type);
        }
        writer.end_object();
        if (!body.name.empty() && body.kind == Media::Kind::kDocument) {
            writer.member("title", body.name);
        }
        return true;
    }

    static void write_source(json::Writer& writer, const Media& body, std::string_view type) {
        switch (body.source) {
            case Media::Source::kUrl: writer.member("type", "url").member("url", body.data); return;
            case Media::Source::kFileId:
                writer.member("type", "file").member("file_id", body.data);
                return;
            case Media::Source::kText:
                writer.member("type", "text");
                writer.member(
                    "media_type", body.media_type.empty() ? "text/plain" : body.media_type);
                break;
            case Media::Source::kBase64:
            case Media::Source::kStorage:
                writer.member("type", "base64").member("media_type", type);
                break;
        }
        writer.member("data", body.data);
    }

    // Some clients send a PDF's bytes without saying that it is one, many say image/jpg.
    static std::string media_type_of(const Media& body) {
        if (body.kind == Media::Kind::kImage) {
            const std::string type = to_lower(body.media_type);
            return type == "image/jpg" ? "image/jpeg" : type;
        }
        constexpr std::string_view kPdfHead = "JVBERi0";  // "%PDF-"
        const bool is_silent = body.kind == Media::Kind::kDocument && body.media_type.empty();
        return is_silent && body.data.starts_with(kPdfHead) ? "application/pdf" : body.media_type;
    }

    // Text files travel as base64 in other dialects and as text in this one.
    static bool is_plain_text(const Media& body, std::string& plain) {
        return body.kind == Media::Kind::kDocument && body.source == Media::Source::kBase64 &&
            body.media_type.starts_with("text/") && base64_decode(body.data, plain);
    }

    // True: what another dialect's client sent has a place here.
    Result<bool> check_media(const Item& item, const Media& body, const std::string& path) {
        const auto lost = [&](std::string_view why) -> Result<bool> {
            ENTREPOT_TRY_DO(losses_.of_answer(path, why));
            return false;
        };
        if (item.role == Role::kAssistant) return lost("the assistant's turns hold no media there");
        if (body.source == Media::Source::kFileId) {
            return lost(fmt::format("the file '{}' is stored elsewhere", excerpt(body.data, 40)));
        }
        if (body.source == Media::Source::kStorage) return lost("no storage is read there");
        if (body.kind == Media::Kind::kAudio) return lost("sound is not heard there");
        if (body.kind == Media::Kind::kVideo) return lost("film is not seen there");
        if (body.kind == Media::Kind::kImage) {
            static constexpr std::array<std::string_view, 4> kTypes{
                "image/jpeg", "image/png", "image/gif", "image/webp"};
            if (body.source == Media::Source::kBase64 &&
                std::ranges::find(kTypes, media_type_of(body)) == kTypes.end()) {
                return lost(fmt::format(
                    "images are JPEG, PNG, GIF or WebP there, not '{}'", body.media_type));
            }
            if (!body.detail.empty() && body.detail != "auto") {
                ENTREPOT_TRY_DO(losses_.of_hint(
                    path + ".image_url.detail", "images have one resolution there"));
            }
        } else if (body.source == Media::Source::kBase64) {
            std::string plain;
            if (media_type_of(body) != "application/pdf" && !is_plain_text(body, plain)) {
                return lost(
                    fmt::format("documents are PDF or text there, not '{}'", body.media_type));
            }
        }
        return true;
    }

    const canon::Request& request_;
    const std::set<const canon::CacheMark*>& marks_;
    Losses& losses_;
    bool is_own_;
    CallIds ids_;
    std::uint32_t turn_ = 0;  // of the item at hand, whose parts name it in their losses
    std::vector<std::string> system_;
    std::vector<Turn> turns_;
};

}  // namespace

void write_cache(json::Writer& writer, const canon::CacheMark& mark) {
    writer.key("cache_control").begin_object().member("type", "ephemeral");
    if (!mark.ttl.empty()) writer.member("ttl", mark.ttl);
    writer.end_object();
}

void write_extras(
    json::Writer& writer, const std::vector<canon::Extra>& extras, std::string_view prefix) {
    // A field's own name may hold a dot; these are the objects whose members ride along.
    static constexpr std::array<std::string_view, 6> kObjects{"thinking.", "output_config.format.",
        "output_config.", "output_format.", "metadata.", "messages["};
    for (const canon::Extra& extra : extras) {
        const std::string_view path = extra.path;
        if (path == kBetaField || !extra.origin.empty()) continue;  // a header; another's field
        const auto object = std::ranges::find_if(
            kObjects, [&](std::string_view name) { return path.starts_with(name); });
        std::string_view home;
        std::string_view key = path;
        if (object != kObjects.end()) {
            const std::size_t dot =
                object->ends_with('[') ? path.find("].") + 1 : object->size() - 1;
            home = path.substr(0, dot);
            key = path.substr(dot + 1);
        }
        if (home == prefix) writer.member_raw(key, extra.json);
    }
}

std::string_view key_of(const canon::Extra& extra) {
    const std::string_view path = extra.path;
    return path.substr(path.rfind("].") + 2);
}

Result<std::set<const canon::CacheMark*>> choose_marks(
    const canon::Request& request, Losses& losses) {
    struct Mark {
        const canon::CacheMark* mark;
        std::string path;
    };
    const bool is_own = request.origin == kName;
    std::vector<Mark> marks;  // in the order of the prompt: tools, system, messages
    std::set<const canon::CacheMark*> chosen;
    for (std::size_t i = 0; i < request.tools.size(); ++i) {
        const canon::Tool& tool = request.tools[i];
        if (tool.cache) marks.push_back({&*tool.cache, fmt::format("tools[{}]", i)});
    }
    for (const Item& item : request.items) {
        if (const auto* result = std::get_if<canon::ToolResult>(&item.body)) {
            for (const Item& part : result->content) {
                if (part.cache) marks.push_back({&*part.cache, path_of(item)});
            }
        }
        if (!item.cache) continue;
        if (is_own || takes_mark(item)) {
            marks.push_back({&*item.cache, path_of(item)});
        } else {
            ENTREPOT_TRY_DO(losses.of_hint(
                path_of(item) + ".cache_control", "this block takes no cache mark there"));
        }
    }
    const std::size_t excess = is_own || marks.size() <= kMarksMax ? 0 : marks.size() - kMarksMax;
    for (std::size_t i = 0; i < marks.size(); ++i) {
        if (i >= excess) {
            chosen.insert(marks[i].mark);
            continue;
        }
        // The last marks cover the longest prefixes, so they are worth the most.
        ENTREPOT_TRY_DO(losses.of_hint(
            marks[i].path + ".cache_control", "four cache marks are taken there at most"));
    }
    return chosen;
}

Status write_conversation(json::Writer& writer, const canon::Request& request,
    const std::set<const canon::CacheMark*>& marks, Losses& losses) {
    return Conversation(request, marks, losses).run(writer);
}

}  // namespace entrepot::dialect::anthropic_messages
