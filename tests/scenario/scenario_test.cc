// Runs the scripts beside it; README.md has their language.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/text.h"
#include "store/books.h"

namespace entrepot::store {
namespace {

using namespace std::string_literals;

ledger::OwnerKind owner_kind_of(const std::string& word) {
    for (std::size_t i = 0; i < ledger::kOwnerKindCount; ++i) {
        const auto kind = static_cast<ledger::OwnerKind>(i);
        if (ledger::owner_kind_name(kind) == word) return kind;
    }
    ADD_FAILURE() << "no kind of owner: " << word;
    return ledger::OwnerKind::kKey;
}

class Scenario {
public:
    explicit Scenario(std::filesystem::path folder) : folder_(std::move(folder)) { open(); }
    ~Scenario() {
        books_.reset();
        std::filesystem::remove_all(folder_);
    }

    /// What comes out of one command.
    std::string run(const std::vector<std::string>& words) {
        const std::string& command = words[0];
        if (command == "at") return set_time(words.at(1));
        if (command == "budget") return add_budget(words);
        if (command == "forget") return specs_.clear(), ""s;
        if (command == "configure") return of(books_->set_budgets(specs_));
        if (command == "path") {
            auto& names = path_names_[words.at(1)];
            std::copy(words.begin() + 2, words.end(), names.begin());
            return "";
        }
        if (command == "hold") return hold(words);
        if (command == "extend") return extend(words);
        if (command == "shrink")
            return of(books_->shrink(exchange(words), attempt(words), money(words.at(2))));
        if (command == "settle") return settle(words);
        if (command == "release") return of(books_->release(exchange(words), attempt(words), now_));
        if (command == "close") return close(words);
        if (command == "left") {
            const std::optional<Money> left =
                books_->available(path(words.at(1)), now_, end_user(words[1]));
            return left ? left->to_decimal() : "unlimited";
        }
        if (command == "standing") return standing(words);
        if (command == "adjust") return adjust(words);
        if (command == "resolve") return resolve(words);
        if (command == "seal")
            return of(books_->seal(parse_instant(words.at(1)).value(), now_, "controller"));
        if (command == "spent") return spent(words);
        if (command == "restart") return restart();
        if (command == "crash") return crash();
        if (command == "verify") {
            const VerifyReport report = books_->verify();
            return report.ok() ? "ok" : report.differences.front();
        }
        return "unknown command";
    }

private:
    void open() {
        BooksOptions options;
        options.data = folder_;
        options.segment_bytes = 64 * 1024;
        options.journal_bytes_max = 8ULL << 20;
        Result<std::unique_ptr<Books>> books = Books::open(options, now_);
        ASSERT_TRUE(books) << books.error().message;
        books_ = *std::move(books);
    }
    static std::string of(const Status& status) {
        return status ? "ok" : std::string(error_code_name(status.error().code));
    }
    static Money money(const std::string& text) { return Money::parse(text).value(); }
    static std::uint16_t attempt(const std::vector<std::string>& words) {
        const std::string& word = words.at(1);
        const std::size_t dot = word.find('.');
        std::uint16_t number = 1;
        if (dot != std::string::npos) {
            std::from_chars(word.data() + dot + 1, word.data() + word.size(), number);
        }
        return number;
    }
    ExchangeId exchange(const std::vector<std::string>& words) {
        const std::string name = words.at(1).substr(0, words[1].find('.'));
        const auto [at, fresh] = exchanges_.try_emplace(name);
        if (fresh) at->second = ExchangeId::make(now_, {exchanges_.size(), 7});
        return at->second;
    }
    ledger::PathId path(const std::string& name) {
        const auto& names = path_names_.at(name);
        return books_->path({names[0], names[1], names[3], names[2]}).value();
    }
    ledger::NameId end_user(const std::string& name) {
        const auto& names = path_names_.at(name);
        if (names[4].empty()) return ledger::NameId::kNone;
        return books_->scoped_name(books_->name(names[0]).value(), names[4]).value();
    }
    ledger::NameId name(const std::string& text) {
        return text.empty() ? ledger::NameId::kNone : books_->name(text).value();
    }

