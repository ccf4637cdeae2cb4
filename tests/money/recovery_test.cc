// The books run a random script; at every step that touches a file the whole data folder is taken
// as a crash would leave it there, and opened. What was acknowledged must be in it, nothing twice,
// nothing that was never asked for: the books must stand where a child's model stands after some
// prefix of the script that holds all that was promised.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "disk.h"
#include "ledger/audit.h"
#include "ledger/ledger.h"
#include "script.h"
#include "sqlite_tap.h"
#include "store/file_ops.h"
#include "store/segment.h"
#include "store/sqlite.h"

namespace entrepot::rig {
namespace {

using store::Books;
using store::BooksOptions;
using store::Durability;
using store::Step;

/// The data folder at one instant, and what had been promised by then.
struct Image {
    Files files;
    std::size_t promised_of_kill = 0;   ///< ops that a kill may not undo
    std::size_t promised_of_power = 0;  ///< ops that a power cut may not undo
    std::size_t begun = 0;              ///< ops that may be there
    std::string where;
};

struct Life {
    std::vector<Op> ops;
    std::vector<std::pair<std::uint64_t, std::size_t>> positions;  ///< journal's, ops before it
};

/// Sees every step of one run of the books, one at a time, and keeps images.
class Witness final : public store::FileOps, public SqliteTap {
public:
    Witness(std::filesystem::path folder, std::uint64_t seed)
        : folder_(std::move(folder)), random_(seed) {}

    int before(Step step) override {
        const bool is_owner = std::this_thread::get_id() == owner_;
        if (step == Step::kSegmentUnlink) return unlinking();
        if (is_owner && (step == Step::kSegmentHeader || is_record(step))) {
            // Nobody looks while a record is half there, except from here.
            if (!held_) world_.lock();
            held_ = true;
            look(fmt::format("step {}", static_cast<int>(step)), is_record(step));
            if (step == Step::kRecordHeader) {
                held_ = false;
                world_.unlock();
            }
            return 0;
        }
        const std::lock_guard lock(world_);
        if (step == Step::kSegmentSync) {
            for (auto& [name, bytes] : read_folder(folder_))
                if (name.starts_with("journal/")) forced_.forcing(name, std::move(bytes));
        }
        if (step == Step::kSegmentCreate) forced_.forget_segments_but(read_folder(folder_));
        look(fmt::format("step {}", static_cast<int>(step)), false);
        return 0;
    }
    void forced(const std::filesystem::path& path) override {
        forced_.forced("journal/" + path.filename().string());
    }

    Outcome before(SqliteStep step, const std::string& path) override {
        world_.lock();
        look(fmt::format("SQLite step {} of {}", static_cast<int>(step), path), false);
        return Outcome::kWell;
    }
    void after(SqliteStep step, const std::string& path) override {
        if (step == SqliteStep::kSync) {
            const std::string name = std::filesystem::path(path).filename();
            auto files = read_folder(folder_);
            if (const auto found = files.find(name); found != files.end()) {
                forced_.forcing(name, std::move(found->second));
                forced_.forced(name);
            }
        }
        world_.unlock();
    }

    // For the owner.
    void own() { owner_ = std::this_thread::get_id(); }
    void begin(std::size_t ops) { begun_ = ops; }
    void end(std::size_t ops) { ended_ = ops; }
    void promise(std::uint64_t position, std::size_t ops) {
        const std::lock_guard lock(world_);
        positions_.emplace_back(position, ops);
    }
    void watch(const Books* books) {
        const std::lock_guard lock(world_);
        books_ = books;
    }
    /// Only one in `n` of the steps of records is looked at from now on.
    void look_at_records(std::uint64_t one_in) { one_in_ = one_in; }
    void start_from(const Image& image) {
        forced_.start_from(image.files);
        base_ = image.promised_of_power;
        begun_ = image.begun;
        ended_ = image.promised_of_kill;
    }
    std::vector<Image> take() { return std::exchange(images_, {}); }

private:
    static bool is_record(Step step) {
        return step == Step::kRecordBegin || step == Step::kRecordHalf ||
            step == Step::kRecordPayload || step == Step::kRecordHeader;
    }
    int unlinking() {
        // The journal's own lock is held here, which the owner may wait for with ours.
        if (world_.try_lock()) {
            look("unlink", false);
            world_.unlock();
        }
        return 0;
    }
    void look(std::string where, bool is_record) {
        if (is_record && !random_.one_in(one_in_)) return;
        // First: a sync may end while the files are read.
        const std::uint64_t durable = books_ != nullptr ? books_->durable_up_to() : 0;
        Image image;
        image.files = forced_.beside(read_folder(folder_));
        image.promised_of_kill = ended_;
        image.begun = begun_;
        image.promised_of_power = base_;
        if (books_ != nullptr) {
            for (const auto& [position, ops] : positions_)
                if (position <= durable)
                    image.promised_of_power = std::max(image.promised_of_power, ops);
        }
        image.where = std::move(where);
        images_.push_back(std::move(image));
    }

