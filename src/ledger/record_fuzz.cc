// Any bytes are either refused or a record that encodes to the same bytes; applied in any order
// they never break the ledger's own proof.
#include <cstdint>
#include <cstdlib>

#include "ledger/ledger.h"

namespace {

class Nowhere final : public entrepot::ledger::Log {
public:
    entrepot::Result<std::uint64_t> append(
        std::string_view, entrepot::ledger::LogClass, std::size_t) override {
        return ++position_;
    }
    entrepot::Result<std::optional<entrepot::ledger::Account>> recall(
        std::uint32_t, entrepot::ledger::NameId, entrepot::Instant) override {
        return std::optional<entrepot::ledger::Account>();
    }
    entrepot::Result<std::optional<entrepot::ledger::Account>> recall(
        entrepot::ledger::AccountId) override {
        return std::optional<entrepot::ledger::Account>();
    }

private:
    std::uint64_t position_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace entrepot::ledger;
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    Nowhere log;
    Ledger ledger(log);
    while (!rest.empty()) {
        const std::size_t length = static_cast<std::uint8_t>(rest.front());
        const std::string_view payload = rest.substr(1, length);
        rest.remove_prefix(std::min(rest.size(), length + 1));
        const entrepot::Result<Record> record = decode(payload);
        if (record) {
            EncodedRecord again;
            std::visit([&](const auto& one) { encode(one, again); }, *record);
            if (again.view() != payload) std::abort();
        }
        (void)ledger.apply(payload);
    }
    // Limits are decided before a record is written, so strange records may break them; the sums
    // must hold.
    for (const std::string& wrong : ledger.verify()) {
        if (wrong.find("under a limit of") == std::string::npos) std::abort();
    }
    return 0;
}