    std::string set_time(const std::string& text) {
        now_ = parse_instant(text).value();
        books_->tick(now_);
        return "";
    }
    std::string add_budget(const std::vector<std::string>& words) {
        ledger::BudgetSpec spec;
        spec.owner_kind = owner_kind_of(words.at(1));
        spec.owner = words.at(2);
        spec.limit = Money::parse(words.at(3)).value();
        spec.period = parse_period_kind(words.at(4)).value();
        spec.zone = TimeZone::find(words.at(5)).value();
        if (words.size() > 7) {
            spec.raise = money(words[6].substr(1));  // after its `+`
            spec.raise_until = parse_instant(words[7]).value();
        }
        specs_.push_back(spec);
        return "";
    }
    static std::string describe(
        const Result<ledger::HoldTicket>& ticket, const ledger::Refusal& refusal) {
        if (ticket) return ticket->repeated ? "repeated" : "held";
        if (ticket.error().code != ErrorCode::kInsufficientBalance)
            return of(std::unexpected(ticket.error()));
        return fmt::format("refused {} {} left {} by {}{}",
            ledger::owner_kind_name(refusal.owner_kind), refusal.owner,
            refusal.available.to_decimal(), refusal.only_holds ? "holds" : "spend",
            refusal.renews ? " renews " + to_rfc3339(*refusal.renews) : "");
    }
    std::string hold(const std::vector<std::string>& words) {
        ledger::HoldRequest request;
        request.exchange = exchange(words);
        request.attempt = attempt(words);
        request.path = path(words.at(2));
        request.end_user = end_user(words[2]);
        request.route = books_->route("m", "m/aws", "aws").value();
        if (words.at(3) != "-") request.amount = money(words[3]);
        request.dispatch = now_;
        if (words.size() > 5) {
            ledger::Idempotency& idempotency = request.idempotency.emplace();
            std::ranges::copy(words[4], idempotency.key.begin());
            std::ranges::copy(words[5], idempotency.request.begin());
        }
        ledger::Refusal refusal;
        return describe(books_->hold(request, &refusal), refusal);
    }
    std::string extend(const std::vector<std::string>& words) {
        ledger::Refusal refusal;
        return describe(
            books_->extend(exchange(words), attempt(words), money(words.at(2)), &refusal), refusal);
    }
    std::string settle(const std::vector<std::string>& words) {
        ledger::SettleRequest request;
        request.cost = request.list_cost = money(words.at(2));
        request.usage[canon::Meter::kOutput] = 3;
        request.at = now_;
        const Result<ledger::Posting> posting =
            books_->settle(exchange(words), attempt(words), request);
        if (!posting) return of(std::unexpected(posting.error()));
        std::string out = fmt::format(
            "posted {} returned {}", posting->cost.to_decimal(), posting->returned.to_decimal());
        if (!posting->overdraft.is_zero()) out += " overdraft " + posting->overdraft.to_decimal();
        return posting->repeated ? out + " repeated" : out;
    }
    std::string close(const std::vector<std::string>& words) {
        ledger::ExchangeClose facts;
        facts.exchange = exchange(words);
        facts.at = now_;
        return of(books_->close(facts));
    }
    std::string standing(const std::vector<std::string>& words) {
        for (const BudgetStanding& one : books_->budgets(now_)) {
            if (one.owner_kind != owner_kind_of(words.at(1)) || one.owner != words.at(2)) continue;
            if (words.size() > 3 && one.end_user != words[3]) continue;
            return fmt::format("limit {} settled {} held {} overdraft {}", one.limit.to_decimal(),
                one.settled.to_decimal(), one.held.to_decimal(), one.overdraft.to_decimal());
        }
        return "no such budget";
    }
    std::string adjust(const std::vector<std::string>& words) {
        const auto& names = path_names_.at(words.at(2));
        ledger::AdjustRequest request;
        request.id = exchange(words);
        request.at = now_;
        request.spender = {name(names[2]), name(names[1]), name(names[3]), name(names[0]),
            end_user(words[2]), ledger::NameId::kNone};
        request.route = books_->route("m", "m/aws", "aws").value();
        request.cost = request.list_cost = money(words.at(3));
        const Result<bool> posted = books_->adjust(request);
        if (!posted) return of(std::unexpected(posted.error()));
        return *posted ? "posted" : "repeated";
    }
    std::string resolve(const std::vector<std::string>& words) {
        const ExchangeId id = ExchangeId::make(now_, {++resolved_, 9});
        const Result<Money> difference =
            books_->resolve(exchange(words), attempt(words), money(words.at(2)), id, now_);
        return difference ? "corrected " + difference->to_decimal()
                          : of(std::unexpected(difference.error()));
    }
    std::string spent(const std::vector<std::string>& words) {
        UsageQuery query;
        query.filters.push_back({parse_usage_key(words.at(1)).value(), words.at(2)});
        const Result<UsageTable> table = books_->usage(query);
        return table ? table->total.cost.to_decimal() : of(std::unexpected(table.error()));
    }
    std::string restart() {
        books_.reset();
        open();
        return books_->recovery().clean_stop ? "clean" : "unclean";
    }
    std::string crash() {
        // What the kernel holds of the files is all that a killed process leaves.
        const std::filesystem::path copy = folder_.string() + "-crash";
        std::filesystem::copy(folder_, copy, std::filesystem::copy_options::recursive);
        books_.reset();
        std::filesystem::remove_all(folder_);
        std::filesystem::rename(copy, folder_);
        open();
        return fmt::format("unverified {}", books_->recovery().unverified.size());
    }

