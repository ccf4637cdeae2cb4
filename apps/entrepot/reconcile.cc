// reconcile: a supplier's bill against the books.
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include "base/text.h"
#include "command.h"
#include "control/reconcile.h"
#include "target.h"

namespace entrepot::cli {
namespace {

constexpr std::size_t kPartBytes = 256 * 1024;

std::unexpected<Error> wrong(std::string_view option, std::string message) {
    return fail_field(ErrorCode::kInvalidField, std::string(option), std::move(message));
}

Result<std::optional<Instant>> time_of(const Arguments& arguments, std::string_view option) {
    if (!arguments.has(option)) return std::optional<Instant>();
    const auto at = parse_instant(arguments.get(option));
    if (!at) return wrong(option, fmt::format("{}: {}", option, at.error().message));
    return std::optional(*at);
}

Result<control::ReconcileOptions> options_of(const Arguments& arguments) {
    control::ReconcileOptions options;
    options.now = wall_now();
    if (arguments.has("--format")) {
        ENTREPOT_TRY(options.format, reconcile::parse_format(arguments.get("--format")));
    }
    options.cloud = std::string(arguments.get("--cloud"));
    ENTREPOT_TRY(const auto since, time_of(arguments, "--since"));
    ENTREPOT_TRY(const auto until, time_of(arguments, "--until"));
    ENTREPOT_TRY(options.as_of, time_of(arguments, "--as-of"));
    if (since.has_value() != until.has_value() || (since && *since >= *until))
        return wrong("--until",
            "--since and --until are the bill's period: give both, one before the other, or none");
    if (since) options.period = Period{*since, *until};
    if (arguments.has("--exchange")) {
        const auto rate = Ratio::parse(arguments.get("--exchange"));
        if (!rate || rate->numerator <= 0)
            return wrong("--exchange",
                fmt::format("--exchange takes a rate above zero such as 1.0832, '{}' is none",
                    excerpt(arguments.get("--exchange"))));
        options.exchange = *rate;
    }
    options.adjusts = arguments.has("--adjust");
    return options;
}

/// Errors: kIo, and what the reader says of the bill.
Status feed_all(std::istream& file, std::string_view path, control::Reconciliation& run) {
    std::array<char, kPartBytes> part{};
    for (;;) {
        file.read(part.data(), part.size());
        const auto size = static_cast<std::size_t>(file.gcount());
        if (size > 0) ENTREPOT_TRY_DO(run.feed({part.data(), size}));
        if (file.bad())
            return fail(ErrorCode::kIo,
                fmt::format("cannot read '{}' to its end: {}", path, std::strerror(errno)));
        if (!file) return {};
    }
}

Status feed_file(std::string_view path, control::Reconciliation& run) {
    if (path == "-") return feed_all(std::cin, path, run);
    std::ifstream file{std::string(path), std::ios::binary};
    if (!file)
        return fail(
            ErrorCode::kIo, fmt::format("cannot read '{}': {}", path, std::strerror(errno)));
    return feed_all(file, path, run);
}

std::string adjustments_of(std::size_t count, Money sum, const reconcile::Report& report) {
    return fmt::format("{} adjustment{}, {} {} together", count, count == 1 ? "" : "s",
        sum.to_decimal(), report.currency.code());
}

void tell_what_follows(const control::Reconciled& outcome, bool adjusts) {
    const reconcile::Report& report = outcome.report;
    if (adjusts && outcome.posted > 0)
        fmt::print(stderr, "posted {}, in the open period\n",
            adjustments_of(outcome.posted, outcome.posted_amount, report));
    if (adjusts && outcome.posted == 0) fmt::print(stderr, "nothing was to be posted\n");
    if (adjusts || report.adjustments.empty()) return;
    Money sum;
    for (const reconcile::Adjustment& adjustment : report.adjustments) sum += adjustment.amount;
    fmt::print(stderr, "{}, would follow; --adjust posts. The books are as they were.\n",
        adjustments_of(report.adjustments.size(), sum, report));
}

int run_reconcile(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    auto options = options_of(arguments);
    if (!options) return report(options.error());
    const bool adjusts = options->adjusts;
    const bool shows_progress = ::isatty(STDERR_FILENO) == 1;
    if (shows_progress)
        options->on_progress = [](const reconcile::Progress& progress) {
            fmt::print(stderr, "\r{} lines read", progress.lines);
        };
    Conversation books(*target);
    const auto run = control::Reconciliation::begin(std::move(*options),
        [&](std::string_view method, const std::string& path, std::string_view body) {
            return books.ask(method, path, body);
        });
    if (!run) return report(run.error());
    std::string_view path = arguments.get("FILE");
    const Status read = feed_file(path, **run);
    if (shows_progress) fmt::print(stderr, "\r\x1b[K");
    if (!read) return report_input(read.error());
    const auto outcome = (*run)->finish();
    // Whose bill it is was said on the command line.
    if (!outcome)
        return outcome.error().field == "cloud" ? report(outcome.error())
                                                : report_input(outcome.error());
    bool is_written = false;
    if (arguments.has("--json"))
        is_written = write_output(control::to_json(*outcome) + "\n");
    else if (arguments.has("--csv"))
        is_written = write_output(reconcile::to_csv(outcome->report));
    else
        is_written = write_output(reconcile::to_table(outcome->report));
    tell_what_follows(*outcome, adjusts);
    if (!is_written) return kFailed;
    return outcome->agrees ? kOk : kDifferences;
}

}  // namespace

std::vector<Command> bill_commands() {
    return {
        {"reconcile",
            "A supplier's bill against the books: what differs, by how much, and why; exit 4 when "
            "something does. Without --adjust the books stay as they are.",
            target_options({{"FILE", "", "The bill, packed with gzip or not; - is stdin.", true},
                {"--cloud", "NAME", "The cloud whose bill it is; all of the seller's when absent."},
                {"--format", "FORMAT", "When the file does not tell.", false,
                    {"focus", "aws-cur", "azure", "gcp", "openai", "anthropic"}},
                {"--since", "TIME", "The bill's period, where it does not say so itself."},
                {"--until", "TIME", "The end of it, without."},
                {"--as-of", "TIME",
                    "When the bill was exported: usage of the three days before it may still "
                    "come."},
                {"--exchange", "RATE",
                    "Units of the books' currency for one of the bill's, where they differ."},
                {"--adjust", "",
                    "Post what would bring the books to the bill, in the open period; once, "
                    "however "
                    "often it is run."},
                {"--json", "", "JSON as the API gives it."},
                {"--csv", "", "The differences, comma-separated."}}),
            run_reconcile},
    };
}

}  // namespace entrepot::cli
