#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "canon/field_names.h"
#include "dialect/openai_chat/media.h"
#include "dialect/openai_chat/request.h"

namespace entrepot::dialect::openai_chat {
namespace {

using canon::Item;
using canon::Media;
using canon::Role;
using json::Value;

std::unexpected<Error> wrong(std::string field, std::string_view seen, std::string_view accepted) {
    std::string message =
        fmt::format("'{}' is {}; it must be {}", field, excerpt(seen, 120), accepted);
    return fail_field(ErrorCode::kInvalidField, std::move(field), std::move(message));
}

std::unexpected<Error> missing(std::string field, std::string_view accepted) {
    return wrong(std::move(field), "missing", accepted);
}

/// Whether an optional member was given: absent and null are the same.
bool is_given(const Value& value) { return !value.is_null(); }

Result<std::string> text_of(const Value& value, std::string field) {
    if (!value.is_string()) return wrong(std::move(field), value.raw(), "a string");
    return std::string(value.string());
}

Status set_text(const Value& value, std::string_view field, std::string& out) {
    if (!is_given(value)) return {};
    ENTREPOT_TRY(out, text_of(value, std::string(field)));
    return {};
}

Status set_flag(const Value& value, std::string_view field, std::optional<bool>& out) {
    if (!is_given(value)) return {};
    out = value.as_bool();
    if (!out) return wrong(std::string(field), value.raw(), "true, false or null");
    return {};
}

struct WholeRange {
    std::int64_t low;
    std::int64_t high;
};

Status set_whole(const Value& value, std::string_view field, WholeRange range,
    std::optional<std::int64_t>& out) {
    if (!is_given(value)) return {};
    out = value.as_int();
    if (!out || *out < range.low || *out > range.high)
        return wrong(std::string(field), value.raw(),
            fmt::format("a whole number from {} to {}, or null", range.low, range.high));
    return {};
}

struct NumberRange {
    double low;
    double high;
};

Status set_number(const Value& value, std::string_view field, NumberRange range,
    std::optional<canon::NumberText>& out) {
    if (!is_given(value)) return {};
    double number = 0;
    const std::string_view raw = value.raw();
    const auto parsed = std::from_chars(raw.data(), raw.data() + raw.size(), number);
    if (!value.is_number() || parsed.ec != std::errc() || number < range.low || number > range.high)
        return wrong(std::string(field), raw,
            fmt::format("a number from {} to {}, or null", range.low, range.high));
    out = std::string(raw);
    return {};
}

canon::CacheMark cache_mark(const Value& control) { return {std::string(control["ttl"].string())}; }

void keep_extra(std::vector<canon::Extra>& extras, std::string path, const Value& value) {
    extras.push_back({std::move(path), std::string(value.raw())});
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
    return std::ranges::find(words, word) != words.end();
}

// ---- parts

/// Splits a `data:` URL into its type and its base64; other URLs stay whole.
void set_source(Media& media, std::string_view url) {
    const std::string_view data = data_of_url(url);
    if (data.empty()) {
        media.source = Media::Source::kUrl;
        media.data = url;
        return;
    }
    media.source = Media::Source::kBase64;
    media.media_type = media_type_of_url(url);
    media.data = data;
}

Result<Media> decode_image(const Value& part, const std::string& path) {
    const Value& image = part["image_url"];
    const bool is_bare = image.is_string();
    if (!is_bare && !image.is_object())
        return wrong(path + ".image_url", is_given(image) ? image.raw() : "missing",
            "an object with a 'url'");
    const std::string field = path + (is_bare ? ".image_url" : ".image_url.url");
    const Value& url = is_bare ? image : image["url"];
    if (!is_given(url)) return missing(field, "an https: URL or a data: URL with base64");
    ENTREPOT_TRY(const std::string text, text_of(url, field));
    if (const std::string_view problem = url_problem(text); !problem.empty())
        return wrong(field, fmt::format("'{}' ({})", excerpt(text, 40), problem),
            "an https: URL or a data: URL with base64");
    Media media;
    media.kind = Media::Kind::kImage;
    set_source(media, text);
    if (!is_bare)
        ENTREPOT_TRY_DO(set_text(image["detail"], path + ".image_url.detail", media.detail));
    return media;
}

Result<Media> decode_audio(const Value& part, const std::string& path) {
    const Value& audio = part["input_audio"];
    Media media;
    media.kind = Media::Kind::kAudio;
    if (audio.is_string()) {  // Mistral: the bare base64, or a URL
        if (audio.string().starts_with("http") || audio.string().starts_with("data:"))
            set_source(media, audio.string());
        else
            media.data = audio.string();
        return media;
    }
    if (!audio.is_object())
        return wrong(path + ".input_audio", is_given(audio) ? audio.raw() : "missing",
            "an object with 'data' and 'format'");
    ENTREPOT_TRY(media.data, text_of(audio["data"], path + ".input_audio.data"));
    ENTREPOT_TRY(const std::string format, text_of(audio["format"], path + ".input_audio.format"));
    media.media_type = "audio/" + format;
    return media;
}

Result<Media> decode_file(const Value& part, const std::string& path) {
    const Value& file = part["file"];
    if (!file.is_object())
        return wrong(path + ".file", is_given(file) ? file.raw() : "missing", "an object");
    Media media;
    media.kind = Media::Kind::kDocument;
    ENTREPOT_TRY_DO(set_text(file["filename"], path + ".file.filename", media.name));
    if (is_given(file["file_id"])) {
        media.source = Media::Source::kFileId;
        ENTREPOT_TRY(media.data, text_of(file["file_id"], path + ".file.file_id"));
        return media;
    }
    if (!is_given(file["file_data"]))
        return missing(path + ".file.file_data", "a string with base64, unless 'file_id' is given");
    ENTREPOT_TRY(const std::string data, text_of(file["file_data"], path + ".file.file_data"));
    if (data.starts_with("data:") || data.starts_with("http"))
        set_source(media, data);
    else
        media.data = data;
    return media;
}

/// One content part as an item; its unknown members ride along.
Result<Item> decode_part(const Value& part, const std::string& path) {
    Item item;
    if (part.is_string()) {  // Mistral takes bare strings
        item.body = canon::Text{std::string(part.string())};
        return item;
    }
    if (!part.is_object()) return wrong(path, part.raw(), "an object");
    if (!is_given(part["type"])) return missing(path + ".type", "a string such as \"text\"");
    ENTREPOT_TRY(const std::string type, text_of(part["type"], path + ".type"));
    std::string_view payload = type;
    if (type == "text") {
        ENTREPOT_TRY(std::string text, text_of(part["text"], path + ".text"));
        item.body = canon::Text{std::move(text)};
    } else if (type == "refusal") {
        ENTREPOT_TRY(std::string text, text_of(part["refusal"], path + ".refusal"));
        item.body = canon::Refusal{std::move(text)};
    } else if (type == "image_url") {
        ENTREPOT_TRY(Media media, decode_image(part, path));
        item.body = std::move(media);
    } else if (type == "input_audio") {
        ENTREPOT_TRY(Media media, decode_audio(part, path));
        item.body = std::move(media);
    } else if (type == "file") {
        ENTREPOT_TRY(Media media, decode_file(part, path));
        item.body = std::move(media);
    } else {
        item.body = canon::Opaque{std::string(kName), type, std::string(part.raw())};
        return item;
    }
    for (const json::Member& member : part.members()) {
        if (member.key == "type" || member.key == payload || !is_given(member.value)) continue;
        if (member.key == "cache_control" && member.value.is_object())
            item.cache = cache_mark(member.value);
        else
            keep_extra(item.extras, fmt::format("{}.{}", path, canon::path_step(member.key)),
                member.value);
    }
    return item;
}

/// A message's content as items: none for null or nothing.
Result<std::vector<Item>> decode_content(const Value& content, const std::string& path) {
    std::vector<Item> items;
    if (!is_given(content)) return items;
    if (content.is_string()) {
        Item item;
        item.body = canon::Text{std::string(content.string())};
        items.push_back(std::move(item));
        return items;
    }
    if (!content.is_array())
        return wrong(path, content.raw(), "a string, an array of parts, or null");
    std::size_t index = 0;
    for (const Value& part : content.items()) {
        ENTREPOT_TRY(Item item, decode_part(part, fmt::format("{}[{}]", path, index++)));
        items.push_back(std::move(item));
    }
    return items;
}

// ---- messages

std::string healed(std::string_view arguments) {
    // A history that a careless gateway spoiled: every supplier wants an object here.
    return trim(arguments).empty() ? "{}" : std::string(arguments);
}

std::string legacy_call_id(std::size_t turn) { return fmt::format("call_{}", turn); }

class MessagesDecoder {
public:
    explicit MessagesDecoder(canon::Request& request) : request_(request) {}
    Status decode(const Value& messages);

private:
    Status decode_message(const Value& message, std::size_t index);
    Status decode_tool_calls(const Value& calls, const std::string& path);
    Result<Item> decode_tool_call(const Value& call, const std::string& path);
    Status decode_tool_result(const Value& message, const std::string& path, bool is_legacy);
    Status decode_assistant(const Value& message, const std::string& path);
    void add(Item item) {
        item.role = role_;
        item.turn = turn_;
        item.author = author_;
        request_.items.push_back(std::move(item));
    }