    std::filesystem::path folder_;
    Instant now_ = parse_instant("2026-11-23T10:00:00Z").value();
    std::unique_ptr<Books> books_;
    std::vector<ledger::BudgetSpec> specs_;
    std::map<std::string, std::array<std::string, 5>> path_names_;  ///< key, team, org, ...
    std::uint64_t resolved_ = 0;
    std::map<std::string, ExchangeId> exchanges_;
};

std::vector<std::filesystem::path> scripts() {
    std::vector<std::filesystem::path> all;
    for (const auto& entry :
        std::filesystem::directory_iterator(ENTREPOT_SOURCE_DIR "/tests/scenario")) {
        if (entry.path().extension() == ".txt" && entry.path().stem() != "CMakeLists")
            all.push_back(entry.path());
    }
    std::ranges::sort(all);
    return all;
}

class ScenarioTest : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(ScenarioTest, ComesOutAsWritten) {
    const std::string stem = GetParam().stem().string();
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / fmt::format("entrepot-{}-{}", stem, ::getpid());
    std::filesystem::remove_all(folder);
    Scenario scenario(folder);
    std::ifstream script(GetParam());
    std::string line;
    int number = 0;
    int checked = 0;
    while (std::getline(script, line)) {
        ++number;
        std::string_view text = trim(std::string_view(line).substr(0, line.find('#')));
        if (text.empty()) continue;
        const std::size_t arrow = text.find(" -> ");
        const std::string expected(
            arrow == std::string_view::npos ? "" : trim(text.substr(arrow + 4)));
        std::istringstream words_of{std::string(text.substr(0, arrow))};
        const std::vector<std::string> words(std::istream_iterator<std::string>(words_of), {});
        const std::string actual = scenario.run(words);
        if (arrow == std::string_view::npos) {
            ASSERT_EQ(actual, "") << GetParam() << ":" << number << ": " << line;
            continue;
        }
        ++checked;
        const bool matches = actual == expected || actual.starts_with(expected + " ");
        EXPECT_TRUE(matches) << GetParam().string() << ":" << number << ": " << line
                             << "\n  came out: " << actual;
    }
    EXPECT_GT(checked, 0);
}

INSTANTIATE_TEST_SUITE_P(Scripts, ScenarioTest, testing::ValuesIn(scripts()),
    [](const auto& at) { return at.param.stem().string(); });

}  // namespace
}  // namespace entrepot::store
