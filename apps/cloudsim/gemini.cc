#include <fmt/format.h>

#include "cloudsim/cloud.h"
#include "cloudsim/embeddings.h"
#include "cloudsim/generate.h"
#include "json/value.h"
#include "json/writer.h"

// Google's Gemini API: generateContent, and its stream as events (`alt=sse`).
namespace entrepot::cloudsim {
namespace {

using generate::error;
using json::Writer;

constexpr std::string_view kModels = "/v1beta/models";

class Gemini final : public Cloud {
public:
    Gemini() {
        address_.name = address_.kind = "gemini";
        address_.api_key = "AIzaSim0001";
        address_.models = {"gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-flash-preview",
            "gemini-embedding-001", "gemini-embedding-2"};
    }

    const CloudAddress& address() const override { return address_; }

    Answered<Ask> read(const Incoming& in) override {
        if (auto checked = check_key(in); !checked) return std::unexpected(checked.error());
        if (in.path == kModels && in.method == "GET") return std::unexpected(models());
        const std::size_t colon = in.path.rfind(':');
        if (!in.path.starts_with(kModels) || in.path.size() <= kModels.size() ||
            colon == std::string_view::npos || in.method != "POST")
            return std::unexpected(error(404, "NOT_FOUND", "Requested entity was not found."));
        const std::string_view verb = in.path.substr(colon + 1);
        Ask ask;
        ask.model = percent_decoded(in.path.substr(kModels.size() + 1, colon - kModels.size() - 1));
        const auto fail = [&](Refusal refusal) {
            refusal.model = ask.model;
            return std::unexpected(std::move(refusal));
        };
        const bool is_embedding = verb == "embedContent" || verb == "batchEmbedContents";
        const bool is_count = verb == "countTokens";
        const bool is_known = is_embedding || is_count || verb == "generateContent" ||
            verb == "streamGenerateContent";
        if (!is_known || !has_model(address_, ask.model) ||
            is_embedding != is_embedding_model(ask.model))
            return fail(error(404, "NOT_FOUND",
                fmt::format("models/{} is not found for API version v1beta, or is not supported "
                            "for {}. Call ListModels to see the list of available models and "
                            "their supported methods.",
                    ask.model, verb)));
        ask.is_stream = verb == "streamGenerateContent";
        if (ask.is_stream && in.query.find("alt=sse") == std::string_view::npos)
            return fail(error(501, "UNIMPLEMENTED", "this simulation streams with alt=sse alone"));
        const auto parsed = json::Document::parse(std::string(in.body));
        if (!parsed || !parsed->root().is_object())
            return fail(generate::refuse(400, "Invalid JSON payload received. Unexpected token."));
        if (is_embedding) {
            if (auto read = read_google_embeddings(parsed->root(), verb, ask); !read)
                return fail(generate::refuse(400, read.error()));
            return ask;
        }
        const json::Value& wrapped = parsed->root()["generateContentRequest"];
        if (is_count && wrapped.is_object() && wrapped["model"].string() != "models/" + ask.model)
            return fail(generate::refuse(400, "GenerateContentRequest.model: unexpected name"));
        const json::Value& root = wrapped.is_object() ? wrapped : parsed->root();
        if (auto read = generate::read(root, generate::Service::kGemini, ask); !read)
            return fail(std::move(read.error()));
        if (is_count)
            count_only(ask, [](std::int64_t tokens) {
                return fmt::format(R"({{"totalTokens":{},"promptTokensDetails":[{{)"
                                   R"("modality":"TEXT","tokenCount":{}}}]}})",
                    tokens, tokens);
            });
        return ask;
    }

    std::string content_type(bool is_stream) const override {
        return is_stream ? "text/event-stream" : "application/json; charset=UTF-8";
    }
    // Google's answers have no headers of limits or ids.
    void add_headers(net::HeaderLines&, const Answer&, const Quota&) const override {}
    std::string reply_id(const Answer& answer) const override { return id_of("", answer.serial); }

    std::string whole(
        const Ask& ask, const Answer& answer, bool has_usage, Instant) const override {
        return generate::whole(ask, answer, reply_id(answer), has_usage);
    }

    std::vector<std::string> stream(const Ask& ask, const Answer& answer, const Control& control,
        bool has_usage, Instant) const override {
        return generate::stream(ask, answer, control, reply_id(answer), has_usage);
    }

    canon::Usage reported(canon::Usage usage) const override { return generate::reported(usage); }

    std::string stream_error(const Ask&) const override {
        return error(503, "UNAVAILABLE", generate::kOverloaded).body + "\n";  // bare
    }
    std::string damaged(std::string) const override {
        return "data: {\"candidates\": [{\"content\"\r\n\r\n";
    }

    Refusal refuse(int status, std::string_view message) const override {
        return generate::refuse(status, message);
    }

    Refusal trouble(Trouble what, const Control& control, const Quota& quota) const override {
        if (what == Trouble::kBroken)
            return error(500, "INTERNAL",
                "An internal error has occurred. Please retry or report in "
                "https://developers.generativeai.google/guide/troubleshooting");
        if (what == Trouble::kOverloaded) return error(503, "UNAVAILABLE", generate::kOverloaded);
        const std::int64_t wait = quota.reset_s > 0 ? quota.reset_s : control.retry_after_s;
        const std::string details = fmt::format(
            R"([{{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[)"
            R"({{"quotaMetric":"generativelanguage.googleapis.com/generate_content_requests",)"
            R"("quotaId":"GenerateRequestsPerMinutePerProjectPerModel","quotaValue":"{}"}}]}},)"
            R"({{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{}s"}}])",
            quota.limit, wait);
        return error(429, "RESOURCE_EXHAUSTED",
            fmt::format("You exceeded your current quota, please check your plan and billing "
                        "details.\nPlease retry in {}s.",
                wait),
            details);
    }

private:
    Answered<void> check_key(const Incoming& in) const {
        const auto header = in.headers.find("x-goog-api-key");
        const std::size_t at = in.query.find("key=");
        if (!header && at == std::string_view::npos)
            return std::unexpected(error(403, "PERMISSION_DENIED",
                "Method doesn't allow unregistered callers (callers without established "
                "identity). Please use API Key or other form of API consumer identity to call "
                "this API."));
        const std::string_view key =
            header ? *header : in.query.substr(at + 4, in.query.find('&', at) - at - 4);
        if (key == address_.api_key) return {};
        return std::unexpected(error(400, "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            R"([{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID",)"
            R"("domain":"googleapis.com","metadata":{"service":)"
            R"("generativelanguage.googleapis.com"}}])"));
    }

    Refusal models() const {
        Refusal out;
        out.status = 200;
        Writer writer(out.body);
        writer.begin_object().key("models").begin_array();
        for (const std::string& model : address_.models)
            writer.begin_object().member("name", "models/" + model).end_object();
        writer.end_array().end_object();
        return out;
    }

    CloudAddress address_;
};

}  // namespace

std::unique_ptr<Cloud> make_gemini() { return std::make_unique<Gemini>(); }

}  // namespace entrepot::cloudsim
