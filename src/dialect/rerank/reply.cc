#include <algorithm>

#include "dialect/rerank/rerank.h"
#include "dialect/whole.h"
#include "json/writer.h"

namespace entrepot::dialect::rerank {
namespace {

using canon::Meter;
using json::Value;

constexpr std::int64_t kCountMax = std::int64_t{1} << 50;

std::int64_t count(const Value& value) {
    return std::clamp<std::int64_t>(value.as_int().value_or(0), 0, kCountMax);
}

/// Cohere states searches, the others tokens.
void read_usage(const Value& root, std::vector<canon::Event>& events) {
    canon::UsageReported report;
    const Value& billed = root["meta"]["billed_units"];
    report.usage[Meter::kSearches] = count(billed["search_units"]);
    const Value& usage = root["usage"];
    std::int64_t tokens = count(usage["total_tokens"]);
    if (tokens == 0) tokens = count(usage["prompt_tokens"]);
    if (tokens == 0) tokens = count(root["meta"]["tokens"]["input_tokens"]);
    if (tokens == 0) tokens = count(billed["input_tokens"]);
    report.usage[Meter::kInput] = tokens;
    if (!report.usage.is_zero()) events.emplace_back(std::move(report));
}

class Decoder final : public WholeDecoder {
public:
    Decoder(std::string_view name, const Dialect& errors) : name_(name), errors_(errors) {}

private:
    Status read(const Value& root, std::vector<canon::Event>& events) override {
        const Value& results = root["results"].is_array() ? root["results"] : root["data"];
        if (!results.is_array()) {
            if (root["error"].is_null() && !root["message"].is_string())
                return malformed("has no 'results'");
            events.emplace_back(canon::Failed{errors_.decode_failure(502, {}, root.raw())});
            return {};
        }
        events.emplace_back(canon::Started{.id = std::string(root["id"].string()),
            .model = std::string(root["model"].string()),
            .origin = std::string(name_)});
        for (const Value& result : results.items()) {
            const auto index = result["index"].as_int();
            const Value& named = result["relevance_score"];
            const Value& score = named.is_number() ? named : result["score"];
            if (!index || *index < 0 || !score.is_number())
                return malformed("has a result without 'index' and 'relevance_score'");
            canon::Ranked ranked{.index = *index, .score = std::string(score.raw())};
            if (!result["document"].is_null()) ranked.document = result["document"].raw();
            events.emplace_back(canon::Outcome{std::move(ranked)});
        }
        read_usage(root, events);
        return {};
    }

    std::string_view name_;
    const Dialect& errors_;
};

class Encoder final : public WholeEncoder {
public:
    Encoder(std::string_view name, const ReplyContext& context, const Dialect& errors)
        : WholeEncoder(context), name_(name), errors_(errors) {}

private:
    void write(const canon::Reply& reply, std::string& out) override {
        json::Writer writer(out);
        writer.begin_object();
        writer.member("id", reply.started.id.empty() ? context_.id : reply.started.id);
        if (name_ == kName && !context_.model.empty()) writer.member("model", context_.model);
        writer.key("results").begin_array();
        for (const canon::Outcome& outcome : reply.outcomes) {
            const auto* ranked = std::get_if<canon::Ranked>(&outcome.body);
            if (ranked == nullptr) continue;
            writer.begin_object().member("index", ranked->index);
            writer.member_raw("relevance_score", ranked->score);
            if (!ranked->document.empty() && name_ == kName)
                writer.member_raw("document", ranked->document);
            writer.end_object();
        }
        writer.end_array();
        const std::int64_t searches = reply.usage[Meter::kSearches];
        const std::int64_t tokens = reply.usage.prompt_tokens();
        writer.key("meta").begin_object();
        writer.key("api_version")
            .begin_object()
            .member("version", name_ == kV2Name ? "2" : "1")
            .end_object();
        if (searches > 0)
            writer.key("billed_units").begin_object().member("search_units", searches).end_object();
        if (tokens > 0)
            writer.key("tokens").begin_object().member("input_tokens", tokens).end_object();
        writer.end_object();
        if (tokens > 0 && name_ == kName)
            writer.key("usage").begin_object().member("total_tokens", tokens).end_object();
        writer.end_object();
    }
    std::string failed(const canon::Failure& failure) override {
        return errors_.encode_failure(failure);
    }

    std::string_view name_;
    const Dialect& errors_;
};

}  // namespace

std::unique_ptr<ReplyDecoder> reply_decoder(std::string_view name, const Dialect& errors) {
    return std::make_unique<Decoder>(name, errors);
}

std::unique_ptr<ReplyEncoder> reply_encoder(
    std::string_view name, const ReplyContext& context, const Dialect& errors) {
    return std::make_unique<Encoder>(name, context, errors);
}

}  // namespace entrepot::dialect::rerank
