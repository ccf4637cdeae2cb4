#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "cloudsim/batches.h"
#include "cloudsim/cloud.h"
#include "cloudsim/embeddings.h"
#include "cloudsim/identity.h"
#include "cloudsim/responses.h"
#include "cloudsim/shelf.h"
#include "cloudsim/small.h"
#include "json/value.h"
#include "json/writer.h"

// OpenAI's chat completions, a server that copies them, and Azure's edition of them.
namespace entrepot::cloudsim {
namespace {

using canon::Meter;
using json::Value;
using json::Writer;

constexpr std::string_view kSafe =
    R"({"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":false,)"
    R"("severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},)"
    R"("violence":{"filtered":false,"severity":"safe"}})";

struct Chunk {
    std::int64_t choice = 0;
    std::string delta;
    std::string_view finish;
};

class OpenAi final : public Cloud {
public:
    explicit OpenAi(OpenAiKind kind) : kind_(kind) {
        switch (kind) {
            case OpenAiKind::kOpenAi:
                address_.name = "openai";
                address_.api_key = "sk-sim-openai-0001";
                address_.models = {"gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "gpt-5", "o4-mini",
                    "text-embedding-3-small", "text-embedding-3-large", "gpt-3.5-turbo-instruct",
                    "omni-moderation-latest", "gpt-image-1-mini", "dall-e-2", "tts-1",
                    "gpt-4o-mini-tts", "whisper-1", "gpt-4o-transcribe"};
                break;
            case OpenAiKind::kCompatible:
                address_.name = "openai_compatible";
                address_.api_key = "sk-sim-compatible-0001";
                address_.models = {"llama-3.3-70b", "tiny", "gpt-4o-mini", "bge-m3",
                    "tiny-instruct", "rerank-tiny", "whisper-large-v3"};
                break;
            case OpenAiKind::kAzure:
                address_.name = "azure";
                address_.api_key = "simazurekey0001";
                address_.region = "swedencentral";
                address_.models = {"gpt-4o-mini", "gpt-4o", "gpt-5", "text-embedding-3-small",
                    "gpt-3.5-turbo-instruct", "gpt-image-1-mini", "tts-1", "whisper-1"};
                break;
        }
        address_.kind = address_.name;
    }

    explicit OpenAi(CloudAddress behind)
        : kind_(OpenAiKind::kCompatible), is_behind_(true), address_(std::move(behind)) {}

    const CloudAddress& address() const override { return address_; }

    Answered<Ask> read(const Incoming& in) override {
        std::string_view path = in.path;
        while (path.starts_with("//")) path.remove_prefix(1);  // real clients write //openai/...
        std::string deployment;
        if (is_azure()) {
            if (!has_key(in, "api-key", address_.api_key) && !has_token(in, Issuer::kEntra))
                return std::unexpected(error(401,
                    "Access denied due to invalid subscription key or wrong API endpoint. Make "
                    "sure to provide a valid key for an active subscription and use a correct "
                    "regional API endpoint for your resource.",
                    "", "", "401"));
            if (!route_azure(path, in.query, deployment))
                return std::unexpected(error(404, "Resource not found", "", "", "404"));
        } else if (!is_behind_ && !has_key(in, "", address_.api_key) && !is_issued(in)) {
            return std::unexpected(error(401,
                "Incorrect API key provided. You can find your API key at "
                "https://platform.openai.com/account/api-keys.",
                "invalid_request_error", "", "invalid_api_key"));
        }
        if (path.ends_with("/models") && in.method == "GET") return std::unexpected(models());
        const bool is_count = kind_ == OpenAiKind::kOpenAi && path == "/v1/responses/input_tokens";
        if (kind_ != OpenAiKind::kCompatible)
            if (auto kept = serve_batches(in)) return std::unexpected(std::move(*kept));
        const bool has_responses = kind_ != OpenAiKind::kCompatible || is_behind_;
        if (has_responses && !is_count)
            if (auto kept = shelf_.serve(in.method, path, in.query, in.body, in.now)) {
                Refusal out;
                out.status = kept->status;
                out.body = std::move(kept->body);
                out.content_type = kept->content_type;
                return std::unexpected(std::move(out));
            }
        const bool is_responses = (has_responses && path.ends_with("/responses")) || is_count;
        const bool is_embeddings = path.ends_with("/embeddings");
        if (const std::string_view call = small_call(path);
            !call.empty() && (call != "rerank" || kind_ == OpenAiKind::kCompatible))
            return read_small_call(call, in, deployment);
        if (!is_azure() && path != "/v1/chat/completions" && path != "/v1/embeddings" &&
            !(is_responses && path == "/v1/responses") && !is_count)
            return std::unexpected(error(404,
                fmt::format("Invalid URL ({} {})", in.method, in.path), "invalid_request_error"));
        if (in.method != "POST")
            return std::unexpected(
                error(405, fmt::format("Not allowed to {} on {}.", in.method, in.path),
                    "invalid_request_error", "", "method_not_supported"));
        const auto parsed = json::Document::parse(std::string(in.body));
        if (!parsed || !parsed->root().is_object())
            return std::unexpected(bad("We could not parse the JSON body of your request.", ""));
        if (is_azure() && !parsed->root()["stream_options"].is_null() && !knows_usage(in.query))
            return std::unexpected(error(400,
                "Unrecognized request argument supplied: stream_options", "invalid_request_error"));
        if (is_embeddings) return read_embeddings(parsed->root(), deployment);
        auto ask = read_body(parsed->root(), deployment, is_responses);
        if (ask && is_count)
            count_only(*ask, [](std::int64_t tokens) {
                return fmt::format(
                    R"({{"object":"response.input_tokens","input_tokens":{}}})", tokens);
            });
        return ask;
    }

