#include <fmt/format.h>

#include "cloudsim/batches.h"
#include "cloudsim/cloud.h"
#include "cloudsim/embeddings.h"
#include "cloudsim/messages.h"
#include "json/value.h"
#include "json/writer.h"

// Anthropic's own endpoint of Messages.
namespace entrepot::cloudsim {
namespace {

using json::Value;
using json::Writer;

std::string event(std::string_view type, std::string_view data) {
    return fmt::format("event: {}\ndata: {}\n\n", type, data);
}

class Anthropic final : public Cloud {
public:
    Anthropic() {
        address_.name = address_.kind = "anthropic";
        address_.api_key = "sk-ant-sim-0001";
        address_.models = {"claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"};
    }

    const CloudAddress& address() const override { return address_; }

    Answered<Ask> read(const Incoming& in) override {
        if (!has_key(in, "x-api-key", address_.api_key))
            return std::unexpected(error(401, "authentication_error", "invalid x-api-key"));
        if (!in.headers.find("anthropic-version"))
            return std::unexpected(
                error(400, "invalid_request_error", "anthropic-version: header is required"));
        if (auto kept = serve_batches(in)) return std::unexpected(std::move(*kept));
        const bool is_count = in.path == "/v1/messages/count_tokens";
        if (in.path != "/v1/messages" && !is_count)
            return std::unexpected(error(404, "not_found_error", "Not found"));
        if (in.method != "POST")
            return std::unexpected(error(405, "invalid_request_error", "Method Not Allowed"));
        const auto parsed = json::Document::parse(std::string(in.body));
        if (!parsed || !parsed->root().is_object())
            return std::unexpected(bad("The request body is not valid JSON"));
        const Value& root = parsed->root();
        Ask ask;
        ask.model = root["model"].string();
        if (ask.model.empty()) return std::unexpected(bad("model: Field required"));
        const auto fail = [&](Refusal refusal) {
            refusal.model = ask.model;
            return std::unexpected(std::move(refusal));
        };
        if (!has_model(address_, ask.model))
            return fail(error(404, "not_found_error", "model: " + ask.model));
        if (!is_count) {
            if (auto read = messages::read(root, ask); !read) return fail(bad(read.error()));
            return ask;
        }
        for (const std::string_view field :
            {"max_tokens", "temperature", "stream", "stop_sequences"})
            if (!root[field].is_null())
                return fail(bad(fmt::format("{}: Extra inputs are not permitted", field)));
        std::string capped(root.raw());
        capped.insert(capped.find('{') + 1, R"("max_tokens":1048576,)");
        const auto message = json::Document::parse(capped);
        if (auto read = messages::read(message->root(), ask); !read) return fail(bad(read.error()));
        count_only(ask,
            [](std::int64_t tokens) { return fmt::format(R"({{"input_tokens":{}}})", tokens); });
        return ask;
    }

    std::string content_type(const Ask& ask) const override {
        return ask.is_stream ? "text/event-stream; charset=utf-8" : "application/json";
    }

    void add_headers(
        net::HeaderLines& lines, const Answer& answer, const Quota& quota) const override {
        lines.add("request-id", id_of("req_", answer.serial));
        if (quota.limit == 0) return;
        lines.add("anthropic-ratelimit-requests-limit", static_cast<std::uint64_t>(quota.limit));
        lines.add(
            "anthropic-ratelimit-requests-remaining", static_cast<std::uint64_t>(quota.remaining));
        lines.add(
            "anthropic-ratelimit-requests-reset", to_rfc3339(wall_now() + seconds(quota.reset_s)));
    }

    std::string reply_id(const Answer& answer) const override {
        return id_of("msg_", answer.serial);
    }

    std::string whole(
        const Ask& ask, const Answer& answer, bool has_usage, Instant) const override {
        return messages::whole(ask, answer, reply_id(answer), has_usage);
    }

    std::vector<std::string> stream(const Ask& ask, const Answer& answer, const Control& control,
        bool has_usage, Instant) const override {
        std::vector<std::string> out;
        for (const messages::Event& one :
            messages::stream(ask, answer, control, reply_id(answer), has_usage))
            out.push_back(event(one.type, one.data));
        return out;
    }

    std::string stream_error(const Ask&) const override {
        return event("error",
            R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})");
    }

    std::string damaged(std::string) const override {
        return "event: content_block_delta\ndata: {\"type\":\"content_blo\n\n";
    }

    Refusal refuse(int status, std::string_view message) const override {
        std::string_view type = status >= 500 ? "api_error" : "invalid_request_error";
        switch (status) {
            case 401: type = "authentication_error"; break;
            case 402: type = "billing_error"; break;
            case 403: type = "permission_error"; break;
            case 404: type = "not_found_error"; break;
            case 413: type = "request_too_large"; break;
            case 429: type = "rate_limit_error"; break;
            case 504: type = "timeout_error"; break;
            case 529: type = "overloaded_error"; break;
            default: break;
        }
        return error(status, type, message);
    }

    Refusal trouble(Trouble what, const Control& control, const Quota& quota) const override {
        if (what == Trouble::kBroken) return error(500, "api_error", "Internal server error");
        if (what == Trouble::kOverloaded) return error(529, "overloaded_error", "Overloaded");
        Refusal out = error(429, "rate_limit_error",
            "This request would exceed your organization's rate limit of requests per minute.");
        out.headers.add("retry-after",
            static_cast<std::uint64_t>(quota.reset_s > 0 ? quota.reset_s : control.retry_after_s));
        return out;
    }

private:
    std::optional<Refusal> serve_batches(const Incoming& in) {
        const Batches::AnswerOne answer = [&](std::string_view url, std::string_view body) {
            Incoming one = in;
            const std::string method = "POST";
            const std::string path(url);
            const std::string bytes(body);
            one.method = method;
            one.path = path;
            one.body = bytes;
            const Answered<Ask> ask = read(one);
            if (!ask) return Batches::Reply{ask.error().status, ask.error().body};
            const Answer answered = batch_brain_.think(*ask, Control{});
            return Batches::Reply{200, whole(*ask, answered, true, in.now)};
        };
        auto reply = batches_.serve_anthropic(in.method, in.path, in.body, in.now, answer);
        if (!reply) return std::nullopt;
        Refusal out;
        out.status = reply->status;
        out.body = std::move(reply->body);
        out.content_type = reply->content_type;
        return out;
    }

    Batches batches_;
    Brain batch_brain_;
    static Refusal error(int status, std::string_view type, std::string_view message) {
        Refusal out;
        out.status = status;
        Writer writer(out.body);
        writer.begin_object().member("type", "error").key("error").begin_object();
        writer.member("type", type).member("message", message).end_object();
        writer.member("request_id", "req_cloudsim").end_object();
        return out;
    }
    static Refusal bad(std::string_view message) {
        return error(400, "invalid_request_error", message);
    }

    CloudAddress address_;
};

}  // namespace

std::unique_ptr<Cloud> make_anthropic() { return std::make_unique<Anthropic>(); }

}  // namespace entrepot::cloudsim
