// ledger: the proof of the books, what a crash hid, and months that are over.
#include <fmt/format.h>

#include <charconv>

#include "base/text.h"
#include "command.h"
#include "json/writer.h"
#include "store/backup.h"
#include "store/projections.h"
#include "store/rebuild.h"
#include "store/replacement.h"
#include "table.h"
#include "target.h"

namespace entrepot::cli {
namespace {

std::string count(const json::Value& value) { return std::to_string(value.as_int().value_or(0)); }

int run_verify(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto answer = ask(*target, "GET", "/api/ledger/verify");
    if (!answer) return report(answer.error());
    const json::Value& root = answer->root();
    const bool ok = root["ok"].as_bool().value_or(false);
    if (arguments.has("--json")) {
        write_output(std::string(answer->text()) + "\n");
        return ok ? kOk : kDifferences;
    }
    for (const json::Value& difference : root["differences"].items())
        write_output(std::string(difference.string()) + "\n");
    write_output(
        fmt::format("{}: {} accounts, {} open attempts, debits {}, credits {}, {} records read\n",
            ok ? "the books add up" : "THE BOOKS DO NOT ADD UP", count(root["accounts"]),
            count(root["open_attempts"]), root["debits"].string(), root["credits"].string(),
            count(root["records_proved"])));
    if (const auto unverified = root["unverified"].items().size(); unverified > 0)
        fmt::print(stderr, "{} attempts stand at their hold because a crash hid what they used\n",
            unverified);
    return ok ? kOk : kDifferences;
}

int list_unverified(const Arguments& arguments, const Target& target) {
    const auto answer = ask(target, "GET", "/api/ledger/verify");
    if (!answer) return report(answer.error());
    Table table{
        {{"EXCHANGE"}, {"ATTEMPT", true}, {"KEY"}, {"OFFER"}, {"DISPATCHED"}, {"BOOKED", true}},
        {}};
    for (const json::Value& attempt : answer->root()["unverified"].items())
        table.rows.push_back({std::string(attempt["exchange"].string()),
            fmt::format("{}", attempt["attempt"].as_int().value_or(1)),
            std::string(attempt["key"].string()), std::string(attempt["offer"].string()),
            std::string(attempt["dispatched_at"].string()),
            std::string(attempt["amount"].string())});
    return write_output(arguments.has("--csv") ? table.to_csv() : table.to_text()) ? kOk : kFailed;
}

int run_resolve(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    if (!arguments.has("EXCHANGE")) return list_unverified(arguments, *target);
    if (!arguments.has("--cost"))
        return report({ErrorCode::kInvalidField,
            "--cost says what the supplier billed for the attempt", {}, "--cost"});
    std::string body;
    json::Writer writer(body);
    writer.begin_object()
        .member("exchange", arguments.get("EXCHANGE"))
        .member("cost", arguments.get("--cost"));
    if (arguments.has("--attempt")) {
        const std::string_view number = arguments.get("--attempt");
        std::uint16_t attempt = 0;
        const auto [end, failure] =
            std::from_chars(number.data(), number.data() + number.size(), attempt);
        if (failure != std::errc{} || end != number.data() + number.size())
            return report({ErrorCode::kInvalidField,
                fmt::format("--attempt takes a number, '{}' is none", excerpt(number)), {},
                "--attempt"});
        writer.member("attempt", static_cast<std::int64_t>(attempt));
    }
    writer.end_object();
    const auto answer = ask(*target, "POST", "/api/ledger/resolve", body);
    if (!answer) return report(answer.error());
    return write_output(fmt::format("corrected by {}\n", answer->root()["corrected"].string()))
        ? kOk
        : kFailed;
}

int run_close(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    std::string body;
    json::Writer(body).begin_object().member("month", arguments.get("MONTH")).end_object();
    const auto answer = ask(*target, "POST", "/api/ledger/close", body);
    if (!answer) return report(answer.error());
    return write_output(fmt::format(
               "the books are closed up to {}\n", answer->root()["closed_until"].string()))
        ? kOk
        : kFailed;
}

int run_rebuild(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    store::RebuildOptions options;
    options.data = target->data;
    options.without_settings = arguments.has("--without-settings");
    const auto rebuilt = store::rebuild_books(options, wall_now());
    if (!rebuilt) return report(rebuilt.error());
    if (arguments.has("--json")) {
        std::string out;
        json::Writer writer(out);
        writer.begin_object()
            .member("from", static_cast<std::int64_t>(rebuilt->from))
            .member("position", static_cast<std::int64_t>(rebuilt->position))
            .member("records", static_cast<std::int64_t>(rebuilt->records))
            .member("bytes_cut", static_cast<std::int64_t>(rebuilt->bytes_cut))
            .member("old_unread", rebuilt->old_unread);
        writer.key("differences").begin_array();
        for (const std::string& difference : rebuilt->differences) writer.string(difference);
        writer.end_array().end_object();
        return write_output(out + "\n") ? kOk : kFailed;
    }
    for (const std::string& difference : rebuilt->differences)
        fmt::print(stderr, "{}\n", difference);
    if (!rebuilt->old_unread.empty())
        fmt::print(stderr, "the old books.db was not compared: {}\n", rebuilt->old_unread);
    return write_output(
               fmt::format("rebuilt from {} to {}: {} records; the old books.db {}, and is in {}\n",
                   rebuilt->from, rebuilt->position, rebuilt->records,
                   !rebuilt->old_unread.empty()       ? "was not compared"
                       : rebuilt->differences.empty() ? "was the same"
                                                      : "WAS NOT THE SAME",
                   store::replaced_path(target->data).string()))
        ? kOk
        : kFailed;
}

int run_backup(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    std::string body;
    json::Writer(body)
        .begin_object()
        .member("folder", std::filesystem::absolute(arguments.get("DIR")).string())
        .end_object();
    const auto answer = ask(*target, "POST", "/api/ledger/backup", body);
    if (!answer) return report(answer.error());
    const json::Value& root = answer->root();
    if (arguments.has("--json"))
        return write_output(std::string(answer->text()) + "\n") ? kOk : kFailed;
    return write_output(fmt::format("{}: {} bytes, the books up to {}, {} debited\n",
               root["folder"].string(), count(root["bytes"]), count(root["position"]),
               root["debits"].string()))
        ? kOk
        : kFailed;
}

int run_restore(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    store::RestoreOptions options;
    options.folder = arguments.get("DIR");
    options.data = target->data;
    options.replace = arguments.has("--replace");
    const auto facts = arguments.has("--check") ? store::prove_backup(options.folder)
                                                : store::restore_backup(options);
    if (!facts) return report(facts.error());
    return write_output(fmt::format("{} of {}: the books up to {}, {} debited, {} attempts open\n",
               arguments.has("--check") ? "the backup is whole" : "restored",
               to_rfc3339(facts->made), facts->position, facts->debits.to_decimal(),
               facts->open_attempts))
        ? kOk
        : kFailed;
}

int run_dump(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto path = store::database_path(target->data);
    if (!std::filesystem::exists(path))
        return report(
            {ErrorCode::kNotFound, fmt::format("there are no books in {}", target->data.string())});
    const auto database = store::Database::open(path, store::Database::Mode::kReadOnly);
    if (!database) return report(database.error());
    if (arguments.has("--digest")) {
        const auto digests = store::digest_projections(*database);
        if (!digests) return report(digests.error());
        Table table{{{"TABLE"}, {"ROWS", true}, {"SHA-256"}}, {}};
        for (const store::TableDigest& digest : *digests)
            table.rows.push_back({digest.table, std::to_string(digest.rows), digest.sha256});
        return write_output(table.to_text()) ? kOk : kFailed;
    }
    const Status dumped = store::dump_projections(*database, [](std::string_view line) -> Status {
        if (write_output(std::string(line) + "\n")) return {};
        return fail(ErrorCode::kIo, "nobody reads the dump");
    });
    return dumped ? kOk : report(dumped.error());
}

}  // namespace

std::vector<Command> ledger_commands() {
    return {
        {"ledger verify", "Prove the invariants over the books; exit 4 when they do not hold.",
            target_options({{"--json", "", "JSON as the API gives it."}}), run_verify},
        {"ledger rebuild",
            "Make books.db anew from the base and the journal, while no gateway runs on them; "
            "settings and audit log are taken over. The old file is kept in replaced/.",
            target_options({{"--json", "", "What was found as JSON."},
                {"--without-settings", "",
                    "Even when settings, audit log and notices cannot be read: they are lost."}}),
            run_rebuild},
        {"ledger backup",
            "Copy books, settings, audit log and what suppliers keep into an empty folder, while "
            "the gateway runs, and prove the copy.",
            target_options({{"DIR", "", "Made when absent.", true},
                {"--json", "", "JSON as the API gives it."}}),
            run_backup},
        {"ledger restore",
            "Prove a backup and put it in place, while no gateway runs: all of it or nothing.",
            target_options({{"DIR", "", "A folder that `ledger backup` made.", true},
                {"--replace", "", "Also where there are books; they are kept in replaced/."},
                {"--check", "", "Only prove it."}}),
            run_restore},
        {"ledger dump",
            "Every row of the books in one order, as of the last checkpoint: equal books, equal "
            "text.",
            target_options({{"--digest", "", "Only what each table comes to."}}), run_dump},
        {"ledger resolve",
            "What a crash left settled at its hold; with an exchange: settle it at what it truly "
            "cost. The difference is posted in the open period.",
            target_options({{"EXCHANGE", "", "Of the list."},
                {"--cost", "AMOUNT", "What the supplier billed for the attempt."},
                {"--attempt", "N", "Its number; 1 when absent."},
                {"--csv", "", "The list, comma-separated."}}),
            run_resolve},
        {"ledger close",
            "Close the months up to this one (UTC): they take no more entries; what ends later is "
            "booked on the first day after them.",
            target_options({{"MONTH", "", "Such as 2026-10.", true}}), run_close},
    };
}

}  // namespace entrepot::cli