    canon::Request& request_;
    Role role_ = Role::kUser;
    std::uint32_t turn_ = 0;
    std::string author_;
    std::string legacy_call_id_;  // of the last `function_call`, for its result
};

Status MessagesDecoder::decode(const Value& messages) {
    constexpr std::string_view kAccepted = "an array of at least one message";
    if (!is_given(messages)) return missing("messages", kAccepted);
    if (!messages.is_array()) return wrong("messages", messages.raw(), kAccepted);
    if (messages.items().empty()) return wrong("messages", "empty", kAccepted);
    std::size_t index = 0;
    for (const Value& message : messages.items()) ENTREPOT_TRY_DO(decode_message(message, index++));
    return {};
}

Status MessagesDecoder::decode_message(const Value& message, std::size_t index) {
    const std::string path = fmt::format("messages[{}]", index);
    constexpr std::string_view kRoles = "one of system, developer, user, assistant, tool, function";
    if (!message.is_object()) return wrong(path, message.raw(), "an object");
    if (!is_given(message["role"])) return missing(path + ".role", kRoles);
    ENTREPOT_TRY(const std::string role, text_of(message["role"], path + ".role"));
    constexpr std::array<std::pair<std::string_view, Role>, 6> kKnown{
        {{"system", Role::kSystem}, {"developer", Role::kDeveloper}, {"user", Role::kUser},
            {"assistant", Role::kAssistant}, {"tool", Role::kTool}, {"function", Role::kTool}}};
    const auto found = std::ranges::find(kKnown, role, &std::pair<std::string_view, Role>::first);
    if (found == kKnown.end()) return wrong(path + ".role", fmt::format("'{}'", role), kRoles);
    role_ = found->second;
    turn_ = static_cast<std::uint32_t>(index);
    author_.clear();
    const std::size_t first = request_.items.size();
    if (role_ == Role::kTool) {
        ENTREPOT_TRY_DO(decode_tool_result(message, path, role == "function"));
    } else {
        ENTREPOT_TRY_DO(set_text(message["name"], path + ".name", author_));
        if (role_ == Role::kAssistant) ENTREPOT_TRY_DO(decode_assistant(message, path));
        ENTREPOT_TRY(
            std::vector<Item> items, decode_content(message["content"], path + ".content"));
        for (Item& item : items) add(std::move(item));
        if (role_ == Role::kAssistant)
            ENTREPOT_TRY_DO(decode_tool_calls(message["tool_calls"], path + ".tool_calls"));
        if (const Value& call = message["function_call"]; is_given(call)) {
            if (!call.is_object()) return wrong(path + ".function_call", call.raw(), "an object");
            canon::ToolCall made;
            made.id = legacy_call_id_ = legacy_call_id(index);
            ENTREPOT_TRY(made.name, text_of(call["name"], path + ".function_call.name"));
            made.arguments = healed(call["arguments"].string());
            request_.uses_functions = true;
            Item item;
            item.body = std::move(made);
            add(std::move(item));
        }
    }
    // A message that says nothing is a turn all the same.
    if (request_.items.size() == first) {
        Item item;
        item.body = canon::Text{};
        add(std::move(item));
    }
    for (const json::Member& member : message.members()) {
        if (!is_given(member.value) ||
            is_one_of(member.key,
                {"role", "content", "name", "tool_calls", "tool_call_id", "function_call",
                    "refusal", "reasoning_content", "reasoning", "reasoning_details"}))
            continue;
        if (member.key == "cache_control" && member.value.is_object())
            request_.items.back().cache = cache_mark(member.value);
        else
            keep_extra(request_.items[first].extras,
                fmt::format("{}.{}", path, canon::path_step(member.key)), member.value);
    }
    return {};
}

Status MessagesDecoder::decode_assistant(const Value& message, const std::string& path) {
    // The same text may stand under both names. DeepSeek wants it back even where it is empty.
    std::optional<std::string> thought;
    for (const std::string_view key : {"reasoning_content", "reasoning"}) {
        std::string text;
        ENTREPOT_TRY_DO(set_text(message[key], fmt::format("{}.{}", path, key), text));
        if (message[key].is_string() && (!thought || thought->empty())) thought = std::move(text);
    }
    if (thought) {
        Item item;
        item.body = canon::Thought{*std::move(thought)};
        add(std::move(item));
    }
    if (const Value& details = message["reasoning_details"]; is_given(details)) {
        Item item;
        item.body =
            canon::Opaque{std::string(kName), "reasoning_details", std::string(details.raw())};
        add(std::move(item));
    }
    std::string refusal;
    ENTREPOT_TRY_DO(set_text(message["refusal"], path + ".refusal", refusal));
    if (!refusal.empty()) {
        Item item;
        item.body = canon::Refusal{std::move(refusal)};
        add(std::move(item));
    }
    return {};
}

Result<Item> MessagesDecoder::decode_tool_call(const Value& call, const std::string& path) {
    if (!call.is_object()) return wrong(path, call.raw(), "an object");
    Item item;
    canon::ToolCall made;
    ENTREPOT_TRY_DO(set_text(call["id"], path + ".id", made.id));
    made.is_custom = call["type"].string() == "custom";
    const std::string_view key = made.is_custom ? "custom" : "function";
    const Value& body = call[key];
    const std::string body_path = fmt::format("{}.{}", path, key);
    if (!body.is_object())
        return wrong(body_path, is_given(body) ? body.raw() : "missing", "an object with a 'name'");
    ENTREPOT_TRY(made.name, text_of(body["name"], body_path + ".name"));
    const std::string_view argument_key = made.is_custom ? "input" : "arguments";
    const Value& arguments = body[argument_key];
    if (made.is_custom)
        made.arguments = arguments.string();
    else if (arguments.is_object())
        made.arguments = arguments.raw();  // Ollama's habit
    else if (arguments.is_string() || !is_given(arguments))
        made.arguments = healed(arguments.string());
    else
        return wrong(body_path + ".arguments", arguments.raw(), "a string of JSON");
    for (const json::Member& member : call.members()) {
        if (is_one_of(member.key, {"id", "type", key, "index"}) || !is_given(member.value))
            continue;
        const Value& signature = member.value["google"]["thought_signature"];
        if (member.key == "extra_content" && signature.is_string())
            item.signature = canon::Signature{"gemini", std::string(signature.string())};
        else
            keep_extra(item.extras, fmt::format("{}.{}", path, canon::path_step(member.key)),
                member.value);
    }
    item.body = std::move(made);
    return item;
}

Status MessagesDecoder::decode_tool_calls(const Value& calls, const std::string& path) {
    if (!is_given(calls)) return {};
    if (!calls.is_array()) return wrong(path, calls.raw(), "an array of calls or null");
    std::size_t index = 0;
    for (const Value& call : calls.items()) {
        ENTREPOT_TRY(Item item, decode_tool_call(call, fmt::format("{}[{}]", path, index++)));
        add(std::move(item));
    }
    return {};
}

Status MessagesDecoder::decode_tool_result(
    const Value& message, const std::string& path, bool is_legacy) {
    canon::ToolResult result;
    ENTREPOT_TRY_DO(set_text(message["name"], path + ".name", result.name));
    if (is_legacy) {
        result.call_id = legacy_call_id_.empty() ? legacy_call_id(turn_) : legacy_call_id_;
        request_.uses_functions = true;
    } else {
        if (!is_given(message["tool_call_id"]))
            return missing(path + ".tool_call_id", "the id of a call in an earlier message");
        ENTREPOT_TRY(result.call_id, text_of(message["tool_call_id"], path + ".tool_call_id"));
    }
    ENTREPOT_TRY(result.content, decode_content(message["content"], path + ".content"));
    for (Item& part : result.content) {
        part.role = role_;
        part.turn = turn_;
    }
    Item item;
    item.body = std::move(result);
    add(std::move(item));
    return {};
}

// ---- tools

Result<canon::Tool> decode_function(const Value& function, const std::string& path) {
    canon::Tool tool;
    if (!is_given(function["name"])) return missing(path + ".name", "a string");
    ENTREPOT_TRY(tool.name, text_of(function["name"], path + ".name"));
    ENTREPOT_TRY_DO(set_text(function["description"], path + ".description", tool.description));
    if (const Value& parameters = function["parameters"]; is_given(parameters)) {
        if (!parameters.is_object())
            return wrong(path + ".parameters", parameters.raw(), "an object with a JSON schema");
        tool.parameters = parameters.raw();
    }
    ENTREPOT_TRY_DO(set_flag(function["strict"], path + ".strict", tool.is_strict));
    for (const json::Member& member : function.members())
        if (is_given(member.value) &&
            !is_one_of(member.key, {"name", "description", "parameters", "strict"}))
            keep_extra(tool.extras, fmt::format("{}.{}", path, canon::path_step(member.key)),
                member.value);
    return tool;
}

Result<canon::Tool> decode_tool(const Value& value, const std::string& path) {
    if (!value.is_object()) return wrong(path, value.raw(), "an object");
    if (!is_given(value["type"])) return missing(path + ".type", "a string such as \"function\"");
    ENTREPOT_TRY(const std::string type, text_of(value["type"], path + ".type"));
    canon::Tool tool;
    if (type == "function") {
        const Value& function = value["function"];
        if (!function.is_object())
            return wrong(path + ".function", is_given(function) ? function.raw() : "missing",
                "an object with a 'name'");
        ENTREPOT_TRY(tool, decode_function(function, path + ".function"));
    } else if (type == "custom" && value["custom"].is_object()) {
        ENTREPOT_TRY(tool, decode_function(value["custom"], path + ".custom"));
        tool.is_custom = true;
    } else {
        tool.name = type;
        tool.server = canon::Opaque{std::string(kName), type, std::string(value.raw())};
        return tool;
    }
    for (const json::Member& member : value.members()) {
        if (is_one_of(member.key, {"type", "function", "custom"}) || !is_given(member.value))
            continue;
        if (member.key == "cache_control" && member.value.is_object())
            tool.cache = cache_mark(member.value);
        else
            keep_extra(tool.extras, fmt::format("{}.{}", path, canon::path_step(member.key)),
                member.value);
    }
    return tool;
}

Status decode_tools(const Value& root, canon::Request& request) {
    const auto each = [&](std::string_view name, auto decode) -> Status {
        const Value& list = root[name];
        if (!is_given(list)) return {};
        if (!list.is_array())
            return wrong(std::string(name), list.raw(), "an array of objects or null");
        std::size_t index = 0;
        for (const Value& value : list.items()) {
            const std::string path = fmt::format("{}[{}]", name, index++);
            if (!value.is_object()) return wrong(path, value.raw(), "an object");
            ENTREPOT_TRY(canon::Tool tool, decode(value, path));
            request.tools.push_back(std::move(tool));
        }
        return {};
    };
    ENTREPOT_TRY_DO(each("tools", decode_tool));
    ENTREPOT_TRY_DO(each("functions", decode_function));
    request.uses_functions = request.uses_functions || is_given(root["functions"]);
    return {};
}

/// A set of allowed tools, where each is one the client runs. False: it is another kind of set.
bool decode_allowed(const Value& allowed, canon::Request& request) {
    const std::string_view mode = allowed["mode"].string();
    canon::ToolChoice made;
    if (mode == "required") made.mode = canon::ToolChoice::Mode::kRequired;
    for (const Value& tool : allowed["tools"].items()) {
        const std::string_view type = tool["type"].string();
        const std::string_view name = tool[type]["name"].string();
        if ((type != "function" && type != "custom") || name.empty()) return false;
        made.names.emplace_back(name);
    }
    if (made.names.empty() || (mode != "required" && mode != "auto")) return false;
    request.tool_choice = std::move(made);
    return true;
}

Status decode_tool_choice(const Value& root, canon::Request& request) {
    using Mode = canon::ToolChoice::Mode;
    const bool is_legacy = !is_given(root["tool_choice"]);
    const std::string field = is_legacy ? "function_call" : "tool_choice";
    const Value& choice = root[field];
    if (!is_given(choice)) return {};
    constexpr std::string_view kAccepted =
        "none, auto, required, or an object that names a function";
    if (choice.is_string()) {
        const std::string_view word = choice.string();
        canon::ToolChoice made;
        if (word == "none")
            made.mode = Mode::kNone;
        else if (word == "required" || word == "any")  // Mistral's `any`
            made.mode = Mode::kRequired;
        else if (word != "auto")
            return wrong(field, choice.raw(), kAccepted);
        request.tool_choice = made;
        return {};
    }
    if (!choice.is_object()) return wrong(field, choice.raw(), kAccepted);
    const std::string_view type = choice["type"].string();
    const Value& named = is_legacy ? choice : choice[type == "custom" ? "custom" : "function"];
    if (type == "allowed_tools" && decode_allowed(choice["allowed_tools"], request)) return {};
    if (!named["name"].is_string()) {
        if (is_legacy || type.empty() || type == "function")
            return wrong(field, choice.raw(), kAccepted);
        keep_extra(request.extras, field, choice);  // what may come
        return {};
    }
    request.tool_choice = canon::ToolChoice{Mode::kNamed, std::string(named["name"].string())};
    return {};
}

// ---- the rest of the request

Status decode_format(const Value& root, canon::Request& request) {
    using Kind = canon::ResponseFormat::Kind;
    const Value& format = root["response_format"];
    if (!is_given(format)) return {};
    if (!format.is_object()) return wrong("response_format", format.raw(), "an object or null");
    const std::string_view type = format["type"].string();
    canon::ResponseFormat made;
    if (type == "json_object") {
        made.kind = Kind::kJsonObject;
    } else if (type == "json_schema") {
        const Value& schema = format["json_schema"];
        if (!schema.is_object())
            return wrong("response_format.json_schema", is_given(schema) ? schema.raw() : "missing",
                "an object with 'name' and 'schema'");
        made.kind = Kind::kJsonSchema;
        ENTREPOT_TRY_DO(set_text(schema["name"], "response_format.json_schema.name", made.name));
        ENTREPOT_TRY_DO(set_text(
            schema["description"], "response_format.json_schema.description", made.description));
        ENTREPOT_TRY_DO(
            set_flag(schema["strict"], "response_format.json_schema.strict", made.is_strict));
        if (is_given(schema["schema"])) made.schema = schema["schema"].raw();
    } else if (type != "text") {
        keep_extra(request.extras, "response_format", format);  // `grammar`, ...
        return {};
    }
    request.format = std::move(made);
    return {};
}

Status decode_stop(const Value& root, canon::Request& request) {
    const Value& stop = root["stop"];
    if (!is_given(stop)) return {};
    if (stop.is_string()) {
        request.stop.emplace_back(stop.string());
        return {};
    }
    constexpr std::string_view kAccepted = "a string, an array of at most 4 strings, or null";
    if (!stop.is_array() || stop.items().size() > 4) return wrong("stop", stop.raw(), kAccepted);
    std::size_t index = 0;
    for (const Value& word : stop.items()) {
        ENTREPOT_TRY(std::string text, text_of(word, fmt::format("stop[{}]", index++)));
        request.stop.push_back(std::move(text));
    }
    return {};
}

Status decode_stream(const Value& root, canon::Request& request) {
    std::optional<bool> flag;
    ENTREPOT_TRY_DO(set_flag(root["stream"], "stream", flag));
    request.is_stream = flag.value_or(false);
    const Value& options = root["stream_options"];
    if (!is_given(options)) return {};
    if (!options.is_object()) return wrong("stream_options", options.raw(), "an object or null");
    flag.reset();
    ENTREPOT_TRY_DO(set_flag(options["include_usage"], "stream_options.include_usage", flag));
    request.wants_usage = flag.value_or(false);
    for (const json::Member& member : options.members())
        if (member.key != "include_usage")
            keep_extra(request.extras,
                fmt::format("stream_options.{}", canon::path_step(member.key)), member.value);
    return {};
}

Status decode_reasoning(const Value& root, canon::Request& request) {
    if (const Value& effort = root["reasoning_effort"]; is_given(effort)) {
        request.reasoning.emplace();
        ENTREPOT_TRY(request.reasoning->effort, text_of(effort, "reasoning_effort"));
        // Groq's `default` is what is meant when nothing is said.
        constexpr std::array<std::string_view, 8> kEfforts{
            "none", "minimal", "low", "medium", "high", "xhigh", "max", "default"};
        if (std::ranges::find(kEfforts, request.reasoning->effort) == kEfforts.end())
            return wrong("reasoning_effort", effort.raw(),
                "one of none, minimal, low, medium, high, xhigh, max, or null");
        if (request.reasoning->effort == "default") request.reasoning.reset();
    }
    // Claude's own switch, which its users send through OpenAI's SDK; DeepSeek and Z.ai have it
    // too.
    const Value& thinking = root["thinking"];
    if (!is_given(thinking)) return {};
    const std::string_view type = thinking["type"].string();
    const auto budget = thinking["budget_tokens"].as_int();
    const std::size_t understood = 1 + (budget ? 1 : 0);
    if ((type != "enabled" && type != "disabled") || thinking.members().size() != understood) {
        keep_extra(request.extras, "thinking", thinking);
        return {};
    }
    if (!request.reasoning) request.reasoning.emplace();
    request.reasoning->is_enabled = type == "enabled";
    request.reasoning->budget_tokens = budget;
    return {};
}

Status decode_caps(const Value& root, canon::Request& request) {
    constexpr WholeRange kCap{1, std::int64_t{1} << 31};
    std::optional<std::int64_t> old_cap;
    ENTREPOT_TRY_DO(set_whole(root["max_tokens"], "max_tokens", kCap, old_cap));
    ENTREPOT_TRY_DO(set_whole(
        root["max_completion_tokens"], "max_completion_tokens", kCap, request.output_tokens_max));
    if (!request.output_tokens_max) request.output_tokens_max = old_cap;
    return {};
}

Status decode_sampling(const Value& root, canon::Request& request) {
    ENTREPOT_TRY_DO(set_number(root["temperature"], "temperature", {0, 2}, request.temperature));
    ENTREPOT_TRY_DO(set_number(root["top_p"], "top_p", {0, 1}, request.top_p));
    ENTREPOT_TRY_DO(set_number(
        root["frequency_penalty"], "frequency_penalty", {-2, 2}, request.frequency_penalty));
    ENTREPOT_TRY_DO(set_number(
        root["presence_penalty"], "presence_penalty", {-2, 2}, request.presence_penalty));
    ENTREPOT_TRY_DO(set_whole(root["seed"], "seed", {INT64_MIN, INT64_MAX}, request.seed));
    ENTREPOT_TRY_DO(set_whole(root["n"], "n", {1, 128}, request.choices));
    ENTREPOT_TRY_DO(set_flag(root["logprobs"], "logprobs", request.logprobs));
    ENTREPOT_TRY_DO(set_whole(root["top_logprobs"], "top_logprobs", {0, 20}, request.top_logprobs));
    for (const auto& [field, out] :
        {std::pair{"logit_bias", &request.logit_bias}, std::pair{"metadata", &request.metadata}}) {
        const Value& value = root[field];
        if (!is_given(value)) continue;
        if (!value.is_object()) return wrong(field, value.raw(), "an object or null");
        *out = value.raw();
    }
    return {};
}

Status decode_names(const Value& root, canon::Request& request) {
    ENTREPOT_TRY_DO(set_text(root["user"], "user", request.user));
    std::string identifier;
    ENTREPOT_TRY_DO(set_text(root["safety_identifier"], "safety_identifier", identifier));
    if (!identifier.empty()) {
        if (!request.user.empty()) keep_extra(request.extras, "user", root["user"]);
        request.user = identifier;
    }
    ENTREPOT_TRY_DO(set_text(root["service_tier"], "service_tier", request.service_tier));
    ENTREPOT_TRY_DO(set_text(root["verbosity"], "verbosity", request.verbosity));
    ENTREPOT_TRY_DO(
        set_text(root["prompt_cache_key"], "prompt_cache_key", request.prompt_cache_key));
    ENTREPOT_TRY_DO(set_flag(root["store"], "store", request.store));
    return set_flag(
        root["parallel_tool_calls"], "parallel_tool_calls", request.parallel_tool_calls);
}

bool is_read(std::string_view key) {
    return is_one_of(key,
        {"model", "messages", "tools", "functions", "tool_choice", "function_call",
            "parallel_tool_calls", "max_tokens", "max_completion_tokens", "temperature", "top_p",
            "frequency_penalty", "presence_penalty", "seed", "logit_bias", "logprobs",
            "top_logprobs", "n", "stop", "response_format", "reasoning_effort", "thinking",
            "verbosity", "service_tier", "user", "safety_identifier", "prompt_cache_key",
            "metadata", "store", "stream", "stream_options"});
}

}  // namespace

Result<canon::Request> decode_request(const json::Document& body, const RequestContext& context) {
    const Value& root = body.root();
    if (!root.is_object()) return fail(ErrorCode::kBadRequest, "the body must be a JSON object");
    canon::Request request;
    request.origin = kName;
    request.model = context.model.value_or("");
    if (request.model.empty() && (!context.model || is_given(root["model"]))) {
        if (!is_given(root["model"])) return missing("model", "a string that names a model");
        ENTREPOT_TRY(request.model, text_of(root["model"], "model"));
    }
    ENTREPOT_TRY_DO(MessagesDecoder(request).decode(root["messages"]));
    ENTREPOT_TRY_DO(decode_tools(root, request));
    ENTREPOT_TRY_DO(decode_tool_choice(root, request));
    ENTREPOT_TRY_DO(decode_caps(root, request));
    ENTREPOT_TRY_DO(decode_sampling(root, request));
    ENTREPOT_TRY_DO(decode_stop(root, request));
    ENTREPOT_TRY_DO(decode_format(root, request));
    ENTREPOT_TRY_DO(decode_reasoning(root, request));
    ENTREPOT_TRY_DO(decode_stream(root, request));
    ENTREPOT_TRY_DO(decode_names(root, request));
    for (const json::Member& member : root.members())
        if (!is_read(member.key) && is_given(member.value))
            keep_extra(request.extras, canon::path_step(member.key), member.value);
    ENTREPOT_TRY_DO(canon::refuse_odd_names(request));
    return request;
}

}  // namespace entrepot::dialect::openai_chat
