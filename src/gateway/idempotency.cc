// What its client names is not done twice (docs/reference/billing.md).
#include "gateway/idempotency.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

constexpr std::size_t kNameBytesMax = 255;
/// An exchange that is under way may end, and may give its name back.
constexpr milliseconds kAskAgain{1'000};

ledger::Fingerprint fingerprint(std::string_view first, std::string_view second) {
    crypto::Sha256Stream hash;
    hash.add(fmt::format("{} {} ", first.size(), second.size()));  // where the one ends
    hash.add(first);
    hash.add(second);
    const crypto::Sha256 digest = hash.finish();
    ledger::Fingerprint out{};
    std::copy_n(digest.begin(), out.size(), out.begin());
    return out;
}

}  // namespace

Result<std::optional<std::string_view>> idempotency_key_of(const net::ServerRequest& request) {
    const std::optional<std::string_view> sent = request.headers.find(kIdempotencyHeader);
    if (!sent) return std::nullopt;
    const std::string_view key = trim(*sent);
    const bool is_plain = std::ranges::all_of(key, [](char c) { return c >= 0x20 && c < 0x7f; });
    if (key.empty() || key.size() > kNameBytesMax || !is_plain)
        return fail_field(ErrorCode::kInvalidField, "Idempotency-Key",
            fmt::format("the header 'Idempotency-Key' holds {} bytes; it must be 1 to {} printable "
                        "ASCII characters",
                key.size(), kNameBytesMax));
    return key;
}

ledger::Fingerprint idempotency_scope(std::string_view client_key, std::string_view key) {
    return fingerprint(client_key, key);
}

Status Worker::name_request(Exchange& x, const net::ServerRequest& request) {
    ENTREPOT_TRY(const std::optional<std::string_view> key, idempotency_key_of(request));
    if (!key) return {};
    x.named = std::make_unique<Named>();
    x.named->claim.key = idempotency_scope(x.principal->key.view(), *key);
    x.named->claim.request = fingerprint(request.path, request.body);
    return {};
}

void Worker::note_earlier(Exchange& x, const ledger::Refusal& refusal) {
    if (!refusal.earlier || x.named == nullptr) return;
    x.named->earlier = refusal.earlier;
    if (refusal.earlier_is_open)
        x.retry_after = kAskAgain;
    else
        x.is_hopeless = true;  // official clients repeat a 409 that does not say so
}

}  // namespace entrepot::gateway
