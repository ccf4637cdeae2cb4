// The proof of the books, and the two things that people do to them: settle what a crash hid, and
// close a month.
#include <fmt/format.h>

#include <filesystem>
#include <random>

#include "base/text.h"
#include "control/routes.h"
#include "json/writer.h"

namespace entrepot::control {

Result<ApiAnswer> verify_ledger(const ApiCall& call) {
    // The long part runs here, beside the books: they outlive the admin plane.
    const store::Books* proved = nullptr;
    auto report = ask<store::VerifyReport>(call.backend, [&](store::Books& books) {
        proved = &books;
        return books.check();
    });
    proved->prove(report);
    const auto unverified = ask<Result<std::vector<store::UnverifiedAttempt>>>(
        call.backend, [](store::Books& books) { return books.unverified(); });
    if (!unverified) return std::unexpected(unverified.error());
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member_bool("ok", report.ok());
    writer.key("differences").begin_array();
    for (const std::string& difference : report.differences) writer.string(difference);
    writer.end_array();
    writer.member("accounts", static_cast<std::int64_t>(report.accounts));
    writer.member("open_attempts", static_cast<std::int64_t>(report.open_attempts));
    writer.member("records_audited", static_cast<std::int64_t>(report.records_audited));
    writer.member("records_proved", static_cast<std::int64_t>(report.records_proved));
    writer.member("debits", report.debits.to_decimal());
    writer.member("credits", report.credits.to_decimal());
    writer.key("unverified").begin_array();
    for (const auto& attempt : *unverified)
        writer.begin_object()
            .member("exchange", attempt.exchange.to_string())
            .member("attempt", std::int64_t{attempt.attempt})
            .member("key", attempt.key)
            .member("offer", attempt.offer)
            .member("amount", attempt.amount.to_decimal())
            .member("dispatched_at", to_rfc3339(attempt.dispatch))
            .end_object();
    writer.end_array().end_object();
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> resolve_attempt(const ApiCall& call) {
    ENTREPOT_TRY(const json::Document document,
        object_of(call, R"({"exchange":"019a...","attempt":1,"cost":"0.0125"})"));
    const json::Value& root = document.root();
    for (const json::Member& member : root.members())
        if (member.key != "exchange" && member.key != "attempt" && member.key != "cost")
            return fail_field(ErrorCode::kInvalidField, std::string(member.key),
                fmt::format("'{}' is no member of a resolution; known are exchange, attempt, cost",
                    excerpt(member.key)));
    ENTREPOT_TRY(const ExchangeId exchange, ExchangeId::parse(root["exchange"].string()));
    const std::int64_t attempt =
        root.find("attempt") == nullptr ? 1 : root["attempt"].as_int().value_or(0);
    const auto cost = Money::parse(root["cost"].string());
    if (!cost || cost->is_negative() || *cost > ledger::kAmountMax)
        return fail_field(ErrorCode::kInvalidField, "cost",
            "'cost' must be what the supplier billed for the attempt, such as \"0.0125\"");
    if (attempt < 1 || attempt > UINT16_MAX)
        return fail_field(
            ErrorCode::kInvalidField, "attempt", "'attempt' must be the attempt's number, from 1");
    std::random_device random;
    const auto half = [&] { return static_cast<std::uint64_t>(random()) << 32 | random(); };
    const Instant now = call.backend.now();
    const ExchangeId id = ExchangeId::make(now, {half(), half()});
    ENTREPOT_TRY(const Money difference, ask<Result<Money>>(call.backend, [&](store::Books& books) {
        return books.resolve(exchange, static_cast<std::uint16_t>(attempt), *cost, id, now);
    }));
    std::string out;
    json::Writer(out).begin_object().member("corrected", difference.to_decimal()).end_object();
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> make_backup(const ApiCall& call) {
    ENTREPOT_TRY(const json::Document document, object_of(call, R"({"folder":"/backups/monday"})"));
    const std::filesystem::path folder(std::string(document.root()["folder"].string()));
    if (document.root().members().size() != 1 || !folder.is_absolute())
        return fail_field(ErrorCode::kInvalidField, "folder",
            "the body must name a folder by its whole path, and nothing else: "
            "{\"folder\":\"/backups/monday\"}");
    // As for the proof: the long part runs here.
    const store::Books* books = nullptr;
    ENTREPOT_TRY_DO(ask<Status>(call.backend, [&](store::Books& owned) {
        books = &owned;
        return owned.checkpoint();
    }));
    ENTREPOT_TRY(const store::BackupFacts facts, books->backup(folder, call.backend.now()));
    std::string out;
    json::Writer(out)
        .begin_object()
        .member("folder", folder.string())
        .member("position", static_cast<std::int64_t>(facts.position))
        .member("bytes", static_cast<std::int64_t>(facts.bytes))
        .member("open_attempts", static_cast<std::int64_t>(facts.open_attempts))
        .member("debits", facts.debits.to_decimal())
        .member("credits", facts.credits.to_decimal())
        .end_object();
    return ApiAnswer{201, std::move(out)};
}

Result<ApiAnswer> close_month(const ApiCall& call) {
    ENTREPOT_TRY(const json::Document document, object_of(call, R"({"month":"2026-10"})"));
    const std::string_view month = document.root()["month"].string();
    const auto begin = parse_instant(fmt::format("{}-01", month));
    if (document.root().members().size() != 1 || month.size() != 7 || !begin)
        return fail_field(ErrorCode::kInvalidField, "month",
            "the body must name the last month to be closed, and nothing else: "
            "{\"month\":\"2026-10\"}");
    const Instant until = TimeZone::utc().period_of(PeriodKind::kMonth, *begin).end;
    const std::string by = excerpt(call.by.actor.empty() ? "admin" : call.by.actor, 200);
    ENTREPOT_TRY_DO(ask<Status>(call.backend,
        [&](store::Books& books) { return books.seal(until, call.backend.now(), by); }));
    std::string out;
    json::Writer(out).begin_object().member("closed_until", to_rfc3339(until)).end_object();
    return ApiAnswer{200, std::move(out)};
}

}  // namespace entrepot::control
