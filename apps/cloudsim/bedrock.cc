#include <fmt/format.h>

#include "base/text.h"
#include "cloudsim/cloud.h"
#include "cloudsim/converse.h"
#include "cloudsim/embeddings.h"
#include "cloudsim/identity.h"
#include "cloudsim/invoke.h"
#include "crypto/sigv4.h"
#include "framing/event_stream.h"
#include "json/value.h"
#include "json/writer.h"

// AWS Bedrock: Converse, InvokeModel and their streams.
namespace entrepot::cloudsim {
namespace {

using canon::Meter;
using json::Value;
using json::Writer;
namespace sigv4 = crypto::sigv4;

class Bedrock final : public Cloud {
public:
    Bedrock() {
        address_.name = address_.kind = "bedrock";
        address_.api_key = "bedrock-sim-bearer-0001";
        address_.region = "us-east-1";
        address_.access_key_id = "AKIASIMULATED0000001";
        address_.secret_access_key = "simulated/secret/access/key/0000000000001";
        address_.models = {"us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-lite-v1:0",
            "amazon.nova-pro-v1:0", "openai.gpt-oss-120b-1:0", "amazon.titan-text-express-v1",
            "meta.llama3-8b-instruct-v1:0", "mistral.mistral-7b-instruct-v0:2",
            "cohere.command-text-v14", "cohere.command-r-v1:0", "amazon.titan-embed-text-v2:0",
            "cohere.embed-english-v3"};
        openai_ = make_openai_behind(address_);
    }

    const CloudAddress& address() const override { return address_; }

    Answered<Ask> read(const Incoming& in) override {
        if (auto known = authenticate(in); !known) return std::unexpected(std::move(known.error()));
        if (in.path == "/openai/v1/chat/completions") return read_openai(in);
        Ask ask;
        constexpr std::string_view kBefore = "/model/";
        const std::size_t slash = in.path.rfind('/');
        const std::string_view operation =
            slash == std::string_view::npos ? std::string_view() : in.path.substr(slash + 1);
        ask.is_invoked = operation == "invoke" || operation == "invoke-with-response-stream";
        if (!in.path.starts_with(kBefore) || slash < kBefore.size() ||
            (!ask.is_invoked && operation != "converse" && operation != "converse-stream" &&
                operation != "count-tokens"))
            return std::unexpected(
                error(404, "UnknownOperationException", "The requested operation is not known."));
        if (in.method != "POST")
            return std::unexpected(
                error(405, "UnknownOperationException", "The method is not allowed."));
        ask.model = percent_decoded(in.path.substr(kBefore.size(), slash - kBefore.size()));
        ask.is_stream = in.path.ends_with("-stream");
        const auto fail = [&](Refusal refusal) {
            refusal.model = ask.model;
            return std::unexpected(std::move(refusal));
        };
        if (!has_model(address_, ask.model))
            return fail(invalid("The provided model identifier is invalid."));
        const auto parsed = json::Document::parse(std::string(in.body));
        if (!parsed || !parsed->root().is_object())
            return fail(error(400, "SerializationException", "The body is no JSON object."));
        if (is_embedding_model(ask.model)) {
            const auto read = !ask.is_invoked
                ? std::unexpected<std::string>("This action doesn't support the model.")
                : ask.model.starts_with("amazon.")
                ? read_titan_embedding(parsed->root(), ask)
                : read_cohere_embeddings(parsed->root(), false, ask);
            if (!read) return fail(invalid(read.error()));
            return ask;
        }
        if (operation == "count-tokens") {
            const Value& converse = parsed->root()["input"]["converse"];
            if (!converse.is_object())
                return fail(invalid("this simulation counts what Converse is asked"));
            if (auto read = converse::read(converse, ask); !read)
                return fail(invalid(read.error()));
            count_only(ask,
                [](std::int64_t tokens) { return fmt::format(R"({{"inputTokens":{}}})", tokens); });
            return ask;
        }
        const auto read = ask.is_invoked ? invoke::read(parsed->root(), ask)
                                         : converse::read(parsed->root(), ask);
        if (!read) return fail(invalid(read.error()));
        return ask;
    }

