#include "cloudsim/embeddings.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <span>

#include "base/text.h"

namespace entrepot::cloudsim {
namespace {

using json::Value;
using json::Writer;

constexpr std::size_t kInputsMax = 2048;
constexpr std::int64_t kDimensions = 64;  // of what is not asked otherwise
constexpr std::int64_t kDimensionsMax = 3072;

struct Input {
    std::string text;
    std::int64_t tokens = 0;
};

std::expected<Input, ResponsesFault> input_of(const Value& seen, const std::string& path) {
    Input input;
    if (seen.is_string()) {
        input.text = seen.string();
        input.tokens = std::max<std::int64_t>(tokens_of(input.text.size()), 1);
        return input;
    }
    for (const Value& id : seen.items()) {
        if (!id.as_int())
            return std::unexpected(ResponsesFault{
                fmt::format("Invalid type for '{}': expected a token id.", path), path});
        input.text += fmt::format("<{}>", *id.as_int());
        ++input.tokens;
    }
    if (input.tokens == 0)
        return std::unexpected(ResponsesFault{
            fmt::format("Invalid '{}': input cannot be an empty array.", path), "input"});
    return input;
}

}  // namespace

std::vector<float> vector_of(std::string_view text, std::size_t dimensions) {
    std::vector<float> vector(dimensions);
    std::uint64_t state = 0xcbf29ce484222325;
    for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    float sum = 0;
    for (float& number : vector) {
        state = state * 6364136223846793005 + 1442695040888963407;
        number = static_cast<float>(static_cast<std::int64_t>(state >> 40) - (1 << 23)) / (1 << 23);
        sum += number * number;
    }
    for (float& number : vector) number /= std::sqrt(sum);
    return vector;
}

void write_vector(Writer& writer, std::span<const float> vector) {
    writer.begin_array();
    for (const float number : vector) writer.raw(fmt::format("{}", number));
    writer.end_array();
}

std::string base64_of(std::span<const float> vector) {
    std::string bytes(vector.size_bytes(), '\0');
    std::memcpy(bytes.data(), vector.data(), bytes.size());
    return base64_encode(bytes);
}

bool is_embedding_model(std::string_view model) {
    return model.find("embed") != std::string_view::npos || model.starts_with("bge");
}

std::expected<void, ResponsesFault> read_openai_embeddings(
    const Value& root, bool has_base64, Ask& ask) {
    const Value& seen = root["input"];
    std::vector<Input> inputs;
    const bool is_list =
        seen.is_array() && !seen.items().empty() && !seen.items().front().is_number();
    if (is_list) {
        if (seen.items().size() > kInputsMax)
            return std::unexpected(ResponsesFault{
                fmt::format(
                    "Invalid 'input': array too long. Expected at most {} items.", kInputsMax),
                "input"});
        for (std::size_t i = 0; i < seen.items().size(); ++i) {
            auto input = input_of(seen.items()[i], fmt::format("input[{}]", i));
            if (!input) return std::unexpected(input.error());
            inputs.push_back(std::move(*input));
        }
    } else {
        auto input = input_of(seen, "input");
        if (!input) return std::unexpected(input.error());
        inputs.push_back(std::move(*input));
    }
    const std::string_view format = root["encoding_format"].string();
    if (!format.empty() && format != "float" && format != "base64")
        return std::unexpected(
            ResponsesFault{"Invalid value for 'encoding_format'.", "encoding_format"});
    const std::int64_t dimensions = root["dimensions"].as_int().value_or(kDimensions);
    if (dimensions < 1 || dimensions > kDimensionsMax)
        return std::unexpected(ResponsesFault{
            fmt::format("Invalid value for 'dimensions' = {}. Must be less than or equal to {}.",
                dimensions, kDimensionsMax),
            "dimensions"});
    canon::Usage usage;
    for (const Input& input : inputs) usage[canon::Meter::kInput] += input.tokens;
    ask.usage = usage;
    ask.reply = [inputs = std::move(inputs), dimensions, model = ask.model,
                    is_base64 = has_base64 && format == "base64"](
                    const Answer& answer, bool has_usage) {
        std::string out;
        Writer writer(out);
        writer.begin_object().member("object", "list").key("data").begin_array();
        std::int64_t index = 0;
        for (const Input& input : inputs) {
            const auto vector = vector_of(input.text, static_cast<std::size_t>(dimensions));
            writer.begin_object().member("object", "embedding").member("index", index++);
            writer.key("embedding");
            if (is_base64)
                writer.string(base64_of(vector));
            else
                write_vector(writer, vector);
            writer.end_object();
        }
        writer.end_array().member("model", model);
        if (has_usage) {
            const std::int64_t tokens = answer.usage.prompt_tokens();
            writer.key("usage").begin_object();
            writer.member("prompt_tokens", tokens).member("total_tokens", tokens).end_object();
        }
        writer.end_object();
        return out;
    };
    return {};
}

namespace {

void use(const std::vector<Input>& inputs, Ask& ask) {
    canon::Usage usage;
    for (const Input& input : inputs) usage[canon::Meter::kInput] += input.tokens;
    ask.usage = usage;
}

Input text_input(std::string_view text) {
    return {std::string(text), std::max<std::int64_t>(tokens_of(text.size()), 1)};
}

void write_values(Writer& writer, const Input& input, std::int64_t dimensions) {
    writer.begin_object().key("values");
    write_vector(writer, vector_of(input.text, static_cast<std::size_t>(dimensions)));
    writer.end_object();
}

}  // namespace

std::expected<void, std::string> read_google_embeddings(
    const Value& root, std::string_view verb, Ask& ask) {
    const bool is_batch = verb == "batchEmbedContents";
    std::vector<const Value*> requests;
    if (is_batch)
        for (const Value& request : root["requests"].items()) requests.push_back(&request);
    else
        requests.push_back(&root);
    if (requests.empty()) return std::unexpected("BatchEmbedContentsRequest.requests: is empty");
    std::vector<Input> inputs;
    std::int64_t dimensions = kDimensions;
    for (const Value* request : requests) {
        const std::string own = "models/" + ask.model;
        const Value& named = (*request)["model"];
        if ((is_batch || !named.is_null()) && named.string() != own)
            return std::unexpected(
                fmt::format("EmbedContentRequest.model: expected {}, got {}", own, named.raw()));
        std::string text;
        for (const Value& part : (*request)["content"]["parts"].items())
            text += part["text"].string();
        if (text.empty())
            return std::unexpected("EmbedContentRequest.content contains an empty Part.");
        dimensions = (*request)["outputDimensionality"].as_int().value_or(kDimensions);
        inputs.push_back(text_input(text));
    }
    use(inputs, ask);
    const bool tells = ask.model.ends_with("-2");
    ask.reply = [inputs = std::move(inputs), dimensions, is_batch, tells](
                    const Answer& answer, bool has_usage) {
        std::string out;
        Writer writer(out);
        writer.begin_object();
        if (is_batch) {
            writer.key("embeddings").begin_array();
            for (const Input& input : inputs) write_values(writer, input, dimensions);
            writer.end_array();
        } else {
            writer.key("embedding");
            write_values(writer, inputs.front(), dimensions);
        }
        if (has_usage && tells)
            writer.key("usageMetadata")
                .begin_object()
                .member("promptTokenCount", answer.usage.prompt_tokens())
                .end_object();
        writer.end_object();
        return out;
    };
    return {};
}

std::expected<void, std::string> read_google_predictions(const Value& root, Ask& ask) {
    const std::size_t inputs_max = ask.model == "gemini-embedding-001" ? 1 : 250;
    std::vector<Input> inputs;
    for (const Value& instance : root["instances"].items()) {
        if (instance["content"].string().empty())
            return std::unexpected("The text content is empty.");
        inputs.push_back(text_input(std::string(instance["content"].string())));
    }
    if (inputs.empty() || inputs.size() > inputs_max)
        return std::unexpected(fmt::format(
            "{} instance(s) is allowed per prediction. Actual: {}.", inputs_max, inputs.size()));
    const std::int64_t dimensions =
        root["parameters"]["outputDimensionality"].as_int().value_or(kDimensions);
    use(inputs, ask);
    ask.reply = [inputs = std::move(inputs), dimensions](const Answer&, bool has_usage) {
        std::string out;
        Writer writer(out);
        writer.begin_object().key("predictions").begin_array();
        for (const Input& input : inputs) {
            writer.begin_object().key("embeddings").begin_object().key("values");
            write_vector(writer, vector_of(input.text, static_cast<std::size_t>(dimensions)));
            if (has_usage)
                writer.key("statistics")
                    .begin_object()
                    .member_bool("truncated", false)
                    .member("token_count", input.tokens)
                    .end_object();
            writer.end_object().end_object();
        }
        writer.end_array().end_object();
        return out;
    };
    return {};
}

std::expected<void, std::string> read_titan_embedding(const Value& root, Ask& ask) {
    for (const json::Member& member : root.members())
        if (member.key != "inputText" && member.key != "dimensions" && member.key != "normalize" &&
            member.key != "embeddingTypes")
            return std::unexpected(
                fmt::format("Malformed input request: #: extraneous key [{}] is not permitted, "
                            "please reformat your input and try again.",
                    member.key));
    if (!root["inputText"].is_string())
        return std::unexpected(
            "Malformed input request: #: required key [inputText] not found, please reformat your "
            "input and try again.");
    const std::int64_t dimensions = root["dimensions"].as_int().value_or(kDimensions);
    const std::vector<Input> inputs{text_input(root["inputText"].string())};
    use(inputs, ask);
    ask.reply = [input = inputs.front(), dimensions](const Answer& answer, bool) {
        std::string out;
        Writer writer(out);
        const auto vector = vector_of(input.text, static_cast<std::size_t>(dimensions));
        writer.begin_object().key("embedding");
        write_vector(writer, vector);
        writer.key("embeddingsByType").begin_object().key("float");
        write_vector(writer, vector);
        writer.end_object();
        writer.member("inputTextTokenCount", answer.usage.prompt_tokens()).end_object();
        return out;
    };
    return {};
}

std::expected<void, std::string> read_cohere_embeddings(
    const Value& root, bool is_own_api, Ask& ask) {
    constexpr std::size_t kTextsMax = 96;
    const std::string_view type = root["input_type"].string();
    if (type != "search_document" && type != "search_query" && type != "classification" &&
        type != "clustering")
        return std::unexpected("valid input_type must be provided with the provided model");
    std::vector<Input> inputs;
    for (const Value& text : root["texts"].items()) inputs.push_back(text_input(text.string()));
    if (inputs.empty() || inputs.size() > kTextsMax)
        return std::unexpected(
            fmt::format("invalid request: total number of texts must be 1 to {}", kTextsMax));
    use(inputs, ask);
    const std::int64_t dimensions = root["output_dimension"].as_int().value_or(kDimensions);
    const bool is_typed = is_own_api || root["embedding_types"].is_array();
    ask.reply = [inputs = std::move(inputs), dimensions, is_own_api, is_typed](
                    const Answer& answer, bool has_usage) {
        std::string out;
        Writer writer(out);
        writer.begin_object().member("id", id_of("", answer.serial));
        writer.key("texts").begin_array();
        for (const Input& input : inputs) writer.string(input.text);
        writer.end_array().key("embeddings");
        if (is_typed) writer.begin_object().key("float");
        writer.begin_array();
        for (const Input& input : inputs)
            write_vector(writer, vector_of(input.text, static_cast<std::size_t>(dimensions)));
        writer.end_array();
        if (is_typed) writer.end_object();
        if (is_own_api && has_usage) {
            writer.key("meta").begin_object().key("billed_units").begin_object();
            writer.member("input_tokens", answer.usage.prompt_tokens());
            writer.end_object().end_object();
        }
        writer.member("response_type", is_typed ? "embeddings_by_type" : "embeddings_floats");
        writer.end_object();
        return out;
    };
    return {};
}

void count_only(Ask& ask, std::function<std::string(std::int64_t)> count) {
    const std::int64_t tokens =
        std::max<std::int64_t>(tokens_of(ask.prompt.size()) + ask.images * kImageTokens, 1);
    ask.usage = canon::Usage{};
    ask.reply = [tokens, count = std::move(count)](const Answer&, bool) { return count(tokens); };
}

}  // namespace entrepot::cloudsim
