#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "canon/reply.h"
#include "canon/request.h"
#include "dialect/losses.h"

// What dialects of embeddings share.
namespace entrepot::dialect {

/// The vectors of a reply, in the order of their inputs.
[[nodiscard]] inline std::vector<const canon::Vector*> vectors_of(const canon::Reply& reply) {
    std::vector<const canon::Vector*> vectors;
    for (const canon::Outcome& outcome : reply.outcomes)
        if (const auto* vector = std::get_if<canon::Vector>(&outcome.body))
            vectors.push_back(vector);
    std::ranges::stable_sort(vectors, {}, &canon::Vector::index);
    return vectors;
}

/// The text of an input that is one text. Errors: kUnsupported, where it is more or other.
[[nodiscard]] inline Result<std::string_view> text_of(
    const canon::EmbedInput& input, const Losses& losses) {
    if (!input.tokens.empty())
        return losses.refuse(
            "input", "it takes texts; token ids are of one tokenizer, which only its maker has");
    if (input.parts.size() != 1)
        return losses.refuse("content.parts", "it takes one text for a vector, not several parts");
    const auto* text = std::get_if<canon::Text>(&input.parts.front());
    if (text == nullptr) return losses.refuse("content.parts", "it takes texts alone");
    return text->text;
}

/// What the client calls what its vectors are for.
[[nodiscard]] inline std::string_view purpose_field(const canon::Request& request) {
    return request.origin == "gemini" ? "taskType" : "input_type";
}

/// Names what only the origin knows. What stands at one input of many would change that vector.
[[nodiscard]] inline Status lose_extras(const canon::Request& request, Losses& losses) {
    const auto& embed = std::get<canon::Embed>(request.work);
    for (const canon::Extra& extra : request.extras) {
        // canon::Embed::purpose, unless it is a word that only the origin knows.
        const bool is_purpose = extra.path == purpose_field(request);
        if (is_purpose && embed.purpose != canon::EmbedPurpose::kUnsaid) continue;
        const bool is_of_answer = is_purpose || extra.path.find('[') != std::string::npos ||
            asks_for_another_answer(extra);
        ENTREPOT_TRY_DO(is_of_answer ? losses.of_answer(extra.path, "it has no such field")
                                     : losses.of_hint(extra.path, "it has no such field"));
    }
    return {};
}

/// Floats are what every dialect has; the other forms, where they are asked for, few.
[[nodiscard]] inline Status need_floats(const canon::Embed& embed, const Losses& losses) {
    for (const canon::VectorForm form : embed.forms)
        if (form != canon::VectorForm::kFloat && form != canon::VectorForm::kBase64)
            return losses.refuse("embedding_types", "its vectors are of floats alone");
    return {};
}

}  // namespace entrepot::dialect
