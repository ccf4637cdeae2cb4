// The simulated Oracle's own checks, and its replies as the gateway's dialects, written apart, read
// them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cloudsim/cloud.h"
#include "cloudsim/identity.h"
#include "crypto/http_signature.h"
#include "crypto/rsa.h"
#include "dialect/oci/oci.h"
#include "json/value.h"

namespace entrepot::cloudsim {
namespace {

namespace http_signature = crypto::http_signature;
using dialect::ReplyForm;
using testing::HasSubstr;

constexpr Instant kNow{1'795'435'200'000'000'000};
constexpr std::string_view kBody =
    R"({"compartmentId":"ocid1.compartment.oc1..simulated","servingMode":{"servingType":)"
    R"("ON_DEMAND","modelId":"xai.grok-4"},"chatRequest":{"apiFormat":"GENERIC","messages":)"
    R"([{"role":"USER","content":[{"type":"TEXT","text":"hi"}]}]}})";

/// Headers of a request, which live as long as this does.
struct Lines {
    std::string text;
    std::vector<net::Headers::Entry> entries;

    void add(std::string_view name, std::string_view value) {
        const auto at = static_cast<std::uint32_t>(text.size());
        text += fmt::format("{}: {}", name, value);
        entries.push_back({at, at + static_cast<std::uint32_t>(name.size()) + 2,
            static_cast<std::uint32_t>(value.size()), static_cast<std::uint16_t>(name.size())});
    }
};

class CloudsimOci : public testing::Test {
protected:
    Answered<Ask> send(const Lines& lines, std::string_view body = kBody,
        std::string_view path = "/20231130/actions/chat") {
        const net::Headers headers(lines.text.data(), &lines.entries);
        return cloud_->read({.method = "POST",
            .path = path,
            .query = "",
            .headers = headers,
            .body = body,
            .now = kNow,
            .identity = &identity_});
    }
    Lines with_key() {
        Lines lines;
        lines.add("authorization", "Bearer " + cloud_->address().api_key);
        return lines;
    }
    Lines signed_at(Instant at, std::string_view body = kBody) {
        const auto facts = json::Document::parse(identity_.to_json());
        const json::Value& oci = facts->root()["oci"];
        const auto key = crypto::RsaPrivateKey::parse(oci["private_key"].string());
        const std::string date = to_http_date(at);
        const std::string digest = http_signature::content_sha256(body);
        const http_signature::Request request{.method = "POST",
            .target = "/20231130/actions/chat",
            .host = "sim",
            .date = date,
            .content_type = "application/json",
            .content_bytes = body.size(),
            .content_sha256 = digest};
        Lines lines;
        lines.add("date", date);
        lines.add("host", "sim");
        lines.add("content-length", std::to_string(body.size()));
        lines.add("content-type", "application/json");
        lines.add("x-content-sha256", digest);
        lines.add("authorization",
            http_signature::authorization(fmt::format("{}/{}/{}", oci["tenancy"].string(),
                                              oci["user"].string(), oci["fingerprint"].string()),
                key->sign_sha256(http_signature::signing_string(request)),
                http_signature::covered(request)));
        return lines;
    }
    static std::string said(const Answered<Ask>& ask) {
        return ask ? std::string() : fmt::format("{} {}", ask.error().status, ask.error().body);
    }