    std::string content_type(const Ask& ask) const override {
        if (ask.is_openai) return openai_->content_type(ask);
        return ask.is_stream ? "application/vnd.amazon.eventstream" : "application/json";
    }

    void add_headers(net::HeaderLines& lines, const Answer& answer, const Quota&) const override {
        lines.add("x-amzn-requestid", reply_id(answer));
    }

    /// Converse gives replies no id; the request's own is what both sides can name.
    std::string reply_id(const Answer& answer) const override {
        return fmt::format("00000000-0000-4000-8000-{:012x}", answer.serial);
    }

    std::string whole(
        const Ask& ask, const Answer& answer, bool has_usage, Instant now) const override {
        if (ask.is_openai) return openai_->whole(ask, answer, has_usage, now);
        return ask.is_invoked ? invoke::whole(ask, answer, has_usage)
                              : converse::whole(answer, has_usage);
    }

    std::vector<std::string> stream(const Ask& ask, const Answer& answer, const Control& control,
        bool has_usage, Instant now) const override {
        if (ask.is_openai) return openai_->stream(ask, answer, control, has_usage, now);
        std::vector<std::string> out;
        const auto put = [&](std::string_view type, std::string_view members) {
            // Padding of any length means nothing.
            static constexpr std::string_view kPadding = "abcdefghijklmnopqrstuvwxyz";
            std::string frame;
            framing::append_event_stream_event(frame, type,
                fmt::format(R"({{{},"p":"{}"}})", members,
                    kPadding.substr(0, 1 + out.size() * 7 % kPadding.size())));
            out.push_back(std::move(frame));
        };
        if (ask.is_invoked) {
            for (const std::string& chunk : invoke::stream(ask, answer, control, has_usage))
                put("chunk", fmt::format(R"("bytes":"{}")", base64_encode(chunk)));
        } else {
            for (const converse::Event& event : converse::stream(answer, control, has_usage))
                put(event.type, event.members);
        }
        return out;
    }

    void add_reply_headers(net::HeaderLines& lines, const Ask& ask, const Answer& answer,
        bool has_usage) const override {
        if (!ask.is_invoked) return;
        if (ask.is_stream) {
            lines.add("x-amzn-bedrock-content-type", "application/json");
            return;
        }
        lines.add("x-amzn-bedrock-invocation-latency", "12");
        if (!has_usage) return;
        for (const auto& [name, count] : invoke::counts_of(ask, answer))
            lines.add(name, static_cast<std::uint64_t>(count));
    }

    canon::Usage reported(canon::Usage usage) const override {
        usage[Meter::kReasoning] = 0;  // is counted in the output and not told apart
        return usage;
    }

    std::string stream_error(const Ask& ask) const override {
        if (ask.is_openai) return openai_->stream_error(ask);
        std::string out;
        framing::append_event_stream_exception(out, "modelStreamErrorException",
            R"({"message":"The model returned an error while it streamed."})");
        return out;
    }

    std::string damaged(std::string event) const override {
        if (!event.empty()) event.back() = static_cast<char>(event.back() ^ 1);
        return event;
    }

    Refusal refuse(int status, std::string_view message) const override {
        switch (status) {
            case 401:
            case 403: return error(status, "AccessDeniedException", message);
            case 404: return error(404, "ResourceNotFoundException", message);
            case 408: return error(408, "ModelTimeoutException", message);
            case 424: return error(424, "ModelErrorException", message);
            case 429: return error(429, "ThrottlingException", message);
            case 503: return error(503, "ServiceUnavailableException", message);
            default:
                return error(status,
                    status >= 500 ? "InternalServerException" : "ValidationException", message);
        }
    }