    std::string content_type(const Ask& ask) const override {
        return ask.is_stream ? "text/event-stream; charset=utf-8" : "application/json";
    }

    void add_headers(
        net::HeaderLines& lines, const Answer& answer, const Quota& quota) const override {
        const std::string id = id_of("req_", answer.serial);
        lines.add("x-request-id", id);
        if (kind_ == OpenAiKind::kOpenAi) {
            lines.add("openai-processing-ms", "12").add("openai-version", "2020-10-01");
        } else if (is_azure()) {
            lines.add("apim-request-id", id).add("x-ms-region", "Sweden Central");
            lines.add("x-ms-rai-invoked", "true");
        }
        if (quota.limit > 0 && kind_ != OpenAiKind::kCompatible) {
            lines.add("x-ratelimit-limit-requests", static_cast<std::uint64_t>(quota.limit));
            lines.add(
                "x-ratelimit-remaining-requests", static_cast<std::uint64_t>(quota.remaining));
            // OpenAI writes a unit, Azure a bare number.
            lines.add("x-ratelimit-reset-requests",
                is_azure() ? std::to_string(quota.reset_s) : fmt::format("{}s", quota.reset_s));
        }
    }

    std::string reply_id(const Answer& answer) const override {
        return id_of("chatcmpl-", answer.serial);
    }

