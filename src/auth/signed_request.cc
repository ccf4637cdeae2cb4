#include "auth/signed_request.h"

#include <fmt/format.h>

#include "base/text.h"
#include "crypto/hash.h"

namespace entrepot::auth {

namespace sigv4 = crypto::sigv4;

namespace {

std::string_view words_of(sigv4::Verdict verdict) {
    switch (verdict) {
        case sigv4::Verdict::kValid: return "it is valid";
        case sigv4::Verdict::kHeaderMissing:
            return "'host' or an 'x-amz-' header is not signed, or a signed header did not come";
        case sigv4::Verdict::kBadDate: return "x-amz-date is missing or of another day";
        case sigv4::Verdict::kClockSkew:
            return "it was made more than five minutes ago or ahead; set the clock";
        case sigv4::Verdict::kBodyMismatch: return "x-amz-content-sha256 is not the body's";
        case sigv4::Verdict::kSignatureMismatch:
            return "the secret is another one, or the request was changed on its way (a proxy "
                   "that rewrites Host or the path)";
    }
    return "it cannot be verified";
}

}  // namespace

bool is_signed(std::string_view authorization) { return trim(authorization).starts_with("AWS4-"); }

Result<const Principal*> authenticate_signed(const KeyIndex& keys, std::string_view authorization,
    sigv4::Request request, std::optional<std::string_view> body, Instant now,
    sigv4::KeyCache& derived) {
    ENTREPOT_TRY(const sigv4::Claim claim, sigv4::parse_authorization(trim(authorization)));
    const KeyIndex::AccessKey key = keys.find_access_key(claim.access_key_id);
    if (key.principal == nullptr)
        return fail(ErrorCode::kForbidden,
            "This request is signed with an access key that this gateway has not issued. Your own "
            "AWS credentials must not leave your account: use an access key of this gateway, or "
            "one of its keys as a bearer token (AWS_BEARER_TOKEN_BEDROCK).");
    if (claim.service != "bedrock")
        return fail(ErrorCode::kForbidden,
            fmt::format("The request is signed for the service '{}'; sign it for 'bedrock'.",
                excerpt(claim.service)));
    if (body) {
        const std::string digest = crypto::hex(crypto::sha256(*body));
        request.body_sha256_hex = digest;
        const sigv4::Verdict verdict = sigv4::verify(claim, *key.secret, request, now, derived);
        if (verdict != sigv4::Verdict::kValid)
            return fail(ErrorCode::kForbidden,
                fmt::format("The signature of the access key '{}' does not hold: {}.",
                    excerpt(claim.access_key_id), words_of(verdict)));
    }
    ENTREPOT_TRY_DO(KeyIndex::check_live(*key.principal, now));
    return key.principal;
}

}  // namespace entrepot::auth
