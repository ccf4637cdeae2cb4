#include "dialect/gemini/parts.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "canon/field_names.h"
#include "dialect/gemini/gemini.h"
#include "dialect/gemini/models.h"

namespace entrepot::dialect::gemini {
namespace {

using canon::StopReason;
using json::Value;

// What was cached is part of the prompt, and only one account of Google's has it.
constexpr std::array<std::string_view, 1> kStatefulFields{"cachedContent"};

template <Service service>
constexpr Dialect make(std::string_view name) {
    return {.name = name,
        .stream_content_type = "text/event-stream",
        .has_model_in_path = true,
        .model_field = "",
        .stateful_fields = kStatefulFields,
        .decode_request =
            [](const json::Document& body, const RequestContext& context) {
                return decode_request(body, context, service);
            },
        .encode_request =
            [](const canon::Request& request, const EncodeTarget& target) {
                return encode_request(request, target, service);
            },
        .reply_decoder = [](ReplyForm form) { return reply_decoder(form, service); },
        .reply_encoder =
            [](ReplyForm form, const ReplyContext& context) {
                return reply_encoder(form, context, service);
            },
        .decode_failure = decode_failure,
        .encode_failure = encode_failure,
        .wants_json_array = wants_json_array,
        .write_models =
            [](std::span<const canon::ListedModel> models, std::string_view query) {
                return write_models(models, query, service);
            },
        .write_model = [](const canon::ListedModel& model) { return write_model(model, service); },
        .adopt_failure = adopt_failure};
}

constexpr Dialect kGemini = make<Service::kGemini>(kName);
constexpr Dialect kVertex = make<Service::kVertex>(kVertexName);

struct FinishWord {
    std::string_view word;
    StopReason reason;
    int gemini;  // its number at each service; -1 where it has none
    int vertex;
};
// For a reason with several words the first is written.
constexpr std::array kFinishWords{
    FinishWord{"STOP", StopReason::kStop, 1, 1},
    FinishWord{"MAX_TOKENS", StopReason::kLength, 2, 2},
    FinishWord{"SAFETY", StopReason::kContentFilter, 3, 3},
    FinishWord{"RECITATION", StopReason::kContentFilter, 4, 4},
    FinishWord{"OTHER", StopReason::kOther, 5, 5},
    FinishWord{"LANGUAGE", StopReason::kOther, 6, -1},
    FinishWord{"BLOCKLIST", StopReason::kContentFilter, 7, 6},
    FinishWord{"PROHIBITED_CONTENT", StopReason::kContentFilter, 8, 7},
    FinishWord{"SPII", StopReason::kContentFilter, 9, 8},
    FinishWord{"MALFORMED_FUNCTION_CALL", StopReason::kMalformed, 10, 9},
    FinishWord{"MODEL_ARMOR", StopReason::kContentFilter, -1, 10},
    FinishWord{"IMAGE_SAFETY", StopReason::kContentFilter, 11, 11},
    FinishWord{"UNEXPECTED_TOOL_CALL", StopReason::kMalformed, 12, 15},
    FinishWord{"TOO_MANY_TOOL_CALLS", StopReason::kMalformed, 13, -1},
    FinishWord{"IMAGE_PROHIBITED_CONTENT", StopReason::kContentFilter, 14, 12},
    FinishWord{"IMAGE_OTHER", StopReason::kOther, 15, 14},
    FinishWord{"NO_IMAGE", StopReason::kOther, 16, 16},
    FinishWord{"IMAGE_RECITATION", StopReason::kContentFilter, 17, 13},
    FinishWord{"MISSING_THOUGHT_SIGNATURE", StopReason::kMalformed, -1, -1},
    FinishWord{"MALFORMED_RESPONSE", StopReason::kMalformed, -1, -1},
    FinishWord{"JAILBREAK", StopReason::kContentFilter, -1, -1},
};

constexpr std::array<std::string_view, 7> kGeminiBlocks{"BLOCK_REASON_UNSPECIFIED", "SAFETY",
    "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", ""};
constexpr std::array<std::string_view, 7> kVertexBlocks{"BLOCKED_REASON_UNSPECIFIED", "SAFETY",
    "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "MODEL_ARMOR", "IMAGE_SAFETY"};

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

}  // namespace

const Dialect& gemini() { return kGemini; }
const Dialect& vertex() { return kVertex; }

bool wants_json_array(std::string_view query) {
    return std::ranges::none_of(split(query, '&'), [](std::string_view pair) {
        const std::string text = percent_decode(pair);
        return text == "alt=sse" || text == "$alt=sse";
    });
}

bool is_own(std::string_view origin) { return origin == kName || origin == kVertexName; }

bool spells(std::string_view key, std::string_view camel) {
    if (key == camel) return true;
    std::size_t at = 0;
    for (std::size_t i = 0; i < key.size(); ++i, ++at) {
        char c = key[i];
        if (c == '_' && i > 0 && i + 1 < key.size()) c = upper(key[++i]);
        if (at >= camel.size() || camel[at] != c) return false;
    }
    return at == camel.size();
}

const Value* find(const Value& object, std::string_view camel) {
    const Value* found = nullptr;
    for (const json::Member& member : object.members())
        if (spells(member.key, camel) && !member.value.is_null()) found = &member.value;
    return found;
}

const Value& get(const Value& object, std::string_view camel) {
    static const Value kNull;
    const Value* found = find(object, camel);
    return found == nullptr ? kNull : *found;
}

std::span<const Value> items_of(const Value& list) {
    if (list.is_array()) return list.items();
    return list.is_null() ? std::span<const Value>() : std::span(&list, 1);
}

std::string camel_of(std::string_view key) {
    std::string camel;
    for (std::size_t i = 0; i < key.size(); ++i)
        camel += key[i] == '_' && i > 0 && i + 1 < key.size() ? upper(key[++i]) : key[i];
    return camel;
}

void keep_rest(const Value& object, std::string_view path,
    std::initializer_list<std::string_view> known, std::vector<canon::Extra>& extras) {
    for (const json::Member& member : object.members()) {
        const auto is_it = [&](std::string_view name) { return spells(member.key, name); };
        if (member.value.is_null() || std::ranges::any_of(known, is_it)) continue;
        std::string where(path);
        if (!where.empty()) where += '.';
        extras.push_back(
            {where + canon::path_step(camel_of(member.key)), std::string(member.value.raw())});
    }
}

std::string_view last_key(std::string_view path) { return path.substr(path.rfind('.') + 1); }

std::string enum_word(const Value& value, std::span<const std::string_view> words) {
    std::string word;
    if (value.is_string()) {
        std::ranges::transform(value.string(), std::back_inserter(word), upper);
        return std::ranges::find(words, word) == words.end() ? std::string() : word;
    }
    const std::int64_t number = value.as_int().value_or(-1);
    if (number < 0 || static_cast<std::size_t>(number) >= words.size()) return word;
    return std::string(words[static_cast<std::size_t>(number)]);
}

bool is_object(std::string_view text) {
    const auto parsed = json::Document::parse(std::string(text));
    return parsed && parsed->root().is_object();
}

std::string one_line(std::string json) {
    // Inside of strings line ends are escaped, so what is found is white space.
    for (char& c : json)
        if (c == '\n' || c == '\r') c = ' ';
    return json;
}

canon::Media::Kind media_kind(std::string_view media_type) {
    const std::string type = to_lower(media_type);
    if (type.starts_with("image/")) return canon::Media::Kind::kImage;
    if (type.starts_with("audio/")) return canon::Media::Kind::kAudio;
    if (type.starts_with("video/")) return canon::Media::Kind::kVideo;
    return canon::Media::Kind::kDocument;
}

Sealed read_signature(std::string_view text) {
    // Clients write it in either alphabet, with its padding or without.
    std::string standard(text.substr(0, text.find('=')));
    std::ranges::replace(standard, '-', '+');
    std::ranges::replace(standard, '_', '/');
    standard.resize((standard.size() + 3) / 4 * 4, '=');
    std::string bytes;
    if (base64_decode(standard, bytes))
        if (auto sealed = unseal(bytes)) return *std::move(sealed);
    Sealed own;
    own.signature = {std::string(kOrigin), std::string(text)};
    return own;
}

std::string signature_text(const canon::Signature& signature, Sealed::Of of) {
    if (signature.origin == kOrigin) return signature.data;
    return base64_encode(seal({signature, of, {}}));
}

std::string finish_word(const Value& value, Service service) {
    if (!value.is_number()) return std::string(value.string());
    const std::int64_t number = value.as_int().value_or(0);
    for (const FinishWord& row : kFinishWords)
        if ((service == Service::kVertex ? row.vertex : row.gemini) == number)
            return std::string(row.word);
    return std::string(value.raw());
}

std::string block_word(const Value& value, Service service) {
    if (!value.is_number()) return std::string(value.string());
    const std::string word =
        enum_word(value, service == Service::kVertex ? kVertexBlocks : kGeminiBlocks);
    return word.empty() ? std::string(value.raw()) : word;
}

StopReason stop_reason(std::string_view word) {
    const auto* found = std::ranges::find(kFinishWords, word, &FinishWord::word);
    return found == kFinishWords.end() ? StopReason::kOther : found->reason;
}

std::string_view stop_word(StopReason reason) {
    switch (reason) {
        case StopReason::kToolCalls:
        case StopReason::kStopSequence:
        case StopReason::kPause: return "STOP";
        case StopReason::kContextExceeded: return "MAX_TOKENS";
        case StopReason::kRefusal: return "SAFETY";
        default: break;
    }
    const auto* found = std::ranges::find(kFinishWords, reason, &FinishWord::reason);
    return found == kFinishWords.end() ? "OTHER" : found->word;
}

}  // namespace entrepot::dialect::gemini
