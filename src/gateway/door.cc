// Which path is served in which dialect. One row for each; paths are matched as sent and only what
// stands for the model is decoded, because ids hold `:` and `/` that clients escape.
#include "gateway/door.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>

#include "base/query.h"
#include "base/text.h"
#include "dialect/registry.h"
#include "gateway/kept_door.h"
#include "gateway/passthrough.h"

namespace entrepot::gateway {
namespace {

constexpr std::string_view kModel = "{model}";

enum class Form : std::uint8_t { kByBody, kWhole, kStream };

struct Row {
    std::string_view pattern;  ///< `*`: a segment, or its beginning, of any text; `{model}`: that
    Operation operation;
    std::string_view dialect;
    Form form = Form::kByBody;
};

using enum Operation;
constexpr std::array kRows{
    Row{"/v1/chat/completions", kGenerate, "openai-chat"},
    Row{"/v1/responses", kGenerate, "openai-responses"},
    Row{"/v1/embeddings", kGenerate, "openai-embeddings"},
    Row{"/v1/responses/input_tokens", kGenerate, "openai-input-tokens", Form::kWhole},
    Row{"/v1/completions", kGenerate, "openai-completions"},
    Row{"/v1/moderations", kGenerate, "openai-moderations"},
    Row{"/v1/images/generations", kGenerate, "openai-images"},
    Row{"/v1/images/edits", kGenerate, "openai-image-edits"},
    Row{"/v1/audio/speech", kGenerate, "openai-speech"},
    Row{"/v1/audio/transcriptions", kGenerate, "openai-transcriptions"},
    Row{"/v1/audio/translations", kGenerate, "openai-translations"},
    Row{"/v1/rerank", kGenerate, "rerank"},
    Row{"/v2/rerank", kGenerate, "rerank-v2"},
    Row{"/v1/models", kModels, "openai-chat"},
    Row{"/v1/models/{model}", kModels, "openai-chat"},
    Row{"/openai/deployments/{model}/chat/completions", kGenerate, "azure-openai"},
    Row{"/openai/deployments/{model}/embeddings", kGenerate, "openai-embeddings"},
    Row{"/openai/v1/embeddings", kGenerate, "openai-embeddings"},
    Row{"/openai/deployments/{model}/completions", kGenerate, "openai-completions"},
    Row{"/openai/v1/completions", kGenerate, "openai-completions"},
    Row{"/openai/v1/moderations", kGenerate, "openai-moderations"},
    Row{"/openai/deployments/{model}/images/generations", kGenerate, "openai-images"},
    Row{"/openai/v1/images/generations", kGenerate, "openai-images"},
    Row{"/openai/deployments/{model}/images/edits", kGenerate, "openai-image-edits"},
    Row{"/openai/v1/images/edits", kGenerate, "openai-image-edits"},
    Row{"/openai/deployments/{model}/audio/speech", kGenerate, "openai-speech"},
    Row{"/openai/v1/audio/speech", kGenerate, "openai-speech"},
    Row{"/openai/deployments/{model}/audio/transcriptions", kGenerate, "openai-transcriptions"},
    Row{"/openai/v1/audio/transcriptions", kGenerate, "openai-transcriptions"},
    Row{"/openai/deployments/{model}/audio/translations", kGenerate, "openai-translations"},
    Row{"/openai/v1/audio/translations", kGenerate, "openai-translations"},
    Row{"/openai/v1/chat/completions", kGenerate, "azure-openai"},
    Row{"/openai/v1/responses", kGenerate, "openai-responses"},
    Row{"/openai/responses", kGenerate, "openai-responses"},
    Row{"/openai/v1/responses/input_tokens", kGenerate, "openai-input-tokens", Form::kWhole},
    Row{"/openai/models", kModels, "azure-openai"},
    Row{"/openai/models/{model}", kModels, "azure-openai"},
    Row{"/openai/v1/models", kModels, "azure-openai"},
    Row{"/openai/v1/models/{model}", kModels, "azure-openai"},
    Row{"/v1/messages", kGenerate, "anthropic-messages"},
    Row{"/v1/messages/count_tokens", kGenerate, "anthropic-count-tokens", Form::kWhole},
    Row{"/model/{model}/converse", kGenerate, "bedrock-converse", Form::kWhole},
    Row{"/model/{model}/converse-stream", kGenerate, "bedrock-converse", Form::kStream},
    Row{"/model/{model}/count-tokens", kGenerate, "bedrock-count-tokens", Form::kWhole},
    Row{"/model/{model}/invoke", kGenerate, "bedrock-invoke", Form::kWhole},
    Row{"/model/{model}/invoke-with-response-stream", kGenerate, "bedrock-invoke", Form::kStream},
    Row{"/v1beta/models/{model}:generateContent", kGenerate, "gemini", Form::kWhole},
    Row{"/v1beta/models/{model}:streamGenerateContent", kGenerate, "gemini", Form::kStream},
    Row{"/v1beta/models/{model}:countTokens", kGenerate, "gemini-count-tokens", Form::kWhole},
    Row{"/v1beta/models/{model}:embedContent", kGenerate, "gemini-embed", Form::kWhole},
    Row{"/v1beta/models/{model}:batchEmbedContents", kGenerate, "gemini-embed-batch", Form::kWhole},
    Row{"/v1/models/{model}:generateContent", kGenerate, "gemini", Form::kWhole},
    Row{"/v1/models/{model}:streamGenerateContent", kGenerate, "gemini", Form::kStream},
    Row{"/v1/models/{model}:countTokens", kGenerate, "gemini-count-tokens", Form::kWhole},
    Row{"/v1/models/{model}:embedContent", kGenerate, "gemini-embed", Form::kWhole},
    Row{"/v1/models/{model}:batchEmbedContents", kGenerate, "gemini-embed-batch", Form::kWhole},
    Row{"/v1beta/models", kModels, "gemini"},
    Row{"/v1beta/models/{model}", kModels, "gemini"},
    Row{"/v1/publishers/*/models", kModels, "vertex"},
    Row{"/v1/publishers/*/models/{model}", kModels, "vertex"},
    Row{"/v1beta1/publishers/*/models", kModels, "vertex"},
    Row{"/v1beta1/publishers/*/models/{model}", kModels, "vertex"},
    Row{"/v1/projects/*/locations/*/publishers/anthropic/models/count-tokens:rawPredict", kGenerate,
        "vertex-anthropic-count-tokens", Form::kWhole},
    Row{"/v1/projects/*/locations/*/publishers/anthropic/models/{model}:rawPredict", kGenerate,
        "vertex-anthropic", Form::kWhole},
    Row{"/v1/projects/*/locations/*/publishers/anthropic/models/{model}:streamRawPredict",
        kGenerate, "vertex-anthropic", Form::kStream},
    Row{"/v1/projects/*/locations/*/publishers/*/models/{model}:generateContent", kGenerate,
        "vertex", Form::kWhole},
    Row{"/v1/projects/*/locations/*/publishers/*/models/{model}:streamGenerateContent", kGenerate,
        "vertex", Form::kStream},
    Row{"/v1/projects/*/locations/*/publishers/*/models/{model}:countTokens", kGenerate,
        "vertex-count-tokens", Form::kWhole},
    Row{"/v1/projects/*/locations/*/publishers/*/models/{model}:embedContent", kGenerate,
        "gemini-embed", Form::kWhole},
    Row{"/v1/projects/*/locations/*/publishers/*/models/{model}:predict", kGenerate,
        "vertex-predict", Form::kWhole},
    Row{"/v1beta1/projects/*/locations/*/publishers/anthropic/models/count-tokens:rawPredict",
        kGenerate, "vertex-anthropic-count-tokens", Form::kWhole},
    Row{"/v1beta1/projects/*/locations/*/publishers/anthropic/models/{model}:rawPredict", kGenerate,
        "vertex-anthropic", Form::kWhole},
    Row{"/v1beta1/projects/*/locations/*/publishers/anthropic/models/{model}:streamRawPredict",
        kGenerate, "vertex-anthropic", Form::kStream},
    Row{"/v1beta1/projects/*/locations/*/publishers/*/models/{model}:generateContent", kGenerate,
        "vertex", Form::kWhole},
    Row{"/v1beta1/projects/*/locations/*/publishers/*/models/{model}:streamGenerateContent",
        kGenerate, "vertex", Form::kStream},
    Row{"/v1beta1/projects/*/locations/*/publishers/*/models/{model}:countTokens", kGenerate,
        "vertex-count-tokens", Form::kWhole},
    Row{"/v1beta1/projects/*/locations/*/publishers/*/models/{model}:embedContent", kGenerate,
        "gemini-embed", Form::kWhole},
    Row{"/v1beta1/projects/*/locations/*/publishers/*/models/{model}:predict", kGenerate,
        "vertex-predict", Form::kWhole},
    // What was tuned there; what has a key and no project (express mode); chat completions.
    Row{"/v1/projects/*/locations/*/endpoints/{model}:generateContent", kGenerate, "vertex",
        Form::kWhole},
    Row{"/v1/projects/*/locations/*/endpoints/{model}:streamGenerateContent", kGenerate, "vertex",
        Form::kStream},
    Row{"/v1beta1/projects/*/locations/*/endpoints/{model}:generateContent", kGenerate, "vertex",
        Form::kWhole},
    Row{"/v1beta1/projects/*/locations/*/endpoints/{model}:streamGenerateContent", kGenerate,
        "vertex", Form::kStream},
    Row{"/v1/publishers/*/models/{model}:generateContent", kGenerate, "vertex", Form::kWhole},
    Row{"/v1/publishers/*/models/{model}:countTokens", kGenerate, "vertex-count-tokens",
        Form::kWhole},
    Row{"/v1/publishers/*/models/{model}:embedContent", kGenerate, "gemini-embed", Form::kWhole},
    Row{"/v1/publishers/*/models/{model}:predict", kGenerate, "vertex-predict", Form::kWhole},
    Row{"/v1/publishers/*/models/{model}:streamGenerateContent", kGenerate, "vertex",
        Form::kStream},
    Row{"/v1beta1/publishers/*/models/{model}:generateContent", kGenerate, "vertex", Form::kWhole},
    Row{"/v1beta1/publishers/*/models/{model}:countTokens", kGenerate, "vertex-count-tokens",
        Form::kWhole},
    Row{"/v1beta1/publishers/*/models/{model}:embedContent", kGenerate, "gemini-embed",
        Form::kWhole},
    Row{"/v1beta1/publishers/*/models/{model}:predict", kGenerate, "vertex-predict", Form::kWhole},
    Row{"/v1beta1/publishers/*/models/{model}:streamGenerateContent", kGenerate, "vertex",
        Form::kStream},
    Row{"/v1/projects/*/locations/*/endpoints/openapi/chat/completions", kGenerate, "openai-chat"},
    Row{"/v1beta1/projects/*/locations/*/endpoints/openapi/chat/completions", kGenerate,
        "openai-chat"},
    Row{"/v1beta/openai/chat/completions", kGenerate, "openai-chat"},
    Row{"/v1beta/openai/embeddings", kGenerate, "openai-embeddings"},
};

/// What every path of a row begins with: most rows are ruled out by it.
constexpr auto kBeginnings = [] {
    std::array<std::string_view, kRows.size()> beginnings{};
    for (std::size_t i = 0; i < kRows.size(); ++i)
        beginnings[i] = kRows[i].pattern.substr(0, kRows[i].pattern.find_first_of("*{"));
    return beginnings;
}();

constexpr auto kHasVerb = [] {
    std::array<bool, kRows.size()> has_verb{};
    for (std::size_t i = 0; i < kRows.size(); ++i) has_verb[i] = kRows[i].pattern.contains(':');
    return has_verb;
}();

/// Takes the next segment off `path`; empty at the end.
std::string_view next_segment(std::string_view& path) {
    while (path.starts_with('/')) path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    path.remove_prefix(segment.size());
    return segment;
}

/// Whether the path fits, and the text that stands for the model.
bool fits(std::string_view pattern, std::string_view path, std::string_view& model) {
    model = {};
    for (;;) {
        const std::string_view wanted = next_segment(pattern);
        if (wanted.starts_with(kModel) && path.starts_with("//")) return false;  // no name
        const std::string_view seen = next_segment(path);
        if (wanted.empty() || seen.empty()) return wanted.empty() && seen.empty();
        if (wanted == "*") continue;
        if (!wanted.starts_with(kModel)) {
            if (seen != wanted) return false;
            continue;
        }
        const std::string_view verb = wanted.substr(kModel.size());
        if (verb.empty() && pattern.empty()) {  // a name whose slashes were not escaped
            model = {seen.data(), static_cast<std::size_t>(path.end() - seen.begin())};
            return true;
        }
        if (!seen.ends_with(verb) || seen.size() == verb.size()) return false;
        model = seen.substr(0, seen.size() - verb.size());
    }
}

const dialect::Dialect& chat_dialect() {
    static const dialect::Dialect& dialect = *dialect::find_dialect("openai-chat");
    return dialect;
}

/// The dialect of each row; null: not built in.
const auto& dialects_of_rows() {
    static const auto all = [] {
        std::array<const dialect::Dialect*, kRows.size()> dialects{};
        for (std::size_t i = 0; i < kRows.size(); ++i)
            dialects[i] = dialect::find_dialect(kRows[i].dialect);
        return dialects;
    }();
    return all;
}

Door door_of(std::size_t i, std::string_view model) {
    const Row& row = kRows[i];
    Door door{row.operation, dialects_of_rows()[i], {}, {}};
    if (!model.empty()) door.model = percent_decode(model);
    if (row.form != Form::kByBody) door.is_stream = row.form == Form::kStream;
    return door;
}

/// How many segments both begin with.
std::size_t segments_shared(std::string_view a, std::string_view b) {
    for (std::size_t shared = 0;; ++shared) {
        const std::string_view segment = next_segment(a);
        if (segment.empty() || segment != next_segment(b)) return shared;
    }
}

}  // namespace

bool is_chat_path(std::string_view path) { return path == kRows.front().pattern; }

std::optional<Door> find_door(std::string_view path) {
    if (is_chat_path(path)) [[likely]]
        return Door{kGenerate, &chat_dialect(), {}, {}};
    // Most paths without a model in them are a row's own text.
    for (std::size_t i = 0; i < kRows.size(); ++i)
        if (path == kRows[i].pattern && dialects_of_rows()[i] != nullptr) return door_of(i, {});
    // A verb behind the model is the longer and the surer match: those rows go first.
    const bool has_slashes_too_many = path.contains("//");
    for (const bool with_verb : {true, false}) {
        for (std::size_t i = 0; i < kRows.size(); ++i) {
            if (kHasVerb[i] != with_verb || dialects_of_rows()[i] == nullptr) continue;
            if (!has_slashes_too_many && !path.starts_with(kBeginnings[i])) continue;
            std::string_view model;
            if (fits(kRows[i].pattern, path, model)) return door_of(i, model);
        }
    }
    if (path.starts_with(kPassthroughPrefix)) return Door{kPass, &chat_dialect(), {}, {}};
    if (const std::optional<KeptDoor> kept = find_kept_door(path, ""))
        return Door{kKept, kept->dialect, {}, {}};
    return std::nullopt;
}

const dialect::Dialect& dialect_of_list(
    const Door& door, const net::Headers& headers, std::string_view query) {
    if (door.dialect != &chat_dialect()) return *door.dialect;
    constexpr std::array kMarks{std::pair{"anthropic-version", "anthropic-messages"},
        std::pair{"anthropic-beta", "anthropic-messages"}, std::pair{"x-goog-api-key", "gemini"},
        std::pair{"x-goog-api-client", "gemini"}};
    for (const auto& [header, name] : kMarks)
        if (headers.find(header))
            if (const dialect::Dialect* dialect = dialect::find_dialect(name)) return *dialect;
    const dialect::Dialect* gemini = dialect::find_dialect("gemini");
    return gemini != nullptr && query_value(query, "key") ? *gemini : *door.dialect;
}

const dialect::Dialect& dialect_of_prefix(std::string_view path) {
    constexpr std::array kPrefixes{std::pair{"/v1/messages", "anthropic-messages"},
        std::pair{"/model/", "bedrock-converse"}, std::pair{"/v1beta/", "gemini"},
        std::pair{"/v1/projects/", "vertex"}, std::pair{"/v1/publishers/", "vertex"},
        std::pair{"/v1beta1/", "vertex"}};
    for (const auto& [prefix, name] : kPrefixes)
        if (path.starts_with(prefix))
            if (const dialect::Dialect* dialect = dialect::find_dialect(name)) return *dialect;
    return chat_dialect();
}

std::string doors_near(std::string_view path) {
    constexpr std::size_t kNamed = 6;
    std::array<std::size_t, kRows.size()> rows{};
    std::iota(rows.begin(), rows.end(), std::size_t{0});
    std::ranges::stable_sort(rows, std::ranges::greater(),
        [&](std::size_t i) { return segments_shared(kRows[i].pattern, path); });
    std::string out;
    for (std::size_t named = 0; const std::size_t i : rows) {
        if (dialects_of_rows()[i] == nullptr) continue;
        out += fmt::format("{}{} {}", out.empty() ? "" : ", ",
            kRows[i].operation == kModels ? "GET" : "POST", kRows[i].pattern);
        if (++named == kNamed) break;
    }
    return out;
}

}  // namespace entrepot::gateway
