#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "base/xxhash.h"
#include "dialect/openai_chat/known_fields.h"
#include "dialect/openai_chat/media.h"
#include "dialect/openai_chat/native.h"
#include "json/cursor.h"

namespace entrepot::dialect::openai_chat {
namespace {

using json::Cursor;
using json::Kind;

constexpr std::int64_t kTokensMax = std::int64_t{1} << 31;

bool is_role(std::string_view role) {
    for (const std::string_view known_role :
        {"user", "assistant", "system", "tool", "developer", "function"})
        if (role == known_role) return true;
    return false;
}

/// One walk over one request. The first problem found stands; the walk ends there.
class Inspector {
public:
    Inspector(std::string_view body, RequestFacts& facts, std::string_view model_in_path)
        : body_(body), cursor_(body), facts_(facts), model_in_path_(model_in_path) {}

    Status run();

private:
    bool wrong(std::string field, std::string_view seen, std::string_view accepted) {
        if (!error_ && !cursor_.has_failed()) {
            error_ = Error{ErrorCode::kInvalidField,
                fmt::format("'{}' is {}; it must be {}", field, excerpt(seen, 120), accepted), {},
                field};
        }
        return false;
    }
    bool stopped() const { return error_.has_value() || cursor_.has_failed(); }

    /// The text a string stands for; `scratch_` holds it when it was spelled with escapes.
    std::string_view unescaped(std::string_view spelled) {
        if (!cursor_.string_has_escapes()) return spelled;
        scratch_.clear();
        json::append_unescaped(scratch_, spelled);
        return scratch_;
    }
    /// The member's key; a client that spells `image_url` with escapes hides nothing from us.
    std::string_view key() {
        if (!cursor_.key_has_escapes()) return cursor_.key();
        key_scratch_.clear();
        json::append_unescaped(key_scratch_, cursor_.key());
        return key_scratch_;
    }
    Span span_from(std::size_t begin) const {
        return {static_cast<std::uint32_t>(begin),
            static_cast<std::uint32_t>(cursor_.offset() - begin)};
    }
    std::size_t value_begin() {
        cursor_.pass_space();
        return cursor_.offset();
    }

    void read_member(Known member, std::string_view name);
    bool read_text(std::string_view name, std::string& out, bool is_required);
    bool read_flag(std::string_view name, bool& out);
    void read_cap(std::string_view name, std::optional<std::int64_t>& out, Span& span);
    void read_range(std::string_view name, double low, double high);
    void read_choices();
    void read_stop();
    void read_stream_options();
    void read_response_format();
    void read_modalities();
    void read_tools(bool is_legacy);
    void read_tool(std::uint32_t index);
    void read_messages();
    void read_message(std::uint32_t index);
    void read_content(std::uint32_t message);
    void read_part(std::uint32_t message, std::uint32_t index);
    void read_image(std::uint32_t message, std::uint32_t index);
    void read_audio(std::uint32_t message, std::uint32_t index);
    void read_file(std::uint32_t message, std::uint32_t index);
    void hash_prompt();