    Identity identity_;
    std::unique_ptr<Cloud> cloud_ = make_oci();
};

TEST_F(CloudsimOci, TakesAKeyOrASignatureOfFiveMinutesOverThatBody) {
    EXPECT_EQ(said(send(with_key())), "");
    EXPECT_EQ(said(send(signed_at(kNow))), "");
    EXPECT_EQ(said(send(signed_at(kNow + seconds(299)))), "");
    EXPECT_THAT(said(send(signed_at(kNow - seconds(301)))), HasSubstr("the date is off"));
    const std::string other(std::string(kBody) + " ");
    EXPECT_THAT(said(send(signed_at(kNow), other)), HasSubstr("the body is another one"));
    Lines forged = signed_at(kNow);
    forged.text.replace(forged.text.find("host: sim"), 9, "host: sin");
    EXPECT_THAT(said(send(forged)), HasSubstr("401"));
    EXPECT_THAT(said(send(Lines())), HasSubstr("Failed to verify the HTTP(S) Signature"));
}

TEST_F(CloudsimOci, RefusesWhatIsNoFieldOfTheFormatAndModelsOfAnother) {
    const auto changed = [](std::string_view from, std::string_view to) {
        std::string body(kBody);
        return body.replace(body.find(from), from.size(), to);
    };
    EXPECT_THAT(said(send(with_key(), changed("\"role\":\"USER\"", "\"role\":\"user\""))),
        HasSubstr("the role is invalid"));
    EXPECT_THAT(said(send(with_key(), changed("\"messages\"", "\"max_tokens\":1,\"messages\""))),
        HasSubstr("unrecognized field 'max_tokens'"));
    EXPECT_THAT(said(send(with_key(), changed("xai.grok-4", "cohere.command-r-08-2024"))),
        HasSubstr("is not supported for model"));
    EXPECT_THAT(said(send(with_key(), changed("xai.grok-4", "none"))), HasSubstr("404"));
    EXPECT_THAT(said(send(with_key(), changed("..simulated", "..other"))),
        HasSubstr("NotAuthorizedOrNotFound"));
}

TEST_F(CloudsimOci, AnswersChatCompletionsUnderBothOfItsAddresses) {
    constexpr std::string_view kChat =
        R"({"model":"xai.grok-4","messages":[{"role":"user","content":"hi"}]})";
    for (const std::string_view path :
        {"/openai/v1/chat/completions", "/20231130/actions/v1/chat/completions"})
        EXPECT_EQ(said(send(with_key(), kChat, path)), "") << path;
    EXPECT_THAT(said(send(with_key(), kChat, "/v1/chat/completions")), HasSubstr("404"));
}

TEST_F(CloudsimOci, IsReadAsItWasMeantInEveryFormat) {
    Brain brain;
    for (const auto& [format, model, of] :
        {std::tuple("GENERIC", "xai.grok-4", &dialect::oci::generic()),
            std::tuple("GENERIC", "meta.llama-3.3-70b-instruct", &dialect::oci::generic()),
            std::tuple("COHERE", "cohere.command-r-08-2024", &dialect::oci::cohere()),
            std::tuple("COHEREV2", "cohere.command-a-03-2025", &dialect::oci::cohere_v2())}) {
        Ask plain;
        plain.model = model;
        plain.api_format = format;
        plain.prompt = "Say hello.";
        Ask calls = plain;
        calls.tools = {
            {"a", R"({"type":"object","properties":{"x":{"type":"string"}}})"}, {"b", ""}};
        calls.last_user_text = "call a and b";
        Ask thinks = plain;
        thinks.wants_reasoning = plain.api_format != "COHERE";
        for (const Ask& ask : {plain, calls, thinks}) {
            const Answer answer = brain.think(ask, Control());
            std::string stream;
            for (const std::string& event : cloud_->stream(ask, answer, Control(), true, kNow))
                stream += event;
            const std::string whole = cloud_->whole(ask, answer, true, kNow);
            for (const ReplyForm form : {ReplyForm::kWhole, ReplyForm::kStream}) {
                const auto decoder = of->reply_decoder(form);
                std::vector<canon::Event> events;
                EXPECT_TRUE(decoder->feed(form == ReplyForm::kWhole ? whole : stream, events));
                EXPECT_TRUE(decoder->finish(events)) << stream;
                canon::Reply reply;
                for (const canon::Event& event : events) reply.add(event);
                ASSERT_EQ(reply.choices.size(), 1U);
                std::string text, thought, named, wanted;
                for (const auto& part : reply.choices[0].parts) {
                    if (part.start.kind == canon::PartKind::kText) text += part.text;
                    if (part.start.kind == canon::PartKind::kThought) thought += part.text;
                    if (part.start.kind == canon::PartKind::kToolCall)
                        named += part.start.name + part.text;
                }
                for (const SimCall& call : answer.calls) wanted += call.name + call.arguments;
                EXPECT_EQ(text, answer.text) << format;
                EXPECT_EQ(thought, answer.reasoning) << format;
                EXPECT_EQ(named, wanted) << format;
                EXPECT_EQ(reply.choices[0].finished->reason == canon::StopReason::kToolCalls,
                    !answer.calls.empty());
                EXPECT_EQ(
                    canon::to_json(reply.usage), canon::to_json(cloud_->reported(answer.usage)));
            }
        }
    }
}

TEST_F(CloudsimOci, ItsErrorsAreReadForWhatTheyAre) {
    const auto kind = [&](const Refusal& refusal) {
        return dialect::oci::generic().decode_failure(refusal.status, {}, refusal.body).kind;
    };
    using canon::FailureKind;
    EXPECT_EQ(kind(cloud_->trouble(Trouble::kThrottled, Control(), {})), FailureKind::kRateLimited);
    EXPECT_EQ(kind(cloud_->trouble(Trouble::kOverloaded, Control(), {})), FailureKind::kOverloaded);
    EXPECT_EQ(kind(cloud_->trouble(Trouble::kBroken, Control(), {})), FailureKind::kServer);
    EXPECT_EQ(kind(cloud_->refuse(401, "x")), FailureKind::kAuthentication);
}

}  // namespace
}  // namespace entrepot::cloudsim
