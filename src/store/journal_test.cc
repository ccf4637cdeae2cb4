// What a journal gives back after being cut, torn or damaged at any byte, and how it fails when
// there is no room.
#include "store/journal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <mutex>
#include <thread>

#include "ledger/record.h"
#include "store/store_test_support.h"

namespace entrepot::store {
namespace {

using ledger::LogClass;
using test::Folder;
using test::kNow;

JournalOptions options_in(const Folder& folder) {
    JournalOptions options;
    options.folder = folder.path();
    options.segment_bytes = 64 * 1024;
    options.bytes_max = 4ULL << 20;
    return options;
}

std::string payload(int n) {
    return fmt::format("record {} {}", n, std::string(static_cast<std::size_t>(n * 7 % 90), 'x'));
}

struct Opened {
    Result<std::unique_ptr<Journal>> journal = fail(ErrorCode::kInternal, "");
    std::vector<std::string> records;
};

Opened open(const JournalOptions& options, std::uint64_t from = 0) {
    Opened opened;
    opened.journal =
        Journal::open(options, from, kNow, [&](std::uint64_t, std::string_view record) -> Status {
            opened.records.emplace_back(record);
            return {};
        });
    return opened;
}

/// Writes `count` records; the offsets in the first file at which each begins, and the last end.
std::vector<std::uint64_t> write_records(const JournalOptions& options, int count) {
    const Opened opened = open(options);
    EXPECT_TRUE(opened.journal);
    std::vector<std::uint64_t> offsets{kSegmentHeaderBytes};
    for (int n = 0; n < count; ++n) {
        offsets.push_back(kSegmentHeaderBytes +
            (*opened.journal)->append(payload(n), LogClass::kBegin, 0).value());
    }
    return offsets;
}

std::filesystem::path first_file(const Folder& folder) {
    return folder.path() / "0000000001.journal";
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

TEST(Journal, GivesBackWhatWasWrittenAcrossFiles) {
    const Folder folder("journal-files");
    const JournalOptions options = options_in(folder);
    constexpr int kRecords = 3'000;
    {
        const Opened opened = open(options);
        ASSERT_TRUE(opened.journal) << opened.journal.error().message;
        for (int n = 0; n < kRecords; ++n) {
            (*opened.journal)->wait_ready(milliseconds(5'000));
            ASSERT_TRUE((*opened.journal)->append(payload(n), LogClass::kBegin, 0));
        }
        EXPECT_GT((*opened.journal)->bytes(), 2 * options.segment_bytes);
    }
    const Opened again = open(options);
    ASSERT_TRUE(again.journal) << again.journal.error().message;
    ASSERT_EQ(again.records.size(), kRecords);
    for (int n = 0; n < kRecords; ++n)
        ASSERT_EQ(again.records[static_cast<std::size_t>(n)], payload(n));
    EXPECT_EQ((*again.journal)->bytes_cut(), 0);
}

// Whatever part of the last record reached the file, the others are all there, and the next one
// takes its place.
TEST(Journal, CutsALastRecordThatIsTornAtAnyByte) {
    const Folder folder("journal-torn");
    const JournalOptions options = options_in(folder);
    const std::vector<std::uint64_t> offsets = write_records(options, 10);
    const std::string whole = read_file(first_file(folder));
    for (std::uint64_t cut = offsets[9]; cut < offsets[10]; ++cut) {
        for (const bool shorter : {false, true}) {
            std::string torn = whole.substr(0, cut);
            if (!shorter) torn.resize(whole.size(), '\0');
            std::filesystem::remove(first_file(folder));
            write_file(first_file(folder), torn);
            const Opened opened = open(options);
            ASSERT_TRUE(opened.journal) << opened.journal.error().message;
            // The padding behind a payload says nothing: without it the record is whole.
            const bool is_whole = cut >= offsets[9] + kRecordHeaderBytes + payload(9).size();
            ASSERT_EQ(opened.records.size(), is_whole ? 10 : 9) << "cut at " << cut;
            ASSERT_TRUE((*opened.journal)->append("after", LogClass::kBegin, 0));
        }
        const Opened again = open(options);
        ASSERT_EQ(again.records.back(), "after");
    }
}

TEST(Journal, TakesAPayloadWithoutItsHeaderForNothing) {
    const Folder folder("journal-headless");
    const JournalOptions options = options_in(folder);
    const std::vector<std::uint64_t> offsets = write_records(options, 10);
    std::string bytes = read_file(first_file(folder));
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(offsets[9]), 8, '\0');
    write_file(first_file(folder), bytes);
    const Opened opened = open(options);
    ASSERT_TRUE(opened.journal);
    EXPECT_EQ(opened.records.size(), 9);
    EXPECT_GT((*opened.journal)->bytes_cut(), 0);
}

TEST(Journal, RefusesToStartOverDamageInTheMiddleAtAnyByte) {
    const Folder folder("journal-middle");
    const JournalOptions options = options_in(folder);
    const std::vector<std::uint64_t> offsets = write_records(options, 10);
    const std::string whole = read_file(first_file(folder));
    for (std::uint64_t at = offsets[4]; at < offsets[5]; ++at) {
        for (const int bit : {0, 3, 7}) {
            std::string bytes = whole;
            bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
            write_file(first_file(folder), bytes);
            const Opened opened = open(options);
            if (at >= offsets[4] + kRecordHeaderBytes + payload(4).size()) {
                ASSERT_TRUE(opened.journal) << "padding says nothing";
                continue;
            }
            ASSERT_FALSE(opened.journal) << "byte " << at << " bit " << bit;
            EXPECT_EQ(opened.journal.error().code, ErrorCode::kJournalCorrupt);
            EXPECT_NE(opened.journal.error().message.find(fmt::format("at offset {}", offsets[4])),
                std::string::npos)
                << opened.journal.error().message;
            EXPECT_NE(opened.journal.error().message.find(first_file(folder).string()),
                std::string::npos);
            ASSERT_EQ(read_file(first_file(folder)), bytes) << "nothing may be changed";
        }
    }
    std::string zeroed = whole;
    std::fill_n(
        zeroed.begin() + static_cast<std::ptrdiff_t>(offsets[4]), offsets[5] - offsets[4], '\0');
    write_file(first_file(folder), zeroed);
    EXPECT_FALSE(open(options).journal) << "a hole is not the end";
}

TEST(Journal, RefusesDamageInWhatWasForcedToTheDisk) {
    const Folder folder("journal-synced");
    const JournalOptions options = options_in(folder);
    std::uint64_t last = 0;
    {
        const Opened opened = open(options);
        ASSERT_TRUE((*opened.journal)->append(payload(1), LogClass::kBegin, 0));
        last = kSegmentHeaderBytes + (*opened.journal)->end();
        ASSERT_TRUE((*opened.journal)->append(payload(2), LogClass::kBegin, 0));
        ASSERT_TRUE((*opened.journal)->sync());
    }
    std::string bytes = read_file(first_file(folder));
    bytes[last + 12] = static_cast<char>(bytes[last + 12] ^ 4);
    write_file(first_file(folder), bytes);
    EXPECT_EQ(open(options).journal.error().code, ErrorCode::kJournalCorrupt);
}

TEST(Journal, RefusesAMissingFileADamagedHeaderAndBooksAheadOfIt) {
    const Folder folder("journal-missing");
    const JournalOptions options = options_in(folder);
    {
        const Opened opened = open(options);
        for (int n = 0; n < 3'000; ++n) {
            (*opened.journal)->wait_ready(milliseconds(5'000));
            ASSERT_TRUE((*opened.journal)->append(payload(n), LogClass::kBegin, 0));
        }
    }
    EXPECT_EQ(open(options, 1ULL << 40).journal.error().code, ErrorCode::kJournalCorrupt);
    const std::filesystem::path second = folder.path() / "0000000002.journal";
    const std::string whole = read_file(second);
    std::string damaged = whole;
    damaged[40] = static_cast<char>(damaged[40] ^ 1);
    write_file(second, damaged);
    EXPECT_EQ(open(options).journal.error().code, ErrorCode::kJournalCorrupt);
    std::filesystem::remove(second);
    EXPECT_EQ(open(options).journal.error().code, ErrorCode::kJournalCorrupt);
    write_file(second, whole);
    EXPECT_TRUE(open(options).journal);
    std::filesystem::remove(first_file(folder));
    EXPECT_EQ(open(options).journal.error().code, ErrorCode::kJournalCorrupt);
}

/// The file as another boot left it, forced to the disk up to `synced`.
std::string of_another_boot(std::string bytes, std::uint64_t synced) {
    const SegmentMark mark{synced, 0x0b00, {}};
    std::memcpy(bytes.data() + sizeof(SegmentHeader), &mark, sizeof mark);
    return bytes;
}

// With a file in use the next one is prepared: a power cut before the first sync leaves both empty.
TEST(Journal, StartsAnewWhenAPowerCutTookAllThatWasNeverForced) {
    const Folder folder("journal-first");
    const JournalOptions options = options_in(folder);
    write_records(options, 3);
    write_file(first_file(folder), std::string(options.segment_bytes, '\0'));
    write_file(folder.path() / "0000000002.journal", std::string(options.segment_bytes, '\0'));
    const Opened opened = open(options);
    ASSERT_TRUE(opened.journal) << opened.journal.error().message;
    EXPECT_TRUE(opened.records.empty());
    EXPECT_TRUE((*opened.journal)->append(payload(1), LogClass::kBegin, 0));
}

// A file begins while the end of the one before it is not on the disk yet.
TEST(Journal, EndsWhereAPowerCutTookTheUnforcedEndOfAFileThatOthersFollow) {
    const Folder folder("journal-hole");
    const JournalOptions options = options_in(folder);
    constexpr int kRecords = 1'200;
    {
        const Opened opened = open(options);
        for (int n = 0; n < kRecords; ++n) {
            (*opened.journal)->wait_ready(milliseconds(5'000));
            ASSERT_TRUE((*opened.journal)->append(payload(n), LogClass::kBegin, 0));
        }
    }
    const std::filesystem::path second = folder.path() / "0000000002.journal";
    const std::uint64_t hole = 40'960;
    std::string first = read_file(first_file(folder));
    std::fill(first.begin() + hole, first.begin() + hole + 4'096, '\0');
    const std::string follows = read_file(second);
    const auto lay_out = [&](std::uint64_t synced_in_first, std::uint64_t synced_in_second) {
        for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
            std::filesystem::remove(entry.path());
        write_file(first_file(folder), of_another_boot(first, synced_in_first));
        write_file(second, of_another_boot(follows, synced_in_second));
    };
    lay_out(0, 50'000);
    EXPECT_FALSE(open(options).journal) << "what is gone was forced to the disk";
    EXPECT_TRUE(std::filesystem::exists(second)) << "nothing may be changed";
    lay_out(30'000, 0);
    std::size_t left = 0;
    {
        const Opened opened = open(options);
        ASSERT_TRUE(opened.journal) << opened.journal.error().message;
        left = opened.records.size();
        EXPECT_GT(left, 500);
        EXPECT_LT(left, kRecords);
        EXPECT_EQ(opened.records.back(), payload(static_cast<int>(left) - 1));
        ASSERT_TRUE((*opened.journal)->append("after", LogClass::kBegin, 0));
    }
    const Opened again = open(options);
    ASSERT_TRUE(again.journal) << again.journal.error().message;
    EXPECT_EQ(again.records.size(), left + 1);
    EXPECT_EQ(again.records.back(), "after");
}

// A kill leaves what was written in the system's memory, which is not yet the disk.
TEST(Journal, TakesNothingForDurableThatItFoundAndDidNotForce) {
    const Folder folder("journal-found");
    const JournalOptions options = options_in(folder);
    write_records(options, 20);
    const Opened opened = open(options);
    Journal& journal = **opened.journal;
    EXPECT_EQ(opened.records.size(), 20);
    EXPECT_EQ(journal.durable_up_to(), 0);
    ASSERT_TRUE(journal.sync());
    EXPECT_EQ(journal.durable_up_to(), journal.end());
}

// Many requests are open: the room that their endings need is never given to another.
TEST(Journal, KeepsRoomForTheEndingsOfAllThatIsOpen) {
    const Folder folder("journal-reserve");
    JournalOptions options = options_in(folder);
    options.bytes_max = 2 * options.segment_bytes;
    options.recycle_oldest = false;
    const Opened opened = open(options);
    Journal& journal = **opened.journal;
    std::size_t begun = 0;
    for (;;) {
        journal.wait_ready(milliseconds(5'000));
        const Result<std::uint64_t> end = journal.append(payload(5), LogClass::kBegin, begun);
        if (!end) {
            EXPECT_EQ(end.error().code, ErrorCode::kJournalFull);
            break;
        }
        ++begun;
    }
    ASSERT_GT(begun, 50);
    const std::string longest(ledger::kEndingBytesMax / 2 - 16, 'e');
    for (std::size_t n = 0; n < 2 * begun; ++n) {
        ASSERT_TRUE(journal.append(longest, LogClass::kEnd, begun)) << n << " of " << 2 * begun;
    }
}

TEST(Journal, WhenFullRefusesWhatBeginsAndSaysWhy) {
    const Folder folder("journal-full");
    JournalOptions options = options_in(folder);
    options.bytes_max = 2 * options.segment_bytes;
    options.recycle_oldest = false;
    const Opened opened = open(options);
    Journal& journal = **opened.journal;
    Result<std::uint64_t> end = 0;
    for (int n = 0; end && n < 10'000; ++n) {
        journal.wait_ready(milliseconds(5'000));
        end = journal.append(payload(n), LogClass::kBegin, 4);
    }
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, ErrorCode::kJournalFull);
    EXPECT_NE(end.error().cause.find("reached its 131072 bytes"), std::string::npos)
        << end.error().cause;
    EXPECT_GT(journal.end(), options.segment_bytes + options.segment_bytes / 2)
        << "both files are used";
    EXPECT_TRUE(journal.append(payload(1), LogClass::kEnd, 4));
}

TEST(Journal, MakesRoomFromFilesTheBooksHold) {
    const Folder folder("journal-recycle");
    JournalOptions options = options_in(folder);
    options.bytes_max = 3 * options.segment_bytes;
    const Opened opened = open(options);
    Journal& journal = **opened.journal;
    for (int n = 0; n < 10'000; ++n) {
        journal.release_before(journal.end());
        for (int wait = 0; wait < 5'000; ++wait) {
            if (journal.append(payload(n), LogClass::kBegin, 0)) break;
            ASSERT_TRUE(journal.forget_before(journal.surplus().value_or(0)));
            std::this_thread::sleep_for(milliseconds(1));
            ASSERT_LT(wait, 4'999);
        }
    }
    EXPECT_GT(journal.begin(), 0);
    EXPECT_LE(journal.bytes(), options.bytes_max);
}

TEST(Journal, ForPowerTellsHowFarItWouldSurvive) {
    const Folder folder("journal-power");
    JournalOptions options = options_in(folder);
    options.sync_each = true;
    const Opened opened = open(options);
    Journal& journal = **opened.journal;
    std::atomic<std::uint64_t> told{0};
    journal.on_synced([&] { told = journal.durable_up_to(); });
    for (int n = 0; n < 200; ++n) {
        const std::uint64_t end = journal.append(payload(n), LogClass::kBegin, 0).value();
        for (int wait = 0; journal.durable_up_to() < end; ++wait) {
            ASSERT_LT(wait, 20'000) << "record " << n << " was never forced to the disk";
            std::this_thread::sleep_for(milliseconds(1));
        }
    }
    EXPECT_GT(told.load(), 0);
}

/// Notes what becomes of each file, and fails the steps of one kind while it is on.
class Faulty final : public FileOps {
public:
    int before(Step step) override {
        if (step != Step::kSegmentSync && step != Step::kSegmentRewrite) return 0;
        const std::lock_guard lock(mutex_);
        steps_.push_back(step);
        return step == failing.load() ? EIO : 0;
    }
    std::vector<Step> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(steps_, {});
    }
    std::atomic<Step> failing{Step::kBooksOpen};

private:
    std::mutex mutex_;
    std::vector<Step> steps_;
};

// The kernel reports a failed write-back once and takes the pages for clean from then on: a sync
// that is merely repeated passes without them.
TEST(Journal, WritesItsPagesAgainAfterASyncThatFailed) {
    const Folder folder("journal-rewrite");
    Faulty files;
    JournalOptions options = options_in(folder);
    options.files = &files;
    constexpr int kRecords = 200;  // some pages
    {
        const Opened opened = open(options);
        Journal& journal = **opened.journal;
        journal.wait_ready(milliseconds(5'000));
        for (int n = 0; n < kRecords; ++n)
            ASSERT_TRUE(journal.append(payload(n), LogClass::kBegin, 0));
        const std::uint64_t end = journal.end();
        ASSERT_GT(end, 3 * 4096u);
        (void)files.take();

        files.failing = Step::kSegmentSync;
        EXPECT_EQ(journal.sync().error().code, ErrorCode::kIo);
        EXPECT_EQ(journal.sync_failed_up_to(), end);
        files.failing = Step::kSegmentRewrite;
        EXPECT_EQ(journal.sync().error().code, ErrorCode::kIo);
        EXPECT_EQ(journal.durable_up_to(), 0);
        files.failing = Step::kBooksOpen;
        ASSERT_TRUE(journal.sync());
        EXPECT_EQ(journal.durable_up_to(), end);
        ASSERT_TRUE(journal.sync());
        EXPECT_EQ(files.take(),
            (std::vector<Step>{Step::kSegmentSync, Step::kSegmentRewrite, Step::kSegmentRewrite,
                Step::kSegmentSync, Step::kSegmentSync}));
    }
    const Opened again = open(options);
    ASSERT_EQ(again.records.size(), kRecords);
    for (int n = 0; n < kRecords; ++n)
        ASSERT_EQ(again.records[static_cast<std::size_t>(n)], payload(n));
}

}  // namespace
}  // namespace entrepot::store
