#include "auth/key_index.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "base/check.h"

namespace entrepot::auth {
namespace {

// A digest is as good as random: its first bytes are the hash.
std::size_t place_of(const Digest& digest, std::size_t mask) {
    std::uint64_t first;
    std::memcpy(&first, digest.data(), sizeof first);
    return static_cast<std::size_t>(first) & mask;
}

std::string_view as_text(const Digest& digest) {
    return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace

Result<std::shared_ptr<const KeyIndex>> KeyIndex::build(std::vector<KeyEntry> entries) {
    auto index = std::make_shared<KeyIndex>();
    std::size_t digests = 0;
    for (const KeyEntry& entry : entries) digests += entry.digests.size();
    index->slots_.resize(std::bit_ceil(std::max<std::size_t>(digests * 2, 2)));
    index->principals_.reserve(entries.size());
    const std::size_t mask = index->slots_.size() - 1;
    for (KeyEntry& entry : entries) {
        const auto number = static_cast<std::uint32_t>(index->principals_.size());
        for (const Digest& digest : entry.digests) {
            std::size_t at = place_of(digest, mask);
            while (index->slots_[at].principal != kEmpty) {
                if (index->slots_[at].digest == digest) {
                    // The entry itself is not in principals_ yet when it names a secret twice.
                    const std::uint32_t holder = index->slots_[at].principal;
                    const std::string other = holder < number ? index->principals_[holder].key.str()
                                                              : entry.principal.key.str();
                    return fail(ErrorCode::kBadConfiguration,
                        fmt::format("keys '{}' and '{}' have the same secret: give each its own",
                            other, entry.principal.key.str()));
                }
                at = (at + 1) & mask;
            }
            index->slots_[at] = {digest, number};
        }
        if (entry.access_key) {
            const auto [holder, is_new] = index->access_keys_.emplace(
                entry.access_key->id, SignedKey{number, entry.access_key->secret});
            if (!is_new)
                return fail(ErrorCode::kBadConfiguration,
                    fmt::format("keys '{}' and '{}' have the same access key id: give each its own",
                        index->principals_[holder->second.principal].key.str(),
                        entry.principal.key.str()));
        }
        entry.principal.index = number;
        index->principals_.push_back(std::move(entry.principal));
    }
    return std::shared_ptr<const KeyIndex>(std::move(index));
}

const Principal* KeyIndex::lookup(const Digest& digest) const {
    if (slots_.empty()) return nullptr;
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = place_of(digest, mask);; at = (at + 1) & mask) {
        const Slot& slot = slots_[at];
        if (slot.principal == kEmpty) return nullptr;
        if (equal_in_constant_time(as_text(slot.digest), as_text(digest)))
            return &principals_[slot.principal];
    }
}

Result<const Principal*> KeyIndex::authenticate(std::string_view secret, Instant now) const {
    const Principal* principal = secret.empty() ? nullptr : lookup(digest_of(secret));
    if (principal == nullptr)
        return fail(ErrorCode::kUnauthenticated,
            "The API key is not known to this gateway. Check for a typing error, or ask for a new "
            "key.");
    ENTREPOT_TRY_DO(check_live(*principal, now));
    return principal;
}

Status KeyIndex::check_live(const Principal& principal, Instant now) {
    if (principal.disabled)
        return fail(ErrorCode::kForbidden,
            fmt::format(
                "The API key '{}' is disabled. Ask its owner to enable it or for a new key.",
                principal.key.view()));
    if (principal.expires && *principal.expires <= now)
        return fail(ErrorCode::kForbidden,
            fmt::format("The API key '{}' expired at {}. Ask its owner for a new secret.",
                principal.key.view(), to_rfc3339(*principal.expires)));
    return {};
}

KeyIndex::AccessKey KeyIndex::find_access_key(std::string_view id) const {
    const auto found = access_keys_.find(id);
    if (found == access_keys_.end()) return {};
    return {&principals_[found->second.principal], &found->second.secret};
}

const Principal* KeyIndex::find(const KeyId& key) const {
    for (const Principal& principal : principals_)
        if (principal.key == key) return &principal;
    return nullptr;
}

}  // namespace entrepot::auth
