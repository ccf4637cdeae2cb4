#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "dialect/losses.h"
#include "dialect/rerank/rerank.h"
#include "dialect/wrong.h"
#include "json/writer.h"

namespace entrepot::dialect::rerank {
namespace {

using json::Value;

/// Marks around a query and a document, which a cross-encoder reads together.
constexpr std::int64_t kPairOverhead = 16;
/// Cohere bills a search for up to 100 documents, and counts each 500 tokens of query and document
/// together as one; a document is cut after 4,096 tokens (version 2) or ten such pieces (version 1)
/// unless the request says otherwise.
constexpr std::int64_t kDocumentsPerSearch = 100;
constexpr std::int64_t kChunkTokens = 500;
constexpr std::int64_t kChunkTokensMin = 50;
constexpr std::int64_t kDocumentTokens = 10 * kChunkTokens;
constexpr std::int64_t kPerDocMax = 1'000'000;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// How much of a document is read at most. One version's field says nothing to the other, where the
/// request may be carried, so asking for less than they read unasked bounds nothing.
Result<std::int64_t> read_document_tokens(const Value& root) {
    std::int64_t tokens = kDocumentTokens;
    const auto read = [&](std::string_view field, std::int64_t tokens_each) -> Status {
        const Value& most = root[field];
        if (most.is_null()) return {};
        const auto count = most.as_int();
        if (!count || *count < 1 || *count > kPerDocMax)
            return wrong(field, most, fmt::format("a whole number from 1 to {}", kPerDocMax));
        tokens = std::max(tokens, *count * tokens_each);
        return {};
    };
    ENTREPOT_TRY_DO(read("max_tokens_per_doc", 1));
    ENTREPOT_TRY_DO(read("max_chunks_per_doc", kChunkTokens));
    return tokens;
}

/// What decides on money: given twice, the supplier might read the other one.
Status read_once(const Value& root) {
    for (const std::string_view name :
        {"query", "documents", "max_tokens_per_doc", "max_chunks_per_doc"})
        if (std::ranges::count(root.members(), name, &json::Member::key) > 1)
            return fail_field(ErrorCode::kBadRequest, std::string(name),
                fmt::format("'{}' is given twice; give it once", name));
    return {};
}

/// A document is a text, or an object of fields with texts.
std::int64_t bytes_of(const Value& document) {
    return static_cast<std::int64_t>(
        document.is_string() ? document.string().size() : document.raw().size());
}

}  // namespace

Result<canon::Request> decode_request(const json::Document& body, std::string_view name) {
    const Value& root = body.root();
    if (!root.is_object())
        return fail(ErrorCode::kBadRequest,
            fmt::format("the body must be a JSON object, not {}", json::kind_name(root.kind())));
    canon::Request request;
    request.task = canon::Task::kRerank;
    request.origin = name;
    request.output_tokens_max = 0;
    if (const Value& model = root["model"]; !model.is_null()) {
        if (!model.is_string()) return wrong("model", model, "the name of a model");
        request.model = model.string();
    }
    const Value& query = root["query"];
    if (!query.is_string() && !query.is_object()) return wrong("query", query, "a text");
    const Value& documents = root["documents"];
    if (documents.items().empty())
        return wrong("documents", documents, "a list of at least one document");
    ENTREPOT_TRY_DO(read_once(root));
    ENTREPOT_TRY(const std::int64_t document_tokens, read_document_tokens(root));
    canon::Piecework work;
    const std::int64_t asked = bytes_of(query);
    const std::int64_t chunk = std::clamp(kChunkTokens - asked, kChunkTokensMin, kChunkTokens);
    std::int64_t chunks = 0;
    for (const Value& document : documents.items()) {
        if (!document.is_string() && !document.is_object())
            return wrong("documents", document, "a list of texts or of objects");
        const std::int64_t bytes = bytes_of(document);
        if (document["image"].is_null() && document["image_url"].is_null())
            work.prompt_bytes += bytes;
        else
            ++work.images_in;
        work.prompt_bytes += asked + kPairOverhead;
        chunks += std::max<std::int64_t>(ceil_div(std::min(bytes, document_tokens), chunk), 1);
    }
    work.prompts = static_cast<std::int64_t>(documents.items().size());
    work.searches = ceil_div(chunks, kDocumentsPerSearch);
    request.work = work;
    for (const json::Member& member : root.members())
        request.extras.push_back({std::string(member.key), std::string(member.value.raw())});
    return request;
}

Result<EncodedRequest> encode_request(
    const canon::Request& request, const EncodeTarget& target, std::string_view name) {
    Losses losses(target.on_lossy, name == kV2Name ? "Cohere's rerank" : "the rerank endpoint");
    EncodedRequest encoded;
    json::Writer writer(encoded.body);
    writer.begin_object().member("model", target.model_id);
    for (const canon::Extra& extra : request.extras) {
        if (extra.path == "model") continue;
        const bool is_common =
            extra.path == "query" || extra.path == "documents" || extra.path == "top_n";
        if (is_common || request.origin == name) {
            writer.member_raw(extra.path, extra.json);
        } else if (extra.json != "null") {
            // How much of a document is read changes its place.
            const bool changes = extra.path.starts_with("max_") || extra.path == "rank_fields";
            ENTREPOT_TRY_DO(changes ? losses.of_answer(extra.path, "it has no such field")
                                    : losses.of_hint(extra.path, "it has no such field"));
        }
    }
    writer.end_object();
    encoded.dropped = losses.take();
    return encoded;
}

}  // namespace entrepot::dialect::rerank
