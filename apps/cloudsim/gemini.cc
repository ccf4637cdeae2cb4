#include <fmt/format.h>

#include <charconv>
#include <map>

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
constexpr std::string_view kCaches = "/v1beta/cachedContents";

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
        if (in.path.starts_with(kCaches)) return std::unexpected(serve_caches(in));
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
        if (const std::string_view name = root["cachedContent"].string(); !name.empty()) {
            const auto cache = caches_.find(name);
            if (cache == caches_.end() || cache->second.model != ask.model)
                return fail(error(
                    403, "PERMISSION_DENIED", "CachedContent not found (or permission denied)"));
            ask.prompt = cache->second.text + ask.prompt;
        }
        if (is_count)
            count_only(ask, [](std::int64_t tokens) {
                return fmt::format(R"({{"totalTokens":{},"promptTokensDetails":[{{)"
                                   R"("modality":"TEXT","tokenCount":{}}}]}})",
                    tokens, tokens);
            });
        return ask;
    }

    std::string content_type(const Ask& ask) const override {
        return ask.is_stream ? "text/event-stream" : "application/json; charset=UTF-8";
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
    struct Cache {
        std::string model, text;
        Instant made, ends;
    };

    static std::string cache_object(std::string_view name, const Cache& cache) {
        std::string out;
        Writer writer(out);
        writer.begin_object().member("name", name).member("model", "models/" + cache.model);
        writer.member("createTime", to_rfc3339(cache.made));
        writer.member("updateTime", to_rfc3339(cache.made));
        writer.member("expireTime", to_rfc3339(cache.ends));
        writer.key("usageMetadata").begin_object();
        writer.member("totalTokenCount", tokens_of(cache.text.size())).end_object().end_object();
        return out;
    }

    /// Of the whole account, whoever asks.
    Refusal serve_caches(const Incoming& in) {
        Refusal out;
        out.status = 200;
        std::string_view id = in.path.substr(kCaches.size());
        const std::string name = id.empty() ? "" : fmt::format("cachedContents{}", id);
        const auto parsed = json::Document::parse(std::string(in.body.empty() ? "{}" : in.body));
        if (!parsed) return generate::refuse(400, "Invalid JSON payload received.");
        const json::Value& root = parsed->root();
        std::int64_t ttl_s = 3600;
        const std::string_view ttl = root["ttl"].string();  // `3600s`
        (void)std::from_chars(ttl.data(), ttl.data() + ttl.size(), ttl_s);
        if (name.empty() && in.method == "GET") {
            out.body = R"({"cachedContents":[)";
            for (const auto& [key, cache] : caches_)
                out.body += (out.body.ends_with('[') ? "" : ",") + cache_object(key, cache);
            out.body += "]}";
            return out;
        }
        if (name.empty()) {
            Cache made;
            std::string_view model = root["model"].string();
            if (model.starts_with("models/")) model.remove_prefix(7);
            if (!has_model(address_, model))
                return error(404, "NOT_FOUND", fmt::format("Model {} is not found", model));
            made.model = model;
            made.text = root["systemInstruction"].raw();
            made.text += root["contents"].raw();
            made.made = in.now;
            made.ends = in.now + std::chrono::seconds(ttl_s);
            const std::string fresh = id_of("cachedContents/", ++cache_serial_);
            out.body = cache_object(fresh, made);
            caches_[fresh] = std::move(made);
            return out;
        }
        const auto found = caches_.find(name);
        if (found == caches_.end())
            return error(
                403, "PERMISSION_DENIED", "CachedContent not found (or permission denied)");
        if (in.method == "DELETE") {
            caches_.erase(found);
            out.body = "{}";
            return out;
        }
        if (in.method == "PATCH") found->second.ends = in.now + std::chrono::seconds(ttl_s);
        out.body = cache_object(name, found->second);
        return out;
    }

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

    std::map<std::string, Cache, std::less<>> caches_;
    std::int64_t cache_serial_ = 0;
    CloudAddress address_;
};

}  // namespace

std::unique_ptr<Cloud> make_gemini() { return std::make_unique<Gemini>(); }

}  // namespace entrepot::cloudsim
