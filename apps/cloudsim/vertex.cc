#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "cloudsim/cloud.h"
#include "cloudsim/embeddings.h"
#include "cloudsim/generate.h"
#include "cloudsim/identity.h"
#include "cloudsim/messages.h"
#include "json/value.h"
#include "json/writer.h"

// Google's Vertex AI: each publisher's models in the publisher's own format, below one project and
// location, behind Google's own gate.
namespace entrepot::cloudsim {
namespace {

using generate::error;
using json::Value;
using json::Writer;

constexpr std::string_view kProject = "simulated-project";

enum class Form : std::uint8_t { kGenerate, kMessages, kChat };

Form form_of(const Ask& ask) {
    if (ask.model.starts_with("gemini")) return Form::kGenerate;
    return ask.model.starts_with("claude") ? Form::kMessages : Form::kChat;
}

/// What a path asks for.
struct Route {
    std::string project, location;  ///< empty: express mode
    std::string publisher, model;   ///< empty: the endpoint that speaks chat completions
    std::string_view verb;
};

bool parse_route(std::string_view path, Route& out) {
    std::vector<std::string_view> parts = split(path, '/');
    if (parts.size() < 4 || !parts[0].empty() || (parts[1] != "v1" && parts[1] != "v1beta1"))
        return false;
    std::size_t at = 2;
    if (parts[at] == "projects") {
        if (parts.size() < 9 || parts[at + 2] != "locations") return false;
        out.project = percent_decoded(parts[at + 1]);
        out.location = percent_decoded(parts[at + 3]);
        at += 4;
        if (path.ends_with("/endpoints/openapi/chat/completions")) return parts.size() == at + 4;
    }
    if (parts.size() != at + 4 || parts[at] != "publishers" || parts[at + 2] != "models")
        return false;
    const std::size_t colon = parts[at + 3].rfind(':');
    if (colon == std::string_view::npos) return false;
    out.publisher = percent_decoded(parts[at + 1]);
    out.model = percent_decoded(parts[at + 3].substr(0, colon));
    out.verb = parts[at + 3].substr(colon + 1);
    return true;
}

class Vertex final : public Cloud {
public:
    Vertex() {
        address_.name = address_.kind = "vertex";
        address_.api_key = "AQ.SimVertex0001";
        address_.region = "europe-west4";
        address_.project = kProject;
        address_.models = {"gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-flash-preview",
            "claude-sonnet-4-5@20250929", "claude-haiku-4-5@20251001",
            "meta/llama-3.3-70b-instruct-maas", "mistral-medium-3", "text-embedding-005",
            "gemini-embedding-001", "gemini-embedding-2"};
        chat_ = make_openai_behind(address_);
    }

    const CloudAddress& address() const override { return address_; }

    Answered<Ask> read(const Incoming& in) override {
        if (auto refused = check_credentials(in); !refused)
            return std::unexpected(std::move(refused.error()));
        Route route;
        if (!parse_route(in.path, route) || in.method != "POST")
            return std::unexpected(error(404, "NOT_FOUND", "Requested entity was not found."));
        if (auto refused = check_place(route); !refused)
            return std::unexpected(std::move(refused.error()));
        const auto parsed = json::Document::parse(std::string(in.body));
        const bool is_open = route.publisher.empty();
        if (!parsed || !parsed->root().is_object())
            return std::unexpected(
                generate::refuse(400, "Invalid JSON payload received. Unexpected token."));
        Ask ask;
        const bool is_count = route.publisher == "anthropic" && route.model == "count-tokens";
        ask.model =
            is_open || is_count ? std::string(parsed->root()["model"].string()) : route.model;
        if (is_open != (ask.model.find('/') != std::string::npos) ||
            !has_model(address_, ask.model))
            return named(ask.model, not_found(route, ask.model));
        Answered<void> read;
        if (is_count) {
            read = read_count(route, parsed->root(), ask);
        } else if (route.publisher == "google" && is_embedding_model(ask.model)) {
            read = read_embeddings(route, parsed->root(), ask);
        } else if (route.publisher == "google" && form_of(ask) == Form::kGenerate) {
            read = read_generate(in, route, parsed->root(), ask);
        } else if (route.publisher == "anthropic" && form_of(ask) == Form::kMessages) {
            read = read_messages(in, route, parsed->root(), ask);
        } else if (is_open || (route.publisher == "mistralai" && form_of(ask) == Form::kChat)) {
            read = read_chat(in, route, ask);
        } else {
            read = std::unexpected(not_found(route, ask.model));
        }
        if (!read) return named(ask.model, std::move(read.error()));
        return ask;
    }