    std::string whole(
        const Ask& ask, const Answer& answer, bool has_usage, Instant now) const override {
        if (ask.is_background) return shelf_.queued(id_of("resp_", answer.serial));
        if (ask.is_responses) return whole_response(ask, answer, served_model(ask), has_usage, now);
        std::string out;
        Writer writer(out);
        writer.begin_object();
        writer.member("id", reply_id(answer)).member("object", "chat.completion");
        writer.member("created", now.ns / 1'000'000'000).member("model", served_model(ask));
        if (is_azure())
            writer.member_raw("prompt_filter_results",
                fmt::format(R"([{{"prompt_index":0,"content_filter_results":{}}}])", kSafe));
        writer.key("choices").begin_array();
        for (std::int64_t i = 0; i < ask.choices; ++i) {
            writer.begin_object().member("index", i).key("message");
            write_message(writer, answer);
            if (kind_ != OpenAiKind::kCompatible) writer.member_null("logprobs");
            writer.member("finish_reason", finish_of(ask, answer));
            if (is_azure()) writer.member_raw("content_filter_results", kSafe);
            writer.end_object();
        }
        writer.end_array();
        if (has_usage) write_usage(writer.key("usage"), answer.usage);
        write_tail(writer);
        writer.end_object();
        return out;
    }

    void keep(const Ask& ask, const Answer& answer, const Control& control, bool has_usage,
        Instant now) override {
        if (ask.is_responses) shelf_.keep(ask, answer, control, served_model(ask), has_usage, now);
    }

    std::vector<std::string> stream(const Ask& ask, const Answer& answer, const Control& control,
        bool has_usage, Instant now) const override {
        if (ask.is_responses)
            return stream_response(ask, answer, control, served_model(ask), has_usage, now);
        std::vector<std::string> out;
        if (is_azure())
            out.push_back(fmt::format(
                "data: {{\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\","
                "\"prompt_filter_results\":[{{\"prompt_index\":0,\"content_filter_results\":{}}}]}}"
                "\n\n",
                kSafe));
        const bool reports = has_usage && ask.wants_usage;
        for (std::int64_t i = 0; i < ask.choices; ++i)
            for (const Chunk& chunk : chunks_of(ask, answer, control, i))
                out.push_back(event(ask, answer, &chunk, reports, now));
        if (reports) out.push_back(event(ask, answer, nullptr, true, now));
        out.emplace_back("data: [DONE]\n\n");
        return out;
    }

    canon::Usage reported(canon::Usage usage) const override {
        usage[Meter::kInput] += usage[Meter::kCacheWrite] + usage[Meter::kCacheWriteLong];
        usage[Meter::kCacheWrite] = usage[Meter::kCacheWriteLong] = 0;
        return usage;
    }

    std::string stream_error(const Ask&) const override {
        return "data: {\"error\":{\"message\":\"The server had an error while processing your "
               "request. Sorry about "
               "that!\",\"type\":\"server_error\",\"param\":null,\"code\":null}}"
               "\n\n";
    }

    std::string damaged(std::string) const override { return "data: {\"id\":\"chatcmpl-\n\n"; }

    Refusal refuse(int status, std::string_view message) const override {
        switch (status) {
            case 401:
                return error(401, message, "invalid_request_error", "",
                    is_azure() ? "401" : "invalid_api_key");
            case 404:
                return error(404, message, "invalid_request_error", "model", "model_not_found");
            case 429: return error(429, message, "requests", "", "rate_limit_exceeded");
            default:
                return error(
                    status, message, status >= 500 ? "server_error" : "invalid_request_error");
        }
    }

    Refusal trouble(Trouble what, const Control& control, const Quota& quota) const override {
        if (what == Trouble::kBroken)
            return error(500,
                "The server had an error while processing your request. Sorry about that!",
                "server_error");
        Refusal out;
        if (what == Trouble::kOverloaded) {
            out = error(503, "The server is currently overloaded. Please try again later.",
                "service_unavailable_error");
        } else if (is_azure()) {
            out = error(429, "Your requests have exceeded the call rate limit of your deployment.",
                "", "", "RateLimitReached");
        } else {
            out = error(429, "Rate limit reached for requests. Please try again later.", "requests",
                "", "rate_limit_exceeded");
        }
        const std::int64_t wait_s = quota.reset_s > 0 ? quota.reset_s : control.retry_after_s;
        out.headers.add("retry-after", static_cast<std::uint64_t>(wait_s));
        if (kind_ != OpenAiKind::kCompatible)
            out.headers.add("retry-after-ms", static_cast<std::uint64_t>(wait_s) * 1000);
        return out;
    }

private:
    std::optional<Refusal> serve_batches(const Incoming& in) {
        const Batches::AnswerOne answer = [&](std::string_view url, std::string_view body) {
            if (url.starts_with("/v1")) url.remove_prefix(3);
            Incoming one = in;
            const std::string method = "POST";
            const std::string path = fmt::format("{}{}", is_azure() ? "/openai/v1" : "/v1", url);
            const std::string bytes(body);
            one.method = method;
            one.path = path;
            one.query = {};
            one.body = bytes;
            const Answered<Ask> ask = read(one);
            if (!ask) return Batches::Reply{ask.error().status, ask.error().body};
            const Answer answered = batch_brain_.think(*ask, Control{});
            return Batches::Reply{200, whole(*ask, answered, true, in.now)};
        };
        auto reply = batches_.serve_openai(in.method, in.path,
            in.headers.find("content-type").value_or(""), in.body, in.now, answer);
        if (!reply) return std::nullopt;
        Refusal out;
        out.status = reply->status;
        out.body = std::move(reply->body);
        out.content_type = reply->content_type;
        return out;
    }

    static bool has_token(const Incoming& in, Issuer issuer) {
        return in.identity != nullptr && in.identity->knows_bearer(in, issuer);
    }
    // Servers that copy the API stand before Google's and Microsoft's gates, too.
    [[nodiscard]] bool is_issued(const Incoming& in) const {
        return kind_ == OpenAiKind::kCompatible &&
            (has_token(in, Issuer::kGoogle) || has_token(in, Issuer::kEntra));
    }
    [[nodiscard]] bool is_azure() const { return kind_ == OpenAiKind::kAzure; }

    /// Versions before 2024-09-01 reject `stream_options`; v1 has no version.
    static bool knows_usage(std::string_view query) {
        constexpr std::string_view kName = "api-version=";
        for (const std::string_view pair : split(query, '&'))
            if (pair.starts_with(kName) && pair.size() >= kName.size() + 10)
                return pair.substr(kName.size(), 10) >= "2024-09-01";
        return true;
    }

    /// False when Azure has no such resource.
    static bool route_azure(
        std::string_view path, std::string_view query, std::string& deployment) {
        if (path == "/openai/v1/chat/completions" || path == "/openai/v1/models" ||
            path == "/openai/v1/responses" || path == "/openai/v1/embeddings" ||
            path.starts_with("/openai/v1/responses/") ||
            path.starts_with("/openai/v1/conversations") || path.starts_with("/openai/v1/files") ||
            path.starts_with("/openai/v1/batches"))
            return true;
        const std::string_view call = small_call(path);
        if (path.starts_with("/openai/v1/") && !call.empty()) return true;
        bool has_version = false;
        for (const std::string_view pair : split(query, '&'))
            has_version = has_version || (pair.starts_with("api-version=") && pair.size() > 12);
        if (path == "/openai/responses" || path.starts_with("/openai/responses/"))
            return has_version;
        constexpr std::string_view kBefore = "/openai/deployments/";
        const std::string behind = fmt::format("/{}", call);
        for (const std::string_view after : {std::string_view("/chat/completions"),
                 std::string_view("/embeddings"), std::string_view(behind)}) {
            if ((call.empty() && after == behind) || !path.starts_with(kBefore) ||
                !path.ends_with(after) || path.size() <= kBefore.size() + after.size())
                continue;
            deployment = percent_decoded(
                path.substr(kBefore.size(), path.size() - kBefore.size() - after.size()));
            return has_version;
        }
        return false;
    }

    Refusal error(int status, std::string_view message, std::string_view type,
        std::string_view param = {}, std::string_view code = {}) const {
        Refusal out;
        out.status = status;
        Writer writer(out.body);
        writer.begin_object().key("error").begin_object();
        if (is_azure() && type.empty()) {
            writer.member("code", code).member("message", message);
        } else {
            writer.member("message", message).member("type", type);
            param.empty() ? writer.member_null("param") : writer.member("param", param);
            code.empty() ? writer.member_null("code") : writer.member("code", code);
        }
        writer.end_object().end_object();
        return out;
    }
    Refusal bad(std::string_view message, std::string_view param,
        std::string_view code = "invalid_value") const {
        return error(400, message, "invalid_request_error", param, param.empty() ? "" : code);
    }

    Refusal models() const {
        Refusal out;
        out.status = 200;
        Writer writer(out.body);
        writer.begin_object().member("object", "list").key("data").begin_array();
        for (const std::string& id : address_.models)
            writer.begin_object()
                .member("id", id)
                .member("object", "model")
                .member("created", 1'700'000'000)
                .member("owned_by", "cloudsim")
                .end_object();
        writer.end_array().end_object();
        return out;
    }

    Answered<Ask> read_embeddings(const Value& root, const std::string& deployment) const {
        Ask ask;
        if (auto known = read_model(root, deployment, ask); !known)
            return std::unexpected(std::move(known).error());
        Refusal refused;
        if (!is_embedding_model(ask.model)) {
            refused = error(403, "You are not allowed to generate embeddings from this model",
                "invalid_request_error");
        } else if (auto read = read_openai_embeddings(root, kind_ != OpenAiKind::kCompatible, ask);
            !read) {
            refused = bad(read.error().message, read.error().param);
        } else {
            return ask;
        }
        refused.model = ask.model;
        return std::unexpected(std::move(refused));
    }

    Answered<Ask> read_small_call(
        std::string_view call, const Incoming& in, const std::string& deployment) const {
        Ask ask;
        if (in.method != "POST")
            return std::unexpected(
                error(405, fmt::format("Not allowed to {} on {}.", in.method, in.path),
                    "invalid_request_error", "", "method_not_supported"));
        if (auto known = find_model(deployment.empty() ? small_model(in) : deployment, ask); !known)
            return std::unexpected(std::move(known).error());
        Refusal refused;
        if (!does_small(ask.model, call)) {
            refused =
                error(404, fmt::format("This model is not supported in the v1/{} endpoint.", call),
                    "invalid_request_error", "model");
        } else if (auto read = read_small(call, in, false, ask); !read) {
            refused = bad(read.error().message, read.error().param);
        } else {
            return ask;
        }
        refused.model = ask.model;
        return std::unexpected(std::move(refused));
    }

    /// Whether a model is named that this cloud has.
    Answered<void> read_model(const Value& root, const std::string& deployment, Ask& ask) const {
        return find_model(
            deployment.empty() ? std::string(root["model"].string()) : deployment, ask);
    }
    Answered<void> find_model(std::string name, Ask& ask) const {
        ask.model = std::move(name);
        if (ask.model.empty())
            return std::unexpected(bad("you must provide a model parameter", "model"));
        if (!has_model(address_, ask.model)) {
            Refusal out = is_azure()
                ? error(404,
                      "The API deployment for this resource does not exist. If you "
                      "created the deployment within the last 5 minutes, please wait a "
                      "moment and try again.",
                      "", "", "DeploymentNotFound")
                : error(404,
                      fmt::format("The model `{}` does not exist or you do not have "
                                  "access to it.",
                          ask.model),
                      "invalid_request_error", "", "model_not_found");
            out.model = ask.model;
            return std::unexpected(std::move(out));
        }
        return {};
    }

    Answered<Ask> read_body(
        const Value& root, const std::string& deployment, bool is_responses) const {
        Ask ask;
        ask.is_responses = is_responses;
        ask.is_cached_unasked = true;
        if (auto known = read_model(root, deployment, ask); !known)
            return std::unexpected(std::move(known).error());
        if (is_responses) {
            if (auto read = read_responses(root, shelf_, ask); !read) {
                Refusal out = bad(read.error().message, read.error().param, read.error().code);
                out.model = ask.model;
                return std::unexpected(std::move(out));
            }
            return ask;
        }
        for (auto step : {&OpenAi::read_messages, &OpenAi::read_tools, &OpenAi::read_parameters}) {
            if (auto refused = (this->*step)(root, ask); !refused) {
                refused.error().model = ask.model;
                return std::unexpected(std::move(refused.error()));
            }
        }
        return ask;
    }

    Answered<void> read_messages(const Value& root, Ask& ask) const {
        const Value& messages = root["messages"];
        if (!messages.is_array())
            return std::unexpected(bad("Missing required parameter: 'messages'.", "messages",
                "missing_required_parameter"));
        if (messages.items().empty())
            return std::unexpected(
                bad("Invalid 'messages': empty array. Expected an array with minimum length 1, but "
                    "got an empty array instead.",
                    "messages", "empty_array"));
        std::set<std::string, std::less<>> waiting;  // calls without a result yet
        for (std::size_t i = 0; i < messages.items().size(); ++i) {
            const Value& message = messages.items()[i];
            const std::string path = fmt::format("messages[{}]", i);
            const std::string_view role = message["role"].string();
            static const std::set<std::string_view> kRoles{
                "system", "developer", "user", "assistant", "tool", "function"};
            if (!kRoles.contains(role))
                return std::unexpected(
                    bad(fmt::format("Invalid value: '{}'. Supported values are: 'system', "
                                    "'assistant', 'user', 'function', 'tool', and 'developer'.",
                            role),
                        path + ".role"));
            if (role == "tool") {
                if (waiting.erase(std::string(message["tool_call_id"].string())) == 0)
                    return std::unexpected(
                        bad("Invalid parameter: messages with role 'tool' must be a response to a "
                            "preceeding message with 'tool_calls'.",
                            path + ".role"));
            } else if (!waiting.empty()) {
                return std::unexpected(bad(
                    fmt::format("An assistant message with 'tool_calls' must be followed by tool "
                                "messages responding to each 'tool_call_id'. The following "
                                "tool_call_ids did not have response messages: {}",
                        *waiting.begin()),
                    path + ".role"));
            }
            if (auto read = read_content(message, path, role, ask); !read) return read;
            for (const Value& call : message["tool_calls"].items()) {
                const std::string_view id = call["id"].string();
                if (kind_ != OpenAiKind::kCompatible && id.size() > 40)
                    return std::unexpected(bad(
                        fmt::format("Invalid '{}.tool_calls[0].id': string too long. Expected a "
                                    "string with maximum length 40, but got a string with length "
                                    "{} instead.",
                            path, id.size()),
                        path + ".tool_calls"));
                waiting.emplace(id);
                if (!call["function"]["arguments"].is_string() && !call["custom"].is_object())
                    return std::unexpected(
                        bad("Missing required parameter.", path + ".tool_calls"));
                ask.prompt += call["function"]["name"].string();
                ask.prompt += call["function"]["arguments"].string();
            }
        }
        return {};
    }

    Answered<void> read_content(
        const Value& message, const std::string& path, std::string_view role, Ask& ask) const {
        const Value& content = message["content"];
        std::string text;
        if (content.is_string()) {
            text = content.string();
        } else if (content.is_array()) {
            for (const Value& part : content.items()) {
                const std::string_view type = part["type"].string();
                if (type == "text") {
                    if (!part["text"].is_string())
                        return std::unexpected(
                            bad("Missing required parameter: 'text'.", path + ".content"));
                    text += part["text"].string();
                } else if (type == "refusal") {
                    text += part["refusal"].string();
                } else if (type == "image_url") {
                    const std::string_view url = part["image_url"]["url"].string();
                    if (!url.starts_with("https://") && !url.starts_with("http://") &&
                        !url.starts_with("data:image/"))
                        return std::unexpected(
                            bad("Invalid image URL.", path + ".content", "invalid_image_url"));
                    ++ask.images;
                } else if (type != "input_audio" && type != "file" && type != "thinking") {
                    return std::unexpected(
                        bad(fmt::format("Invalid value: '{}'.", type), path + ".content"));
                }
            }
        } else if (role != "assistant" || !content.is_null()) {
            return std::unexpected(
                bad(fmt::format("Invalid value for 'content': expected a string, got {}.",
                        json::kind_name(content.kind())),
                    path + ".content"));
        }
        ask.prompt += role;
        ask.prompt += text;
        if (role == "user") ask.last_user_text = text;
        if (role == "tool") ask.last_user_text.clear();
        return {};
    }

    Answered<void> read_tools(const Value& root, Ask& ask) const {
        for (std::size_t i = 0; i < root["tools"].items().size(); ++i) {
            const Value& tool = root["tools"].items()[i];
            if (tool["type"].string() != "function") continue;
            const std::string_view name = tool["function"]["name"].string();
            if (name.empty() || name.size() > 64)
                return std::unexpected(
                    bad("Invalid function name.", fmt::format("tools[{}].function.name", i)));
            const Value& schema = tool["function"]["parameters"];
            ask.tools.push_back({std::string(name),
                schema.is_object() ? std::string(schema.raw()) : std::string()});
            ask.prompt += tool.raw();
        }
        const Value& choice = root["tool_choice"];
        if (!choice.is_null() && ask.tools.empty() && choice.string() != "none" &&
            root["tools"].items().empty())
            return std::unexpected(
                bad("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice"));
        if (choice.string() == "none") ask.tool_mode = Ask::ToolMode::kNone;
        if (choice.string() == "required") ask.tool_mode = Ask::ToolMode::kRequired;
        if (const Value& named = choice["function"]["name"]; named.is_string()) {
            ask.tool_mode = Ask::ToolMode::kNamed;
            ask.tool_named = named.string();
        }
        ask.is_parallel_allowed = root["parallel_tool_calls"].as_bool().value_or(true);
        return {};
    }

    Answered<void> read_parameters(const Value& root, Ask& ask) const {
        ask.is_stream = root["stream"].as_bool().value_or(false);
        const Value& options = root["stream_options"];
        if (!options.is_null() && !ask.is_stream)
            return std::unexpected(
                bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                    "stream_options"));
        ask.wants_usage = !ask.is_stream || options["include_usage"].as_bool().value_or(false);
        for (const char* key : {"max_tokens", "max_completion_tokens"}) {
            const Value& value = root[key];
            if (value.is_null()) continue;
            const auto tokens = value.as_int();
            if (!tokens || *tokens < 1)
                return std::unexpected(
                    bad(fmt::format("Invalid '{}': integer below minimum value.", key), key,
                        "integer_below_min_value"));
            ask.output_tokens_max = tokens;
        }
        if (!root["max_tokens"].is_null() && (ask.model == "gpt-5" || ask.model == "o4-mini"))
            return std::unexpected(
                bad("Unsupported parameter: 'max_tokens' is not supported with "
                    "this model. Use 'max_completion_tokens' instead.",
                    "max_tokens", "unsupported_parameter"));
        for (const char* key : {"temperature", "top_p"})
            if (!root[key].is_null() && !root[key].is_number())
                return std::unexpected(
                    bad(fmt::format("Invalid type for '{}': expected a number.", key), key,
                        "invalid_type"));
        if (root["stop"].is_string()) ask.stop.emplace_back(root["stop"].string());
        for (const Value& stop : root["stop"].items()) ask.stop.emplace_back(stop.string());
        ask.choices = std::clamp<std::int64_t>(root["n"].as_int().value_or(1), 1, 16);
        const Value& format = root["response_format"];
        if (format["type"].string() == "json_object") ask.wants_json = true;
        if (format["type"].string() == "json_schema") {
            if (!format["json_schema"]["schema"].is_object())
                return std::unexpected(
                    bad("Missing required parameter: "
                        "'response_format.json_schema.schema'.",
                        "response_format.json_schema.schema"));
            ask.schema = format["json_schema"]["schema"].raw();
            ask.prompt += ask.schema;
        }
        const std::string_view effort = root["reasoning_effort"].string();
        ask.wants_reasoning = !effort.empty() && effort != "none";
        return {};
    }

    std::string served_model(const Ask& ask) const {
        if (ask.model == "gpt-4o-mini" && kind_ != OpenAiKind::kCompatible)
            return "gpt-4o-mini-2024-07-18";
        return ask.model;
    }

    std::string_view finish_of(const Ask& ask, const Answer& answer) const {
        if (answer.finish == Finish::kLength) return "length";
        if (answer.finish != Finish::kToolCalls) return "stop";
        // A call forced by its name ends with `stop` at OpenAI's own.
        return ask.tool_mode == Ask::ToolMode::kNamed && kind_ != OpenAiKind::kCompatible
            ? "stop"
            : "tool_calls";
    }

    static std::string call_id(const SimCall& call) { return "call_" + call.id; }

    void write_message(Writer& writer, const Answer& answer) const {
        writer.begin_object().member("role", "assistant");
        if (answer.calls.empty() || !answer.text.empty()) {
            writer.member("content", answer.text);
        } else {
            writer.member_null("content");
        }
        if (kind_ == OpenAiKind::kCompatible && !answer.reasoning.empty())
            writer.member("reasoning_content", answer.reasoning);
        if (!answer.calls.empty()) {
            writer.key("tool_calls").begin_array();
            for (const SimCall& call : answer.calls) {
                writer.begin_object().member("id", call_id(call)).member("type", "function");
                writer.key("function").begin_object().member("name", call.name);
                writer.member("arguments", call.arguments).end_object().end_object();
            }
            writer.end_array();
        }
        if (kind_ != OpenAiKind::kCompatible) {
            writer.member_null("refusal");
            writer.key("annotations").begin_array().end_array();
        }
        writer.end_object();
    }

    static void write_usage(Writer& writer, const canon::Usage& usage) {
        const std::int64_t prompt = usage.prompt_tokens();
        const std::int64_t answer = usage.answer_tokens();
        writer.begin_object();
        writer.member("prompt_tokens", prompt).member("completion_tokens", answer);
        writer.member("total_tokens", prompt + answer);
        writer.key("prompt_tokens_details").begin_object();
        writer.member("cached_tokens", usage[Meter::kCacheRead]).member_raw("audio_tokens", "0");
        writer.end_object().key("completion_tokens_details").begin_object();
        writer.member("reasoning_tokens", usage[Meter::kReasoning]).member_raw("audio_tokens", "0");
        writer.member_raw("accepted_prediction_tokens", "0")
            .member_raw("rejected_prediction_tokens", "0");
        writer.end_object().end_object();
    }

    void write_tail(Writer& writer) const {
        if (kind_ == OpenAiKind::kCompatible) return;
        writer.member("service_tier", "default").member("system_fingerprint", "fp_cloudsim01");
    }

    std::vector<Chunk> chunks_of(
        const Ask& ask, const Answer& answer, const Control& control, std::int64_t choice) const {
        std::vector<Chunk> out;
        const auto delta = [&](std::string text) { out.push_back({choice, std::move(text), {}}); };
        delta(kind_ == OpenAiKind::kCompatible
                ? R"({"role":"assistant","content":""})"
                : R"({"role":"assistant","content":"","refusal":null})");
        if (kind_ == OpenAiKind::kCompatible)
            for (const std::string_view piece : pieces_of(answer.reasoning, control.chunks))
                delta(fmt::format(R"({{"reasoning_content":{}}})", json::quoted(piece)));
        for (const std::string_view piece : pieces_of(answer.text, control.chunks))
            delta(fmt::format(R"({{"content":{}}})", json::quoted(piece)));
        for (std::size_t i = 0; i < answer.calls.size(); ++i) {
            const SimCall& call = answer.calls[i];
            delta(fmt::format(R"({{"tool_calls":[{{"index":{},"id":{},"type":"function",)"
                              R"("function":{{"name":{},"arguments":""}}}}]}})",
                i, json::quoted(call_id(call)), json::quoted(call.name)));
            for (const std::string_view piece : pieces_of(call.arguments, control.chunks))
                delta(fmt::format(
                    R"({{"tool_calls":[{{"index":{},"function":{{"arguments":{}}}}}]}})", i,
                    json::quoted(piece)));
        }
        out.push_back({choice, "{}", finish_of(ask, answer)});
        return out;
    }

    /// One chunk; without `chunk` the one that bears the usage.
    std::string event(
        const Ask& ask, const Answer& answer, const Chunk* chunk, bool reports, Instant now) const {
        std::string out = "data: ";
        Writer writer(out);
        writer.begin_object();
        writer.member("id", reply_id(answer)).member("object", "chat.completion.chunk");
        writer.member("created", now.ns / 1'000'000'000).member("model", served_model(ask));
        write_tail(writer);
        writer.key("choices").begin_array();
        if (chunk != nullptr) {
            writer.begin_object().member("index", chunk->choice);
            writer.member_raw("delta", chunk->delta);
            if (kind_ != OpenAiKind::kCompatible) writer.member_null("logprobs");
            chunk->finish.empty() ? writer.member_null("finish_reason")
                                  : writer.member("finish_reason", chunk->finish);
            if (is_azure()) writer.member_raw("content_filter_results", "{}");
            writer.end_object();
        }
        writer.end_array();
        if (chunk == nullptr) {
            write_usage(writer.key("usage"), answer.usage);
        } else if (reports) {
            writer.member_null("usage");
        }
        if (kind_ != OpenAiKind::kCompatible) {
            static constexpr std::string_view kPadding = "aB3dE6gH";  // means nothing
            writer.member("obfuscation", kPadding.substr(0, 1 + out.size() % kPadding.size()));
        }
        writer.end_object();
        return out + "\n\n";
    }

    OpenAiKind kind_;
    bool is_behind_ = false;  // another cloud has asked for credentials
    CloudAddress address_;
    Shelf shelf_;
    Batches batches_;
    Brain batch_brain_;
};

}  // namespace

std::unique_ptr<Cloud> make_openai(OpenAiKind kind) { return std::make_unique<OpenAi>(kind); }
std::unique_ptr<Cloud> make_openai_behind(CloudAddress address) {
    return std::make_unique<OpenAi>(std::move(address));
}

}  // namespace entrepot::cloudsim