    Refusal trouble(Trouble what, const Control&, const Quota&) const override {
        // Bedrock names no time to wait and no limits.
        if (what == Trouble::kBroken)
            return error(500, "InternalServerException", "The system encountered an error.");
        if (what == Trouble::kOverloaded)
            return error(
                503, "ServiceUnavailableException", "Bedrock is unable to process your request.");
        return error(
            429, "ThrottlingException", "Too many requests, please wait before trying again.");
    }

private:
    /// OpenAI's format, which AWS documents for OpenAI's open weights.
    Answered<Ask> read_openai(const Incoming& in) const {
        Incoming behind = in;
        behind.path.remove_prefix(std::string_view("/openai").size());
        auto ask = openai_->read(behind);
        if (!ask) return ask;
        ask->is_openai = true;
        if (ask->model.starts_with("openai.gpt-oss")) return ask;
        Refusal refusal = openai_->refuse(
            404, fmt::format("The model '{}' does not exist at {}", ask->model, in.path));
        refusal.model = ask->model;
        return std::unexpected(std::move(refusal));
    }
    static Refusal error(int status, std::string_view type, std::string_view message) {
        Refusal out;
        out.status = status;
        out.headers.add("x-amzn-errortype",
            fmt::format("{}:http://internal.amazon.com/coral/com.amazon.bedrock/", type));
        Writer writer(out.body);
        writer.begin_object().member("message", message).end_object();
        return out;
    }
    static Refusal invalid(std::string_view message) {
        return error(400, "ValidationException", message);
    }

    Answered<void> authenticate(const Incoming& in) {
        const auto header = in.headers.find("authorization");
        if (!header)
            return std::unexpected(
                error(403, "MissingAuthenticationTokenException", "Missing Authentication Token"));
        if (header->starts_with("Bearer ")) {
            if (has_key(in, "", address_.api_key)) return {};
            return std::unexpected(error(403, "AccessDeniedException",
                "Authentication failed: Please make sure your API Key is valid."));
        }
        const auto claim = sigv4::parse_authorization(*header);
        if (!claim)
            return std::unexpected(
                error(403, "IncompleteSignatureException", claim.error().message));
        const Identity::Keys* issued =
            in.identity == nullptr ? nullptr : in.identity->find_keys(claim->access_key_id);
        if (issued != nullptr) {
            if (in.now >= issued->expires)
                return std::unexpected(error(403, "ExpiredTokenException",
                    "The security token included in the request is expired"));
            if (in.headers.find("x-amz-security-token").value_or("") != issued->session_token)
                return std::unexpected(error(403, "UnrecognizedClientException",
                    "The security token included in the request is invalid."));
        } else if (claim->access_key_id != address_.access_key_id) {
            return std::unexpected(error(403, "UnrecognizedClientException",
                "The security token included in the request is invalid."));
        }
        if (claim->region != address_.region || claim->service != "bedrock")
            return std::unexpected(error(403, "InvalidSignatureException",
                fmt::format("Credential should be scoped to a valid region and service: "
                            "'{}', 'bedrock'.",
                    address_.region)));
        std::vector<sigv4::HeaderView> headers;
        for (std::size_t i = 0; i < in.headers.size(); ++i)
            headers.push_back({in.headers[i].name, in.headers[i].value});
        const std::string body = crypto::hex(crypto::sha256(in.body));
        const sigv4::Verdict verdict = sigv4::verify(*claim,
            Secret(issued == nullptr ? address_.secret_access_key : issued->secret),
            {in.method, in.path, in.query, headers, body}, in.now, keys_);
        if (verdict == sigv4::Verdict::kValid) return {};
        if (verdict == sigv4::Verdict::kClockSkew)
            return std::unexpected(error(403, "InvalidSignatureException",
                "Signature expired: it is more than 5 minutes off."));
        return std::unexpected(error(403, "InvalidSignatureException",
            fmt::format("The request signature we calculated does not match the signature you "
                        "provided. Check your AWS Secret Access Key and signing method. ({})",
                sigv4::verdict_name(verdict))));
    }

    CloudAddress address_;
    std::unique_ptr<Cloud> openai_;
    sigv4::KeyCache keys_;
};

}  // namespace

std::unique_ptr<Cloud> make_bedrock() { return std::make_unique<Bedrock>(); }

}  // namespace entrepot::cloudsim