    std::string_view body_;
    Cursor cursor_;
    RequestFacts& facts_;
    std::string_view model_in_path_;
    std::optional<Error> error_;
    std::string scratch_;
    std::string key_scratch_;
    Span tools_span_;
    std::size_t opening_end_ = 0;  // where the leading instructions end
    std::size_t last_assistant_begin_ = 0;
    bool is_opening_ = true;
    std::uint64_t seen_ = 0;  // bit per Known
};

std::string part_path(std::uint32_t message, std::uint32_t index, std::string_view rest) {
    return fmt::format("messages[{}].content[{}]{}", message, index, rest);
}

Status Inspector::run() {
    if (body_.size() > 0xFFFF'FFFFu)
        return fail(ErrorCode::kBodyTooLarge, "the body is larger than 4 GiB");
    if (trim(body_).empty())
        return fail(ErrorCode::kBadRequest, "the body is empty; send a JSON object");
    if (cursor_.peek() != Kind::kObject) {
        ENTREPOT_TRY_DO(cursor_.status());
        return fail(ErrorCode::kBadRequest, "the body must be a JSON object");
    }
    cursor_.enter_object();
    facts_.first_member = {static_cast<std::uint32_t>(cursor_.offset()), 1};
    while (!error_ && cursor_.next_member()) {
        const std::string name(cursor_.key_has_escapes() ? key() : std::string_view{});
        const std::string_view key = name.empty() ? cursor_.key() : name;
        const Known member = known_field(key);
        if (member == Known::kOther) {
            // A supplier that ignores case would read it, and what we read beside it would not
            // bind.
            const std::string lower = folded(key);
            if (known_field(lower) != Known::kOther)
                return fail_field(ErrorCode::kBadRequest, std::string(key),
                    fmt::format("'{}' is not a field; '{}' is", excerpt(key), lower));
            cursor_.skip();
            continue;
        }
        const std::uint64_t bit = std::uint64_t{1} << static_cast<unsigned>(member);
        if ((seen_ & bit) != 0)
            return fail_field(ErrorCode::kBadRequest, std::string(key),
                fmt::format("'{}' is given twice; give it once", key));
        seen_ |= bit;
        read_member(member, key);
    }
    if (!error_) cursor_.at_end();
    ENTREPOT_TRY_DO(cursor_.status());
    if (error_) return std::unexpected(*std::move(error_));
    const auto has = [&](Known member) {
        return (seen_ >> static_cast<unsigned>(member) & 1) != 0;
    };
    if (!model_in_path_.empty()) facts_.model = model_in_path_;
    if (!has(Known::kModel) && model_in_path_.empty())
        return fail_field(ErrorCode::kInvalidField, "model",
            "'model' is missing; it must be a string that names a model");
    if (!has(Known::kMessages))
        return fail_field(ErrorCode::kInvalidField, "messages",
            "'messages' is missing; it must be an array of at least one message");
    facts_.output_cap = facts_.max_tokens;
    if (facts_.max_completion_tokens)
        facts_.output_cap = std::max(facts_.max_tokens.value_or(0), *facts_.max_completion_tokens);
    hash_prompt();
    return {};
}

void Inspector::read_member(Known member, std::string_view name) {
    const std::size_t begin = value_begin();
    switch (member) {
        case Known::kModel:
            // Clients that name it in the path also send a null.
            read_text(name, facts_.model, model_in_path_.empty());
            if (!stopped() && facts_.model.empty() && model_in_path_.empty())
                wrong("model", "empty", "a string that names a model");
            facts_.model_span = span_from(begin);
            break;
        case Known::kMessages:
            read_messages();
            facts_.messages_span = span_from(begin);
            break;
        case Known::kStream: read_flag(name, facts_.is_stream); break;
        case Known::kStreamOptions: read_stream_options(); break;
        case Known::kMaxTokens: read_cap(name, facts_.max_tokens, facts_.max_tokens_span); break;
        case Known::kMaxCompletionTokens:
            read_cap(name, facts_.max_completion_tokens, facts_.max_completion_tokens_span);
            break;
        case Known::kChoices: read_choices(); break;
        case Known::kTools:
        case Known::kFunctions:
            read_tools(member == Known::kFunctions);
            if (member == Known::kTools) tools_span_ = span_from(begin);
            facts_.prompt_bytes += static_cast<std::int64_t>(cursor_.offset() - begin);
            break;
        case Known::kResponseFormat:
            read_response_format();
            facts_.prompt_bytes += static_cast<std::int64_t>(cursor_.offset() - begin);
            break;
        case Known::kTemperature: read_range(name, 0, 2); break;
        case Known::kTopP: read_range(name, 0, 1); break;
        case Known::kFrequencyPenalty:
        case Known::kPresencePenalty: read_range(name, -2, 2); break;
        case Known::kStop: read_stop(); break;
        case Known::kServiceTier: read_text(name, facts_.service_tier, false); break;
        case Known::kUser:
            if ((seen_ >> static_cast<unsigned>(Known::kSafetyIdentifier) & 1) != 0) {
                std::string ignored;
                read_text(name, ignored, false);
            } else {
                read_text(name, facts_.user, false);
            }
            break;
        case Known::kSafetyIdentifier: read_text(name, facts_.user, false); break;
        case Known::kPromptCacheKey: read_text(name, facts_.prompt_cache_key, false); break;
        case Known::kPrediction:
            facts_.prediction_bytes = static_cast<std::int64_t>(cursor_.skip().size());
            break;
        case Known::kModalities: read_modalities(); break;
        case Known::kLogprobs: read_flag(name, facts_.needs_logprobs); break;
        case Known::kReasoningEffort: {
            std::string effort;
            read_text(name, effort, false);
            facts_.needs_reasoning = !effort.empty() && effort != "none";
            break;
        }
        case Known::kWebSearchOptions:
            if (cursor_.peek() != Kind::kNull) facts_.open_ended_field = "web_search_options";
            cursor_.skip();
            break;
        case Known::kStore: read_flag(name, facts_.is_stored); break;
        case Known::kOther: cursor_.skip(); break;
    }
}

bool Inspector::read_text(std::string_view name, std::string& out, bool is_required) {
    const Kind kind = cursor_.peek();
    if (kind == Kind::kString) {
        out.assign(unescaped(cursor_.string()));
        return true;
    }
    const std::string_view seen = cursor_.skip();
    if (kind == Kind::kNull && !is_required) return true;
    return wrong(std::string(name), seen, is_required ? "a string" : "a string or null");
}

bool Inspector::read_flag(std::string_view name, bool& out) {
    const Kind kind = cursor_.peek();
    if (kind == Kind::kBool) {
        out = cursor_.boolean();
        return true;
    }
    const std::string_view seen = cursor_.skip();
    return kind == Kind::kNull || wrong(std::string(name), seen, "true, false or null");
}

/// A whole number within 64 bits as its spelling states it (`16`, `16.0`), or nothing.
std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [at, code] = std::from_chars(text.data(), end, value);
    if (code != std::errc()) return std::nullopt;
    std::string_view rest(at, static_cast<std::size_t>(end - at));
    if (rest.starts_with('.'))
        rest.remove_prefix(std::min(rest.find_first_not_of('0', 1), rest.size()));
    return rest.empty() ? std::optional(value) : std::nullopt;
}

void Inspector::read_cap(std::string_view name, std::optional<std::int64_t>& out, Span& span) {
    const std::size_t begin = value_begin();
    const Kind kind = cursor_.peek();
    const std::string_view seen = cursor_.skip();
    span = span_from(begin);
    if (kind == Kind::kNull) return;
    if (kind == Kind::kNumber) out = whole_number(seen);
    if (!out || *out < 1 || *out > kTokensMax)
        wrong(std::string(name), seen, "a whole number of at least 1, or null");
}

void Inspector::read_choices() {
    const Kind kind = cursor_.peek();
    const std::string_view seen = cursor_.skip();
    if (kind == Kind::kNull) return;
    const auto value = kind == Kind::kNumber ? whole_number(seen) : std::nullopt;
    if (!value || *value < 1 || *value > 128) {
        wrong("n", seen, "a whole number from 1 to 128, or null");
        return;
    }
    facts_.choices = *value;
}

void Inspector::read_range(std::string_view name, double low, double high) {
    const Kind kind = cursor_.peek();
    const std::string_view seen = cursor_.skip();
    if (kind == Kind::kNull || stopped()) return;
    double value = 0;
    bool is_good = kind == Kind::kNumber;
    if (is_good) {
        const auto parsed = std::from_chars(seen.data(), seen.data() + seen.size(), value);
        is_good = parsed.ec == std::errc() && value >= low && value <= high;
    }
    if (!is_good)
        wrong(std::string(name), seen, fmt::format("a number from {} to {}, or null", low, high));
}

void Inspector::read_stop() {
    constexpr std::string_view kAccepted = "a string, an array of at most 4 strings, or null";
    const Kind kind = cursor_.peek();
    if (kind != Kind::kArray) {
        const std::string_view seen = cursor_.skip();
        if (kind != Kind::kString && kind != Kind::kNull) wrong("stop", seen, kAccepted);
        return;
    }
    std::uint32_t count = 0;
    const std::size_t begin = value_begin();
    cursor_.enter_array();
    while (!stopped() && cursor_.next_item()) {
        const Kind item = cursor_.peek();
        const std::string_view seen = cursor_.skip();
        if (item != Kind::kString) wrong(fmt::format("stop[{}]", count), seen, "a string");
        ++count;
    }
    if (!stopped() && count > 4) wrong("stop", span_from(begin).in(body_), kAccepted);
}

void Inspector::read_stream_options() {
    const std::size_t begin = value_begin();
    const Kind kind = cursor_.peek();
    if (kind != Kind::kObject) {
        const std::string_view seen = cursor_.skip();
        facts_.stream_options_span = span_from(begin);
        if (kind != Kind::kNull) wrong("stream_options", seen, "an object or null");
        return;
    }
    cursor_.enter_object();
    while (!stopped() && cursor_.next_member()) {
        facts_.has_stream_options_members = true;
        if (key() != "include_usage") {
            cursor_.skip();
            continue;
        }
        if (facts_.include_usage_span.is_present()) {
            error_ = Error{ErrorCode::kBadRequest,
                "'stream_options.include_usage' is given twice; give it once", {},
                "stream_options.include_usage"};
            return;
        }
        const std::size_t flag_begin = value_begin();
        read_flag("stream_options.include_usage", facts_.wants_stream_usage);
        facts_.include_usage_span = span_from(flag_begin);
    }
    facts_.stream_options_span = span_from(begin);
}

void Inspector::read_response_format() {
    const Kind kind = cursor_.peek();
    if (kind != Kind::kObject) {
        const std::string_view seen = cursor_.skip();
        if (kind != Kind::kNull) wrong("response_format", seen, "an object or null");
        return;
    }
    cursor_.enter_object();
    while (!stopped() && cursor_.next_member()) {
        const bool is_type = key() == "type";
        if (!is_type || cursor_.peek() != Kind::kString) {
            const std::string_view seen = cursor_.skip();
            if (is_type) wrong("response_format.type", seen, "a string");
            continue;
        }
        const std::string_view type = cursor_.string();
        facts_.needs_json_object = type == "json_object";
        facts_.needs_json_schema = type == "json_schema";
    }
}

void Inspector::read_modalities() {
    if (cursor_.peek() != Kind::kArray) {
        const Kind kind = cursor_.peek();
        const std::string_view seen = cursor_.skip();
        if (kind != Kind::kNull) wrong("modalities", seen, "an array of strings or null");
        return;
    }
    cursor_.enter_array();
    while (!stopped() && cursor_.next_item()) {
        if (cursor_.peek() == Kind::kString) {
            // Anything but plain text is bounded as sound, the dearer: also what is spelled with
            // escapes, or what we do not know.
            if (cursor_.string() != "text") facts_.needs_audio_output = true;
        } else {
            wrong("modalities", cursor_.skip(), "an array of strings or null");
        }
    }
}

void Inspector::read_tools(bool is_legacy) {
    const std::string_view name = is_legacy ? "functions" : "tools";
    const Kind kind = cursor_.peek();
    if (kind != Kind::kArray) {
        const std::string_view seen = cursor_.skip();
        if (kind != Kind::kNull) wrong(std::string(name), seen, "an array of objects or null");
        return;
    }
    cursor_.enter_array();
    std::uint32_t index = 0;
    while (!stopped() && cursor_.next_item()) {
        if (cursor_.peek() != Kind::kObject) {
            wrong(fmt::format("{}[{}]", name, index), cursor_.skip(), "an object");
            return;
        }
        if (is_legacy)
            cursor_.skip();
        else
            read_tool(index);
        ++index;
        ++facts_.tools;
    }
}

void Inspector::read_tool(std::uint32_t index) {
    bool has_type = false;
    cursor_.enter_object();
    while (!stopped() && cursor_.next_member()) {
        const bool is_type = key() == "type";
        const bool is_function = key() == "function";
        const Kind kind = cursor_.peek();
        const std::string_view seen = cursor_.skip();
        if (is_type) {
            has_type = true;
            if (kind != Kind::kString)
                wrong(fmt::format("tools[{}].type", index), seen, "a string");
        } else if (is_function && kind != Kind::kObject) {
            wrong(fmt::format("tools[{}].function", index), seen, "an object");
        }
    }
    if (!stopped() && !has_type)
        wrong(fmt::format("tools[{}].type", index), "missing", "a string such as \"function\"");
}

void Inspector::read_messages() {
    constexpr std::string_view kAccepted = "an array of at least one message";
    const std::size_t begin = value_begin();
    if (cursor_.peek() != Kind::kArray) {
        wrong("messages", cursor_.skip(), kAccepted);
        return;
    }
    cursor_.enter_array();
    std::uint32_t index = 0;
    while (!stopped() && cursor_.next_item()) read_message(index++);
    facts_.messages = index;
    if (index == 0) wrong("messages", "empty", kAccepted);
    facts_.prompt_bytes += static_cast<std::int64_t>(cursor_.offset() - begin);
}

void Inspector::read_message(std::uint32_t index) {
    if (cursor_.peek() != Kind::kObject) {
        wrong(fmt::format("messages[{}]", index), cursor_.skip(), "an object");
        return;
    }
    const std::size_t begin = value_begin();
    constexpr std::string_view kRoles = "one of system, developer, user, assistant, tool, function";
    bool has_role = false;
    bool is_assistant = false;
    bool is_instruction = false;
    cursor_.enter_object();
    while (!stopped() && cursor_.next_member()) {
        const std::string_view key = this->key();
        if (key == "content") {
            read_content(index);
        } else if (key == "role") {
            const Kind kind = cursor_.peek();
            if (kind != Kind::kString) {
                wrong(fmt::format("messages[{}].role", index), cursor_.skip(), kRoles);
                return;
            }
            const std::string_view role = unescaped(cursor_.string());
            if (!stopped() && !is_role(role))
                wrong(fmt::format("messages[{}].role", index), fmt::format("'{}'", role), kRoles);
            has_role = true;
            is_assistant = role == "assistant";
            is_instruction = role == "system" || role == "developer";
        } else if (key == "tool_calls") {
            const Kind kind = cursor_.peek();
            const std::string_view seen = cursor_.skip();
            if (kind != Kind::kArray && kind != Kind::kNull)
                wrong(fmt::format("messages[{}].tool_calls", index), seen, "an array or null");
        } else if (key == "audio") {
            // An earlier answer's sound, by its id: nothing here tells how long it is, nor whose.
            if (cursor_.peek() != Kind::kNull) {
                ++facts_.unknown_parts;
                ++facts_.file_ids;
            }
            cursor_.skip();
        } else {
            cursor_.skip();
        }
    }
    if (!stopped() && !has_role) wrong(fmt::format("messages[{}].role", index), "missing", kRoles);
    if (is_assistant) last_assistant_begin_ = begin;
    is_opening_ = is_opening_ && is_instruction;
    if (is_opening_) opening_end_ = cursor_.offset();
}

void Inspector::read_content(std::uint32_t message) {
    const Kind kind = cursor_.peek();
    if (kind == Kind::kString) {
        cursor_.string();
    } else if (kind == Kind::kArray) {
        cursor_.enter_array();
        std::uint32_t index = 0;
        while (!stopped() && cursor_.next_item()) read_part(message, index++);
    } else {
        const std::string_view seen = cursor_.skip();
        if (kind != Kind::kNull)
            wrong(fmt::format("messages[{}].content", message), seen,
                "a string, an array of parts, or null");
    }
}

void Inspector::read_part(std::uint32_t message, std::uint32_t index) {
    const Kind kind = cursor_.peek();
    if (kind == Kind::kString) {  // Mistral takes bare strings
        cursor_.string();
        return;
    }
    if (kind != Kind::kObject) {
        wrong(part_path(message, index, ""), cursor_.skip(), "an object");
        return;
    }
    // The payload usually follows `type`, and is told by its own key wherever it stands.
    bool has_type = false;
    bool is_known = false;
    bool has_image = false;
    bool is_image = false;
    cursor_.enter_object();
    while (!stopped() && cursor_.next_member()) {
        const std::string_view key = this->key();
        if (key != "type" && cursor_.peek() == Kind::kNull) {
            cursor_.null();  // clients that write every optional field
        } else if (key == "image_url") {
            has_image = true;
            read_image(message, index);
        } else if (key == "input_audio") {
            read_audio(message, index);
        } else if (key == "file") {
            read_file(message, index);
        } else if (key == "type") {
            if (cursor_.peek() != Kind::kString) {
                wrong(part_path(message, index, ".type"), cursor_.skip(), "a string");
                return;
            }
            const std::string_view type = cursor_.string();
            if (has_type) {  // the supplier may read the other one
                wrong(part_path(message, index, ".type"), "given twice", "one string");
                return;
            }
            has_type = true;
            is_image = type == "image_url";
            for (const std::string_view name :
                {"text", "image_url", "input_audio", "file", "refusal", "thinking"})
                is_known = is_known || type == name;
        } else if (key == "text") {
            const Kind text_kind = cursor_.peek();
            const std::string_view seen = cursor_.skip();
            if (text_kind != Kind::kString)
                wrong(part_path(message, index, ".text"), seen, "a string");
        } else {
            cursor_.skip();
        }
    }
    if (stopped()) return;
    if (!has_type)
        wrong(part_path(message, index, ".type"), "missing", "a string such as \"text\"");
    if (is_image && !has_image)
        wrong(part_path(message, index, ".image_url"), "missing", "an object with a 'url'");
    if (!is_known) ++facts_.unknown_parts;
}

void Inspector::read_image(std::uint32_t message, std::uint32_t index) {
    std::string_view url;
    bool has_url = false;
    const auto read_url = [&](std::string_view path) {
        if (cursor_.peek() != Kind::kString) {
            wrong(part_path(message, index, path), cursor_.skip(), "a string that holds a URL");
            return;
        }
        url = unescaped(cursor_.string());
        has_url = true;
    };
    std::string_view path = ".image_url.url";
    if (cursor_.peek() == Kind::kString) {  // Mistral takes the bare URL
        path = ".image_url";
        read_url(path);
    } else if (cursor_.peek() != Kind::kObject) {
        wrong(part_path(message, index, ".image_url"), cursor_.skip(), "an object with a 'url'");
    } else {
        cursor_.enter_object();
        while (!stopped() && cursor_.next_member()) {
            if (key() == "url")
                read_url(path);
            else
                cursor_.skip();
        }
    }
    if (stopped()) return;
    const std::string_view problem = has_url ? url_problem(url) : "it is missing";
    if (!problem.empty()) {
        wrong(part_path(message, index, path), fmt::format("'{}' ({})", excerpt(url, 40), problem),
            "an https: URL or a data: URL with base64");
        return;
    }
    ++facts_.images;
    const auto bytes = static_cast<std::int64_t>(data_of_url(url).size());
    facts_.image_data_bytes += bytes;
    facts_.prompt_bytes -= bytes;
}

void Inspector::read_audio(std::uint32_t message, std::uint32_t index) {
    std::size_t bytes = 0;
    if (cursor_.peek() == Kind::kString) {  // Mistral takes the bare data
        bytes = cursor_.string().size();
    } else if (cursor_.peek() != Kind::kObject) {
        wrong(part_path(message, index, ".input_audio"), cursor_.skip(),
            "an object with 'data' and 'format'");
        return;
    } else {
        cursor_.enter_object();
        while (!stopped() && cursor_.next_member()) {
            const bool is_data = key() == "data";
            const Kind kind = cursor_.peek();
            const std::string_view seen = cursor_.skip();
            if (is_data && kind != Kind::kString)
                wrong(part_path(message, index, ".input_audio.data"), seen, "a base64 string");
            if (is_data) bytes += seen.size() - std::min<std::size_t>(2, seen.size());
        }
    }
    ++facts_.audio_parts;
    facts_.audio_data_bytes += static_cast<std::int64_t>(bytes);
    facts_.prompt_bytes -= static_cast<std::int64_t>(bytes);
}

void Inspector::read_file(std::uint32_t message, std::uint32_t index) {
    if (cursor_.peek() != Kind::kObject) {
        wrong(part_path(message, index, ".file"), cursor_.skip(), "an object");
        return;
    }
    bool has_id = false;
    std::size_t bytes = 0;
    cursor_.enter_object();
    while (!stopped() && cursor_.next_member()) {
        const bool is_id = key() == "file_id";
        const bool is_data = key() == "file_data";
        const Kind kind = cursor_.peek();
        const std::string_view seen = cursor_.skip();
        if ((is_id || is_data) && kind != Kind::kString && kind != Kind::kNull)
            wrong(part_path(message, index, is_id ? ".file.file_id" : ".file.file_data"), seen,
                "a string");
        if (stopped()) return;
        if (kind != Kind::kString) continue;
        has_id = has_id || is_id;
        // A document by URL is as unbounded as a stored one: only data inside counts as data.
        if (is_data && seen.substr(1).starts_with("http"))
            has_id = true;
        else if (is_data)
            bytes += seen.size() - 2;
    }
    if (has_id)
        ++facts_.file_ids;
    else
        ++facts_.documents;
    facts_.document_data_bytes += static_cast<std::int64_t>(bytes);
    facts_.prompt_bytes -= static_cast<std::int64_t>(bytes);
}

void Inspector::hash_prompt() {
    const std::string_view messages = facts_.messages_span.in(body_);
    const std::string_view tools = tools_span_.in(body_);
    const std::size_t begin = facts_.messages_span.begin;
    if (tools.size() + messages.size() < canon::kCachedPrefixBytesMin) return;
    // Without the closing bracket: the next turn goes on where this one ended.
    std::string_view turns = messages.substr(0, messages.size() - 1);
    const std::uint64_t seed = tools.empty() ? 0 : XXH3_64bits(tools.data(), tools.size());
    // A digest at each boundary of one running hash; `from` is what was hashed already.
    XXH3_state_t state;
    XXH3_64bits_reset_withSeed(&state, seed);
    std::size_t from = 0;
    const auto digest_at = [&](std::size_t offset) {
        // What separates messages is not content: `, ` today may be `,` in the next turn.
        std::size_t end = offset;
        while (end > from &&
            (turns[end - 1] == ' ' || turns[end - 1] == ',' || turns[end - 1] == '\n' ||
                turns[end - 1] == '\r' || turns[end - 1] == '\t'))
            --end;
        XXH3_64bits_update(&state, turns.data() + from, end - from);
        from = end;
        return tools.size() + end < canon::kCachedPrefixBytesMin ? 0 : XXH3_64bits_digest(&state);
    };
    if (opening_end_ > begin) facts_.opening_hash = digest_at(opening_end_ - begin);
    if (last_assistant_begin_ > begin + from)
        facts_.parent_hash = digest_at(last_assistant_begin_ - begin);
    facts_.prompt_hash = digest_at(turns.size());
}

}  // namespace

void RequestFacts::clear() {
    // What its strings have grown to is kept.
    canon::RequestFacts neutral = std::move(*this);
    neutral.clear();
    *this = RequestFacts{std::move(neutral)};
}

Status inspect(std::string_view body, RequestFacts& facts, std::string_view model_in_path) {
    facts.clear();
    return Inspector(body, facts, model_in_path).run();
}

}  // namespace entrepot::dialect::openai_chat