    std::string content_type(const Ask& ask) const override {
        return ask.is_stream ? "text/event-stream" : "application/json; charset=UTF-8";
    }
    // Google's answers have no headers of limits or ids.
    void add_headers(net::HeaderLines&, const Answer&, const Quota&) const override {}
    std::string reply_id(const Answer& answer) const override { return id_of("", answer.serial); }

    std::string whole(
        const Ask& ask, const Answer& answer, bool has_usage, Instant now) const override {
        switch (form_of(ask)) {
            case Form::kGenerate: return generate::whole(ask, answer, reply_id(answer), has_usage);
            case Form::kMessages:
                return messages::whole(ask, answer, "msg_vrtx_" + reply_id(answer), has_usage);
            case Form::kChat: break;
        }
        return chat_->whole(ask, answer, has_usage, now);
    }

    std::vector<std::string> stream(const Ask& ask, const Answer& answer, const Control& control,
        bool has_usage, Instant now) const override {
        switch (form_of(ask)) {
            case Form::kGenerate:
                return generate::stream(ask, answer, control, reply_id(answer), has_usage);
            case Form::kMessages: {
                std::vector<std::string> out;
                for (const messages::Event& one : messages::stream(
                         ask, answer, control, "msg_vrtx_" + reply_id(answer), has_usage))
                    out.push_back(fmt::format("event: {}\ndata: {}\n\n", one.type, one.data));
                return out;
            }
            case Form::kChat: break;
        }
        return chat_->stream(ask, answer, control, has_usage, now);
    }

    std::string stream_error(const Ask& ask) const override {
        switch (form_of(ask)) {
            case Form::kGenerate: break;
            case Form::kMessages:
                return "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
                       "\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
            case Form::kChat:
                return "data: " + error(503, "UNAVAILABLE", kUnavailable).body + "\n\n";
        }
        return error(503, "UNAVAILABLE", kUnavailable).body + "\n";  // bare
    }
    std::string damaged(std::string) const override { return "data: {\"damaged\": [{\"\n\n"; }

    Refusal refuse(int status, std::string_view message) const override {
        return generate::refuse(status, message);
    }

    Refusal trouble(Trouble what, const Control& control, const Quota& quota) const override {
        if (what == Trouble::kBroken) return error(500, "INTERNAL", "Internal error encountered.");
        if (what == Trouble::kOverloaded) return error(503, "UNAVAILABLE", kUnavailable);
        const std::int64_t wait = quota.reset_s > 0 ? quota.reset_s : control.retry_after_s;
        const std::string details = fmt::format(
            R"([{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":)"
            R"("RATE_LIMIT_EXCEEDED","domain":"googleapis.com","metadata":{{"service":)"
            R"("aiplatform.googleapis.com","consumer":"projects/123456789012"}}}},)"
            R"({{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{}s"}}])",
            wait);
        return error(429, "RESOURCE_EXHAUSTED",
            "Resource exhausted. Please try again later. Please refer to "
            "https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more "
            "details.",
            details);
    }

