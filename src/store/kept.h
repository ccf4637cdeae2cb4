#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace entrepot::store {

/// What suppliers keep. Numbers are in the store: add at the end.
enum class KeptKind : std::uint8_t {
    kResponse = 1,
    kItem = 2,  ///< of a response: what `item_reference` names
    kConversation = 3,
    kCache = 4,
    kContainer = 5,
    kFile = 6,
    kBatch = 7,
};
[[nodiscard]] std::string_view kept_kind_name(KeptKind kind);

/// Something that a supplier keeps, and whose it is.
struct Kept {
    std::string id;  ///< the supplier's own
    KeptKind kind = KeptKind::kResponse;
    std::string cloud;  ///< the configured one that keeps it
    std::string model;  ///< the client's name of it; empty where there is none
    std::string key, team, org;
    Instant made;
    Instant expires;       ///< {0}: never
    std::string exchange;  ///< not empty: its cost is still held under this exchange's id
    std::string detail;    ///< JSON, what ending that hold needs, or what a list shows
    friend bool operator==(const Kept&, const Kept&) = default;
};

struct KeptOptions {
    std::filesystem::path data;
    /// Of responses, items and containers, which are noted unasked; the oldest go first.
    std::uint64_t rows_max = 5'000'000;
    std::size_t waiting_max = 65'536;  ///< noted and not written yet; beyond: forgotten
};

/// Whose are the things that suppliers keep, in an SQLite file of its own (`kept.db`) beside the
/// books. Any thread; every call but `note` may wait for the disk: no event loop calls them.
class KeptStore {
public:
    /// Errors: kIo.
    [[nodiscard]] static Result<std::unique_ptr<KeptStore>> open(const KeptOptions& options);
    /// Writes what waits.
    ~KeptStore();
    KeptStore(const KeptStore&) = delete;
    KeptStore& operator=(const KeptStore&) = delete;

    /// Never waits. `find` knows the things at once; they are on disk some 20 ms later, and what a
    /// crash takes before is nobody's: answered like what never was. False: too much waits, and
    /// they were forgotten.
    [[nodiscard]] bool note(std::vector<Kept> things);
    /// On disk when it returns. The same id at the same cloud is replaced. Errors: kIo.
    [[nodiscard]] Status put(const Kept& thing);
    /// All of that id: different clouds may have given one id twice. Errors: kIo.
    [[nodiscard]] Result<std::vector<Kept>> find(std::string_view id);
    /// Whether it was there. Errors: kIo.
    [[nodiscard]] Result<bool> remove(std::string_view id, std::string_view cloud);
    /// What of a kind was made under `key`, `team` or `org` (empty: any), newest first, of files,
    /// batches and caches. `cloud` empty: of all. Errors: kIo.
    struct Query {
        KeptKind kind = KeptKind::kFile;
        std::string cloud, key, team, org;
        std::size_t count_max = 10'000;
    };
    [[nodiscard]] Result<std::vector<Kept>> list(const Query& query);
    /// How many of a kind one key of a team of an org has; all three are named. Counts no further
    /// than `count_max`. Errors: kIo.
    [[nodiscard]] Result<std::size_t> count(const Query& query);
    /// What has a hold that is still open. Errors: kIo.
    [[nodiscard]] Result<std::vector<Kept>> held();
    /// The hold is over. Errors: kIo.
    [[nodiscard]] Status end_hold(std::string_view id, std::string_view cloud);
    /// Takes out what has expired, and the oldest where there are too many; a piece at a time.
    /// Nothing under an open hold goes. Errors: kIo.
    [[nodiscard]] Status prune(Instant now);
    /// Waits until everything noted so far is on disk. Errors: kIo.
    [[nodiscard]] Status flush();

private:
    struct Impl;
    explicit KeptStore(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// The exchanges whose holds outlive the process: a crash or a stop does not end them. Empty where
/// nothing was ever kept. Errors: kIo.
[[nodiscard]] Result<std::vector<ExchangeId>> held_exchanges(const std::filesystem::path& data);

}  // namespace entrepot::store
