#include <fmt/format.h>

#include "cloudsim/cloud.h"
#include "cloudsim/identity.h"
#include "crypto/sigv4.h"
#include "json/writer.h"

// Bedrock's second service: OpenAI's own formats behind AWS's credentials.
namespace entrepot::cloudsim {
namespace {

namespace sigv4 = crypto::sigv4;

class Mantle final : public Cloud {
public:
    Mantle() {
        address_.name = "bedrock_mantle";
        address_.kind = "bedrock";
        address_.service = "bedrock-mantle";
        address_.api_key = "bedrock-sim-bearer-0002";
        address_.region = "us-east-1";
        address_.access_key_id = "AKIASIMULATED0000002";
        address_.secret_access_key = "simulated/secret/access/key/0000000000002";
        address_.models = {"openai.gpt-oss-120b", "openai.gpt-5.5", "zai.glm-5"};
        openai_ = make_openai_behind(address_);
    }

    const CloudAddress& address() const override { return address_; }

    Answered<Ask> read(const Incoming& in) override {
        if (auto known = authenticate(in); !known) return std::unexpected(std::move(known.error()));
        constexpr std::string_view kClosed = "/openai";
        Incoming behind = in;
        const bool is_closed = in.path.starts_with(kClosed);
        if (is_closed) behind.path.remove_prefix(kClosed.size());
        auto ask = openai_->read(behind);
        // The makers' models are apart, and of the closed ones only Responses is sold.
        const bool wants_closed = ask && ask->model == "openai.gpt-5.5";
        if (ask && (wants_closed != is_closed || (is_closed && !ask->is_responses))) {
            Refusal refusal = openai_->refuse(
                404, fmt::format("The model '{}' does not exist at {}", ask->model, in.path));
            refusal.model = ask->model;
            return std::unexpected(std::move(refusal));
        }
        return ask;
    }

    std::string content_type(const Ask& ask) const override { return openai_->content_type(ask); }
    void add_headers(net::HeaderLines& lines, const Answer& answer, const Quota&) const override {
        lines.add(
            "x-amzn-requestid", fmt::format("00000000-0000-4000-8000-{:012x}", answer.serial));
    }
    std::string reply_id(const Answer& answer) const override { return openai_->reply_id(answer); }
    std::string whole(
        const Ask& ask, const Answer& answer, bool has_usage, Instant now) const override {
        return openai_->whole(ask, answer, has_usage, now);
    }
    std::vector<std::string> stream(const Ask& ask, const Answer& answer, const Control& control,
        bool has_usage, Instant now) const override {
        return openai_->stream(ask, answer, control, has_usage, now);
    }
    canon::Usage reported(canon::Usage usage) const override { return openai_->reported(usage); }
    std::string stream_error(const Ask& ask) const override { return openai_->stream_error(ask); }
    std::string damaged(std::string event) const override {
        return openai_->damaged(std::move(event));
    }
    Refusal refuse(int status, std::string_view message) const override {
        return openai_->refuse(status, message);
    }
    Refusal trouble(Trouble what, const Control& control, const Quota& quota) const override {
        return openai_->trouble(what, control, quota);
    }

private:
    Answered<void> authenticate(const Incoming& in) {
        if (has_key(in, "", address_.api_key)) return {};
        const auto denied = [&](std::string_view why) {
            return std::unexpected(openai_->refuse(403, why));
        };
        const auto claim =
            sigv4::parse_authorization(in.headers.find("authorization").value_or(""));
        if (!claim) return denied("Missing Authentication Token");
        const Identity::Keys* issued =
            in.identity == nullptr ? nullptr : in.identity->find_keys(claim->access_key_id);
        if (issued == nullptr && claim->access_key_id != address_.access_key_id)
            return denied("The security token included in the request is invalid.");
        if (claim->region != address_.region || claim->service != address_.service)
            return denied(fmt::format(
                "Credential should be scoped to '{}', '{}'.", address_.region, address_.service));
        std::vector<sigv4::HeaderView> headers;
        for (std::size_t i = 0; i < in.headers.size(); ++i)
            headers.push_back({in.headers[i].name, in.headers[i].value});
        const std::string body = crypto::hex(crypto::sha256(in.body));
        const sigv4::Verdict verdict = sigv4::verify(*claim,
            Secret(issued == nullptr ? address_.secret_access_key : issued->secret),
            {in.method, in.path, in.query, headers, body}, in.now, keys_);
        if (verdict == sigv4::Verdict::kValid) return {};
        return denied(fmt::format(
            "The request signature does not match ({}).", sigv4::verdict_name(verdict)));
    }

    CloudAddress address_;
    std::unique_ptr<Cloud> openai_;
    sigv4::KeyCache keys_;
};

}  // namespace

std::unique_ptr<Cloud> make_mantle() { return std::make_unique<Mantle>(); }

}  // namespace entrepot::cloudsim