private:
    static constexpr std::string_view kUnavailable = "The service is currently unavailable.";

    static std::unexpected<Refusal> named(std::string model, Refusal refusal) {
        refusal.model = std::move(model);
        return std::unexpected(std::move(refusal));
    }

    [[nodiscard]] Answered<void> check_credentials(const Incoming& in) const {
        const auto key = in.headers.find("x-goog-api-key");
        if (key) {
            if (*key == address_.api_key) return {};
            return std::unexpected(
                error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
                    R"([{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":)"
                    R"("API_KEY_INVALID","domain":"googleapis.com"}])"));
        }
        if (in.identity != nullptr && in.identity->knows_bearer(in, Issuer::kGoogle)) return {};
        const bool has_any = in.headers.find("authorization").has_value();
        return std::unexpected(error(401, "UNAUTHENTICATED",
            has_any ? "Request had invalid authentication credentials. Expected OAuth 2 access "
                      "token, login cookie or other valid authentication credential. See "
                      "https://developers.google.com/identity/sign-in/web/devconsole-project."
                    : "Request is missing required authentication credential. Expected OAuth 2 "
                      "access token, login cookie or other valid authentication credential.",
            has_any ? R"([{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":)"
                      R"("ACCESS_TOKEN_TYPE_UNSUPPORTED","domain":"googleapis.com"}])"
                    : R"([{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":)"
                      R"("CREDENTIALS_MISSING","domain":"googleapis.com"}])"));
    }

    [[nodiscard]] Answered<void> check_place(const Route& route) const {
        if (route.project.empty()) {
            if (route.publisher == "google") return {};
            return std::unexpected(error(404, "NOT_FOUND",
                fmt::format("Publisher Model `publishers/{}/models/{}` not found.", route.publisher,
                    route.model)));
        }
        if (route.project != kProject || route.location != address_.region)
            return std::unexpected(error(403, "PERMISSION_DENIED",
                fmt::format("Permission 'aiplatform.endpoints.predict' denied on resource "
                            "'//aiplatform.googleapis.com/projects/{}/locations/{}' (or it may not "
                            "exist).",
                    route.project, route.location)));
        return {};
    }

    static Refusal not_found(const Route& route, std::string_view model) {
        Refusal out = error(404, "NOT_FOUND",
            fmt::format("Publisher Model `projects/{}/locations/{}/publishers/{}/models/{}` was "
                        "not found or your project does not have access to it. Please ensure you "
                        "are using a valid model version.",
                route.project, route.location, route.publisher, model));
        return route.publisher.empty() ? listed(std::move(out)) : out;
    }
    /// The endpoint that speaks chat completions puts its errors in a list.
    static Refusal listed(Refusal refusal) {
        refusal.body = fmt::format("[{}\n]\n", refusal.body);
        return refusal;
    }

    static Answered<void> read_generate(
        const Incoming& in, const Route& route, const Value& root, Ask& ask) {
        if (route.verb == "countTokens") {
            if (auto read = generate::read(root, generate::Service::kVertex, ask); !read)
                return read;
            count_only(ask, [](std::int64_t tokens) {
                return fmt::format(
                    R"({{"totalTokens":{},"totalBillableCharacters":{}}})", tokens, tokens * 4);
            });
            return {};
        }
        if (route.verb != "generateContent" && route.verb != "streamGenerateContent")
            return std::unexpected(not_found(route, ask.model));
        ask.is_stream = route.verb == "streamGenerateContent";
        if (ask.is_stream && in.query.find("alt=sse") == std::string_view::npos)
            return std::unexpected(
                error(501, "UNIMPLEMENTED", "this simulation streams with alt=sse alone"));
        return generate::read(root, generate::Service::kVertex, ask);
    }

    /// Older models predict, and the newest has a call of its own.
    static Answered<void> read_embeddings(const Route& route, const Value& root, Ask& ask) {
        const bool is_newest = ask.model == "gemini-embedding-2";
        if (route.verb != (is_newest ? "embedContent" : "predict"))
            return std::unexpected(not_found(route, ask.model));
        if (is_newest && !root["model"].is_null())
            return std::unexpected(
                generate::refuse(400, "Invalid JSON payload received. Unknown name \"model\""));
        const auto read = is_newest ? read_google_embeddings(root, route.verb, ask)
                                    : read_google_predictions(root, ask);
        if (!read) return std::unexpected(generate::refuse(400, read.error()));
        return {};
    }

    static Answered<void> read_count(const Route& route, const Value& root, Ask& ask) {
        if (route.verb != "rawPredict" || form_of(ask) != Form::kMessages)
            return std::unexpected(not_found(route, ask.model));
        for (const std::string_view field : {"max_tokens", "temperature", "stream"})
            if (!root[field].is_null())
                return std::unexpected(
                    invalid(fmt::format("{}: Extra inputs are not permitted", field)));
        std::string capped(root.raw());
        capped.insert(capped.find('{') + 1, R"("max_tokens":1048576,)");
        const auto message = json::Document::parse(capped);
        if (auto read = messages::read(message->root(), ask); !read)
            return std::unexpected(invalid(read.error()));
        count_only(ask,
            [](std::int64_t tokens) { return fmt::format(R"({{"input_tokens":{}}})", tokens); });
        return {};
    }

    static Refusal invalid(std::string_view message) {
        Refusal out;
        out.status = 400;
        Writer writer(out.body);
        writer.begin_object().member("type", "error").key("error").begin_object();
        writer.member("type", "invalid_request_error").member("message", message);
        writer.end_object().member("request_id", "req_vrtx_cloudsim").end_object();
        return out;
    }

    /// Google's own, or since its SDK's first version the maker's, which is a date.
    static bool is_version(std::string_view version) {
        const auto is_dated = [](char c) { return (c >= '0' && c <= '9') || c == '-'; };
        return version == "vertex-2023-10-16" ||
            (version.size() == 10 && std::ranges::all_of(version, is_dated));
    }

    static Answered<void> read_messages(
        const Incoming& in, const Route& route, const Value& root, Ask& ask) {
        if (route.verb != "rawPredict" && route.verb != "streamRawPredict")
            return std::unexpected(not_found(route, ask.model));
        if (!is_version(root["anthropic_version"].string()))
            return std::unexpected(invalid("anthropic_version: Field required"));
        if (!root["model"].is_null())
            return std::unexpected(invalid("model: Extra inputs are not permitted"));
        const auto beta = in.headers.find("anthropic-beta");
        if (beta && beta->find("prompt-caching-") != std::string_view::npos)
            return std::unexpected(invalid(
                fmt::format("Unexpected value(s) `{}` for the `anthropic-beta` header. Please "
                            "consult our documentation at docs.anthropic.com or try again without "
                            "the header.",
                    *beta)));
        if (auto read = messages::read(root, ask); !read)
            return std::unexpected(invalid(read.error()));
        if (ask.is_stream != (route.verb == "streamRawPredict"))
            return std::unexpected(invalid("stream: does not fit the method"));
        return {};
    }

    Answered<void> read_chat(const Incoming& in, const Route& route, Ask& ask) const {
        const std::string model = ask.model;
        Incoming behind = in;
        behind.path = "/v1/chat/completions";
        auto read = chat_->read(behind);
        if (!read) {
            Refusal said = std::move(read.error());
            const auto body = json::Document::parse(said.body);
            Refusal out = generate::refuse(
                said.status, body ? body->root()["error"]["message"].string() : "");
            return std::unexpected(route.publisher.empty() ? listed(std::move(out)) : out);
        }
        ask = std::move(*read);
        if (!route.publisher.empty()) {
            if (ask.model != model ||
                (route.verb != "rawPredict" && route.verb != "streamRawPredict"))
                return std::unexpected(not_found(route, model));
            ask.wants_usage = true;  // it comes unasked
        }
        return {};
    }

    CloudAddress address_;
    std::unique_ptr<Cloud> chat_;
};

}  // namespace

std::unique_ptr<Cloud> make_vertex() { return std::make_unique<Vertex>(); }

}  // namespace entrepot::cloudsim