    const std::filesystem::path folder_;
    std::mutex world_;
    bool held_ = false;  ///< by the owner, who alone looks at this
    std::thread::id owner_;
    std::atomic<std::size_t> begun_{0};
    std::atomic<std::size_t> ended_{0};
    // Guarded by world_:
    Random random_;
    ForcedFiles forced_;
    const Books* books_ = nullptr;
    std::vector<std::pair<std::uint64_t, std::size_t>> positions_;
    std::size_t base_ = 0;
    std::uint64_t one_in_ = 1;
    std::vector<Image> images_;
};

/// Reads the recovered journal once more, record by record: after each the two sides must agree.
std::string entries_differ(const std::filesystem::path& data) {
    struct NoLog final : ledger::Log {
        Result<std::uint64_t> append(std::string_view, ledger::LogClass, std::size_t) override {
            return fail(ErrorCode::kInternal, "nothing is decided here");
        }
        Result<std::optional<ledger::Account>> recall(
            std::uint32_t, ledger::NameId, Instant) override {
            return std::optional<ledger::Account>();
        }
        Result<std::optional<ledger::Account>> recall(ledger::AccountId) override {
            return std::optional<ledger::Account>();
        }
    };
    NoLog log;
    ledger::Ledger books(log);
    ledger::Audit audit;
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(data / "journal"))
        paths.push_back(entry.path());
    std::ranges::sort(paths);
    bool is_first = true;
    for (const auto& path : paths) {
        const auto segment = store::Segment::open(path, false);
        if (!segment) return segment.error().message;
        const store::SegmentHeader header = (*segment)->header();
        if (is_first && header.base != 0) return "";  // its beginning was let go of
        is_first = false;
        std::uint64_t at = store::kSegmentHeaderBytes;
        for (;;) {
            const store::RecordView record = store::record_at(**segment, at, header.base);
            if (record.kind == store::RecordView::Kind::kBad) return "a bad record";
            if (record.kind == store::RecordView::Kind::kEnd) break;
            if (Status applied = books.apply(record.payload); !applied)
                return applied.error().message;
            if (Status read = audit.read(record.payload); !read) return read.error().message;
            if (books.debits() != books.credits()) return "debits are not credits";
            at = record.next;
        }
    }
    const std::vector<std::string> wrong = books.verify();
    if (!wrong.empty()) return wrong.front();
    if (!audit.differences().empty()) return audit.differences().front();
    return "";
}

/// One script: its ops over all its lives, and where the model stands after each.
class Run {
public:
    Run(std::uint64_t seed, Durability durability)
        : random_(seed),
          seed_(seed),
          durability_(durability),
          folder_(fmt::format("/dev/shm/entrepot-recovery-{}", ::getpid())) {
        std::filesystem::create_directories(folder_);
    }
    ~Run() {
        if (!testing::Test::HasFailure()) std::filesystem::remove_all(folder_);
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    /// Lives through the script, crashing between its parts; every image of it recovered. The
    /// number of recoveries.
    std::uint64_t play(int lives, int ops_each, std::size_t images_max) {
        std::uint64_t recoveries = 0;
        std::optional<Image> base;
        for (int life = 0; life < lives; ++life) {
            std::vector<Image> images = live(base, ops_each);
            if (testing::Test::HasFailure()) return recoveries;
            // Every image while there are few; of many a random share.
            while (images.size() > images_max) {
                std::swap(images[random_.below(images.size())], images.back());
                images.pop_back();
            }
            for (const Image& image : images) {
                for (const bool power : {false, true}) {
                    ++recoveries;
                    if (!recover(image, power)) return recoveries;
                }
            }
            // The next life begins where a crash left this one.
            base = images[random_.below(images.size())];
            const bool power = random_.one_in(2);
            Files left;
            for (auto& [name, bytes] :
                power ? after_power_cut(base->files, random_) : after_kill(base->files, random_)) {
                left[name].seen = bytes;
                if (power) {
                    left[name].forced = bytes;
                } else if (const auto was = base->files.find(name); was != base->files.end()) {
                    left[name].forced = was->second.forced;
                }
            }
            base->files = std::move(left);
            if (power) base->promised_of_kill = base->promised_of_power;
            if (!settle_on(*base)) return recoveries;
        }
        return recoveries;
    }

private:
    BooksOptions options(const char* name) const {
        BooksOptions options;
        options.data = folder_ / name;
        options.durability = durability_;
        options.segment_bytes = 64 * 1024;
        options.journal_bytes_max = 4ULL << 20;
        options.checkpoint_interval = seconds(0);
        options.recent_exchanges = 64;
        return options;
    }

    /// Where the model stands after the first `count` ops, once a crash has ended what was open.
    const std::pair<std::string, std::string>& expected(std::size_t count) {
        while (expected_.size() <= count) {
            Model model = new_model();
            for (std::size_t i = 0; i < expected_.size(); ++i) model.apply(ops_[i]);
            model.apply({.kind = Op::Kind::kEndOpen});
            expected_.emplace_back(model.exchanges_text(), model.sums_text());
        }
        return expected_[count];
    }

    std::string at(const Image& image, bool power) const {
        return fmt::format("seed {} durability {} {} at {}: ops {} to {} of {}", seed_,
            durability_ == Durability::kPower ? "power" : "process", power ? "power cut" : "kill",
            image.where, power ? image.promised_of_power : image.promised_of_kill, image.begun,
            ops_.size());
    }

    /// Which prefix of the ops the books in `folder` stand at; nullopt with a failure when at none
    /// that may be.
    std::optional<std::size_t> opened(const Image& image, bool power, const char* name) {
        const BooksOptions how = options(name);
        std::size_t stands_at = 0;
        {
            Result<std::unique_ptr<Books>> books = Books::open(how, kStart);
            if (!books) {
                ADD_FAILURE() << at(image, power) << ": " << books.error().message;
                return std::nullopt;
            }
            if (!(*books)->set_budgets(new_model().budgets())) {
                ADD_FAILURE() << at(image, power) << ": the budgets are refused";
                return std::nullopt;
            }
            const std::string exchanges = exchanges_text(**books, exchanges_);
            const store::VerifyReport report = (*books)->verify();
            const std::string sums =
                fmt::format("{}all {}\n", sums_text(**books), report.debits.to_decimal());
            if (!report.ok()) {
                ADD_FAILURE() << at(image, power) << ": " << report.differences.front();
                return std::nullopt;
            }
            const std::size_t least = power ? image.promised_of_power : image.promised_of_kill;
            stands_at = image.begun + 1;
            for (std::size_t k = least; k <= image.begun && stands_at > image.begun; ++k)
                if (expected(k).first == exchanges && expected(k).second == sums) stands_at = k;
            if (stands_at > image.begun) {
                ADD_FAILURE() << at(image, power) << ": the books stand at\n"
                              << exchanges << sums << "and should at\n"
                              << expected(least).first << expected(least).second << "or\n"
                              << expected(image.begun).first << expected(image.begun).second;
                return std::nullopt;
            }
        }
        const std::string differ = entries_differ(how.data);
        if (!differ.empty()) {
            ADD_FAILURE() << at(image, power) << ": " << differ;
            return std::nullopt;
        }
        return stands_at;
    }

    bool recover(const Image& image, bool power) {
        write_folder(folder_ / "after",
            power ? after_power_cut(image.files, random_) : after_kill(image.files, random_));
        if (!opened(image, power, "after")) return false;
        if (!random_.one_in(8)) return true;
        // A second start finds nothing to do.
        Result<std::unique_ptr<Books>> again = Books::open(options("after"), kStart);
        if (again && (*again)->recovery().clean_stop && (*again)->recovery().unverified.empty())
            return true;
        ADD_FAILURE() << at(image, power) << ": the second start is no quiet one";
        return false;
    }

    /// Decides which of the ops the base of the next life holds: those after it never were.
    bool settle_on(Image& base) {
        std::map<std::string, std::string> seen;
        for (const auto& [name, state] : base.files) seen[name] = *state.seen;
        write_folder(folder_ / "after", seen);
        Image probe = base;
        probe.promised_of_power = base.promised_of_kill;
        const std::optional<std::size_t> stands_at = opened(probe, true, "after");
        if (!stands_at) return false;
        ops_.resize(*stands_at);
        expected_.resize(std::min(expected_.size(), *stands_at + 1));
        ops_.push_back({.kind = Op::Kind::kEndOpen});
        base.promised_of_kill = *stands_at;
        base.promised_of_power = std::min(base.promised_of_power, *stands_at);
        base.begun = ops_.size();
        return true;
    }

    std::vector<Image> live(const std::optional<Image>& base, int count) {
        const BooksOptions how_plain = options("live");
        std::map<std::string, std::string> seen;
        Witness witness(how_plain.data, random_.word());
        if (base) {
            for (const auto& [name, state] : base->files) seen[name] = *state.seen;
            witness.start_from(*base);
        }
        write_folder(how_plain.data, seen);
        witness.own();
        BooksOptions how = how_plain;
        how.files = &witness;
        tap_sqlite(&witness, how.data.string());
        Model model = new_model();
        for (const Op& op : ops_) model.apply(op);
        {
            Result<std::unique_ptr<Books>> books = Books::open(how, kStart);
            if (!books || !(*books)->set_budgets(model.budgets())) {
                ADD_FAILURE() << "a life does not begin";
                return {};
            }
            witness.end(ops_.size());
            witness.watch(books->get());
            const int burst_at = random_.one_in(3) ? static_cast<int>(random_.below(20)) : -1;
            for (int i = 0; i < count && !testing::Test::HasFailure(); ++i) {
                if (i == burst_at) burst(**books, model, witness);
                step(**books, model, witness, random_op(model, exchanges_, random_));
                if (random_.one_in(6)) checkpoint(**books);
            }
            witness.watch(nullptr);
        }
        tap_sqlite(nullptr, "");
        return witness.take();
    }

    void step(Books& books, Model& model, Witness& witness, const Op& op) {
        ops_.push_back(op);
        if (op.kind == Op::Kind::kHold) exchanges_ = std::max(exchanges_, op.exchange + 1);
        witness.begin(ops_.size());
        Made made;
        constexpr int kTriesMax = 5'000;
        for (int tries = 0; tries < kTriesMax; ++tries) {
            made = make(books, model, op, ops_.size() + serial_);
            if (made.done || made.code != ErrorCode::kJournalFull) break;
            std::this_thread::sleep_for(milliseconds(1));  // the next file is being made
        }
        if (!made.done) {
            ADD_FAILURE() << "seed " << seed_
                          << ": the books refuse what the model allows: " << made.why;
            return;
        }
        serial_ += ops_.size();  // names never repeat
        model.apply(op);
        witness.end(ops_.size());
        if (made.position == 0) return;
        witness.promise(made.position, ops_.size());
        if (durability_ != Durability::kPower || !random_.one_in(2)) return;
        for (int tries = 0; tries < kTriesMax && books.durable_up_to() < made.position; ++tries)
            std::this_thread::sleep_for(milliseconds(1));
    }

    /// Fills the journal's file, so that the next one begins.
    void burst(Books& books, Model& model, Witness& witness) {
        constexpr int kNamesOfOneFile = 140;
        witness.look_at_records(60);
        for (int i = 0; i < kNamesOfOneFile && !testing::Test::HasFailure(); ++i)
            step(books, model, witness, Op{});
        witness.look_at_records(1);
    }

    /// Has a checkpoint written, and now and then the log of the database taken into it.
    void checkpoint(Books& books) {
        const std::uint64_t before = books.stats().checkpoints;
        books.tick(kStart);
        if (random_.one_in(3)) return;  // it goes on while the script does
        for (int tries = 0; tries < 1'000 && books.stats().checkpoints == before; ++tries)
            std::this_thread::sleep_for(milliseconds(1));
        if (!random_.one_in(2)) return;
        Result<store::Database> database = store::Database::open(
            store::database_path(folder_ / "live"), store::Database::Mode::kReadWrite);
        if (database) (void)database->execute("PRAGMA wal_checkpoint(PASSIVE)");
    }

    Random random_;
    const std::uint64_t seed_;
    const Durability durability_;
    const std::filesystem::path folder_;
    std::vector<Op> ops_;
    std::size_t serial_ = 0;
    std::uint64_t exchanges_ = 0;  ///< numbers given out
    std::vector<std::pair<std::string, std::string>> expected_;
};

void recover_all(Durability durability, std::string_view what) {
    const std::uint64_t first = seed_of(what);
    const std::uint64_t seeds = is_full() ? 100 : 2;
    std::uint64_t recoveries = 0;
    for (std::uint64_t i = 0; i < seeds && !testing::Test::HasFailure(); ++i) {
        Run run(first + i, durability);
        recoveries += is_full() ? run.play(3, 20, 100) : run.play(2, 12, 60);
    }
    fmt::print("{}: {} recoveries over {} seeds\n", what, recoveries, seeds);
}

TEST(Recovery, FromEveryStepOfABookThatSurvivesKills) {
    recover_all(Durability::kProcess, "recovery, durability process");
}

TEST(Recovery, FromEveryStepOfABookThatSurvivesPowerCuts) {
    recover_all(Durability::kPower, "recovery, durability power");
}

}  // namespace
}  // namespace entrepot::rig
