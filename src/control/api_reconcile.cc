// Suppliers' bills against the books: what the books have by hour, and the corrections that follow.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "catalog/catalog.h"
#include "control/reconcile.h"
#include "control/routes.h"
#include "crypto/hash.h"
#include "json/writer.h"
#include "ledger/state.h"
#include "reconcile/names.h"
#include "store/charge_hours.h"

namespace entrepot::control {
namespace {

constexpr std::uint32_t kRowsMax = 20'000;
constexpr std::size_t kPostingsMax = 5'000;
/// Of a bill in a body: gzip makes much of a MiB, and one thread answers the whole API.
constexpr std::uint64_t kBillLinesMax = 500'000;

/// What the configuration knows of an offer that the books name.
struct OfferFacts {
    std::string id;         ///< at the cloud
    std::string canonical;  ///< `author/model`, where the catalogue knows it
    std::string region;
};

class OfferBook {
public:
    explicit OfferBook(const config::Settings& settings) : settings_(settings) {
        for (const config::ModelSettings& model : settings.models)
            for (const config::OfferSettings& offer : model.offers)
                offers_.emplace(offer.id.view(), &offer);
    }
    const OfferFacts& of(std::string_view offer) {
        const auto [known, is_new] = facts_.try_emplace(std::string(offer));
        const auto found = offers_.find(offer);
        if (!is_new || found == offers_.end()) return known->second;
        const config::OfferSettings& settings = *found->second;
        const config::CloudSettings* cloud = settings_.find_cloud(settings.cloud.view());
        if (cloud == nullptr) return known->second;
        OfferFacts& facts = known->second;
        facts.id = settings.model_at_cloud;
        facts.region = settings.region.empty() ? cloud->region : settings.region;
        const catalog::Match match = catalog::Catalog::embedded().find_offer({.kind = cloud->kind,
            .region = facts.region,
            .provider_model_id = settings.model_at_cloud,
            .catalog_model = settings.catalog,
            .endpoint_host = {},
            .service = cloud->service});
        if (match.model != nullptr) facts.canonical = std::string(match.model->name);
        return facts;
    }
    [[nodiscard]] std::string_view seller_of(std::string_view cloud) const {
        const config::CloudSettings* const found = settings_.find_cloud(cloud);
        return found == nullptr ? std::string_view() : reconcile::seller_of(found->kind);
    }

private:
    const config::Settings& settings_;
    std::map<std::string_view, const config::OfferSettings*> offers_;
    std::map<std::string, OfferFacts, std::less<>> facts_;
};

Result<std::uint32_t> limit_of(const ApiCall& call, std::uint32_t otherwise) {
    const std::string_view text = call.argument("limit");
    if (text.empty()) return otherwise;
    std::uint32_t limit = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (failure == std::errc{} && end == text.data() + text.size() && limit <= kRowsMax)
        return limit;
    return fail_field(ErrorCode::kInvalidField, "limit",
        fmt::format("'limit' takes a number up to {}, '{}' is none", kRowsMax, excerpt(text)));
}

/// Puts everything into the store's file and says where that lies. A further page asks for none:
/// it goes on in what is there.
Result<std::filesystem::path> books_at_rest(const ApiCall& call, bool is_first) {
    if (is_first) return checkpointed(call.backend);
    return ask<std::filesystem::path>(
        call.backend, [](store::Books& books) { return books.folder(); });
}

std::string_view meter_text(std::uint8_t meter) {
    if (meter == ledger::kAdjustMeter) return "correction";
    if (meter >= canon::kMeterCount) return "rest";
    return canon::meter_name(static_cast<canon::Meter>(meter));
}

void write_charge(json::Writer& writer, const store::ChargeHour& row, OfferBook& offers) {
    const OfferFacts& facts = offers.of(row.offer);
    writer.begin_object().member("hour", to_rfc3339(row.hour)).member("cloud", row.cloud);
    writer.member("seller", offers.seller_of(row.cloud)).member("offer", row.offer);
    writer.member("model", row.model).member("id", facts.id);
    writer.member("canonical", facts.canonical).member("region", facts.region);
    writer.member("contract", row.contract).member("rate_version", row.rate_version);
    writer.member("tier", catalog::tier_name(row.tier)).member("context", row.ctx_over);
    writer.member("meter", meter_text(row.meter)).member("quantity", row.quantity);
    writer.member("cost", row.cost.to_decimal());
    writer.member("list_cost", row.list_cost.to_decimal());
    if (row.is_moved) writer.member_bool("moved", true);
    writer.end_object();
}

struct Posting {
    ledger::AdjustRequest request;
    std::string reason, cloud, offer, contract;
};

/// The same posting has the same id, whoever makes it: the bill's period, day, type and seller
/// stand in the reason.
ExchangeId id_of(const Posting& posting, std::int64_t number) {
    const crypto::Sha256 digest = crypto::sha256(fmt::format(
        "adjustment\n{}\n{}\n{}\n{}", posting.reason, posting.cloud, posting.offer, number));
    ExchangeId id;
    std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
    // A UUID of version 8: made of a hash, and of no time.
    id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x80);
    id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

/// Whether such a difference is one of what was bought, so that it stands at list price too.
bool is_of_quantity(reconcile::Type type) {
    return type == reconcile::Type::kLate || type == reconcile::Type::kMissing ||
        type == reconcile::Type::kCache;
}

Result<Posting> posting_of(const json::Value& row, Instant now) {
    Posting posting;
    for (const json::Member& member : row.members()) {
        std::string* const to = member.key == "reason" ? &posting.reason
            : member.key == "cloud"                    ? &posting.cloud
            : member.key == "offer"                    ? &posting.offer
            : member.key == "contract"                 ? &posting.contract
                                                       : nullptr;
        if (to != nullptr)
            *to = std::string(member.value.string());
        else if (member.key != "amount" && member.key != "number")
            return fail_field(ErrorCode::kInvalidField, std::string(member.key),
                fmt::format("'{}' is no member of an adjustment; known are reason, cloud, offer, "
                            "contract, amount, number",
                    excerpt(member.key)));
    }
    const auto reason = PostingReason::parse(posting.reason);
    if (!reason || posting.reason.size() > ledger::kNameBytesMax)
        return fail_field(ErrorCode::kInvalidField, "reason",
            fmt::format("'{}' is no reason that a reconciliation gives, such as 'reconciliation "
                        "2026-11-01/2026-12-01 2026-11-05 late aws'",
                excerpt(posting.reason)));
    if (posting.cloud.empty())
        return fail_field(
            ErrorCode::kInvalidField, "cloud", "'cloud' must name the cloud that is owed");
    const auto amount = Money::parse(row["amount"].string());
    if (!amount || amount->is_zero() || *amount > ledger::kAmountMax ||
        *amount < -ledger::kAmountMax)
        return fail_field(ErrorCode::kInvalidField, "amount",
            fmt::format("'amount' must be what is to be posted, such as \"-0.0125\", '{}' is not",
                excerpt(row["amount"].string())));
    const auto number = row["number"].as_int();
    if (!number || *number < 0)
        return fail_field(ErrorCode::kInvalidField, "number",
            "'number' must be how many adjustments of that reason were posted before");
    posting.request.at = now;
    posting.request.cost = *amount;
    if (is_of_quantity(reason->type)) posting.request.list_cost = *amount;
    posting.request.id = id_of(posting, *number);
    return posting;
}

/// Gives the texts their numbers, and posts. False when it was posted before.
Result<bool> post(store::Books& books, Posting& posting) {
    ledger::AdjustRequest& request = posting.request;
    ENTREPOT_TRY(request.reason, books.name(posting.reason));
    ENTREPOT_TRY(request.route.cloud, books.name(posting.cloud));
    if (!posting.offer.empty()) {
        ENTREPOT_TRY(request.route.offer, books.name(posting.offer));
        const std::string_view model =
            std::string_view(posting.offer).substr(0, posting.offer.rfind('/'));
        if (!model.empty()) {
            ENTREPOT_TRY(request.route.model, books.name(model));
        }
    }
    if (!posting.contract.empty()) {
        ENTREPOT_TRY(request.contract, books.name(posting.contract));
    }
    const auto known = books.adjustment(request.id);
    if (!known) return books.adjust(request);
    // Asked again by somebody whose answer was lost.
    request.at = known->at;
    if (*known == request) return false;
    return fail(ErrorCode::kConflict,
        fmt::format("'{}' was posted by somebody else meanwhile; reconcile again to see what is "
                    "left",
            posting.reason));
}

Result<std::optional<Instant>> time_argument(const ApiCall& call, const std::string& name) {
    const std::string_view text = call.argument(name);
    if (text.empty()) return std::optional<Instant>();
    auto at = parse_instant(text);
    if (at) return std::optional(*at);
    return fail_field(ErrorCode::kInvalidField, name, at.error().message);
}

}  // namespace

Result<ApiAnswer> list_charges(const ApiCall& call) {
    store::ChargeHoursQuery query;
    ENTREPOT_TRY(query.since, time_argument(call, "since"));
    ENTREPOT_TRY(query.until, time_argument(call, "until"));
    ENTREPOT_TRY(const std::optional<Instant> after, time_argument(call, "after"));
    ENTREPOT_TRY(query.rows_max, limit_of(call, query.rows_max));
    if (after) query.since = query.since ? std::max(*query.since, *after) : *after;
    for (const std::string_view cloud : split(call.argument("cloud"), ','))
        if (!cloud.empty()) query.clouds.emplace_back(cloud);
    ENTREPOT_TRY(
        const std::filesystem::path data, books_at_rest(call, !after && query.rows_max > 0));
    ENTREPOT_TRY(const store::ChargeHoursPage page, store::charge_hours(data, query));
    const config::Settings& settings = call.backend.settings();
    OfferBook offers(settings);
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("currency", settings.currency.code());
    writer.key("clouds").begin_array();
    for (const config::CloudSettings& cloud : settings.clouds)
        writer.begin_object()
            .member("cloud", cloud.id.view())
            .member("seller", reconcile::seller_of(cloud.kind))
            .end_object();
    writer.end_array().key("rows").begin_array();
    for (const store::ChargeHour& row : page.rows) write_charge(writer, row, offers);
    writer.end_array();
    if (page.next) writer.member("next", to_rfc3339(*page.next));
    writer.end_object();
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> list_adjustments(const ApiCall& call) {
    std::optional<ExchangeId> after;
    if (!call.argument("after").empty()) {
        ENTREPOT_TRY(after, ExchangeId::parse(call.argument("after")));
    }
    ENTREPOT_TRY(const std::uint32_t limit, limit_of(call, 5000));
    ENTREPOT_TRY(const std::filesystem::path data, books_at_rest(call, !after));
    ENTREPOT_TRY(const auto page, store::posted_adjustments(data, after, limit));
    OfferBook offers(call.backend.settings());
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("currency", call.backend.settings().currency.code());
    writer.key("rows").begin_array();
    for (const store::PostedAdjustment& row : page.rows) {
        const OfferFacts& facts = offers.of(row.offer);
        writer.begin_object().member("adjustment", row.id.to_string());
        writer.member("at", to_rfc3339(row.at)).member("reason", row.reason);
        writer.member("cloud", row.cloud).member("seller", offers.seller_of(row.cloud));
        writer.member("offer", row.offer).member("model", row.model).member("id", facts.id);
        writer.member("canonical", facts.canonical).member("contract", row.contract);
        writer.member("cost", row.cost.to_decimal());
        writer.member("list_cost", row.list_cost.to_decimal());
        if (row.attempt > 0) {
            writer.member("exchange", row.exchange.to_string());
            writer.member("exchange_at", to_rfc3339(row.exchange.time()));
            writer.member("attempt", std::int64_t{row.attempt});
        }
        writer.end_object();
    }
    writer.end_array();
    if (page.next) writer.member("next", page.next->to_string());
    writer.end_object();
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> post_adjustments(const ApiCall& call) {
    ENTREPOT_TRY(const json::Document document,
        object_of(call,
            R"({"adjustments":[{"reason":"reconciliation ...","cloud":"aws",)"
            R"("offer":"m/aws","amount":"-0.0125","number":0}]})"));
    const json::Value& list = document.root()["adjustments"];
    if (document.root().members().size() != 1 || !list.is_array() || list.items().empty() ||
        list.items().size() > kPostingsMax)
        return fail_field(ErrorCode::kInvalidField, "adjustments",
            fmt::format("the body must hold 'adjustments', a list of 1 to {}, and nothing else",
                kPostingsMax));
    // All are read before any is posted.
    const Instant now = call.backend.now();
    std::vector<Posting> postings;
    for (const json::Value& row : list.items()) {
        ENTREPOT_TRY(Posting posting, posting_of(row, now));
        postings.push_back(std::move(posting));
    }
    std::int64_t posted = 0;
    const Status done = ask<Status>(call.backend, [&](store::Books& books) -> Status {
        for (Posting& posting : postings) {
            const auto is_new = post(books, posting);
            if (!is_new)
                return fail(is_new.error().code,
                    fmt::format("{} of {} adjustments were posted, then: {}", posted,
                        postings.size(), is_new.error().message));
            if (*is_new) ++posted;
        }
        return {};
    });
    if (!done) return std::unexpected(done.error());
    std::string out;
    json::Writer(out)
        .begin_object()
        .member("posted", posted)
        .member("repeated", static_cast<std::int64_t>(postings.size()) - posted)
        .end_object();
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> reconcile_bill(const ApiCall& call) {
    ReconcileOptions options;
    if (const auto format = call.argument("format"); !format.empty()) {
        ENTREPOT_TRY(options.format, reconcile::parse_format(format));
    }
    options.cloud = std::string(call.argument("cloud"));
    options.lines_max = kBillLinesMax;
    options.now = call.backend.now();
    ENTREPOT_TRY(const auto since, time_argument(call, "since"));
    ENTREPOT_TRY(const auto until, time_argument(call, "until"));
    ENTREPOT_TRY(options.as_of, time_argument(call, "as_of"));
    if (since.has_value() != until.has_value() || (since && *since >= *until))
        return fail_field(ErrorCode::kInvalidField, "until",
            "'since' and 'until' are the bill's period: both, one before the other, or none");
    if (since) options.period = Period{*since, *until};
    if (const auto exchange = call.argument("exchange"); !exchange.empty()) {
        ENTREPOT_TRY(options.exchange, Ratio::parse(exchange));
        if (options.exchange->numerator <= 0)
            return fail_field(
                ErrorCode::kInvalidField, "exchange", "a rate of exchange is above zero");
    }
    const std::string_view adjust = call.argument("adjust");
    if (!adjust.empty() && adjust != "true" && adjust != "false")
        return fail_field(ErrorCode::kInvalidField, "adjust",
            fmt::format("'adjust' is true or false, not '{}'", excerpt(adjust)));
    options.adjusts = adjust == "true";
    const AskApi in_process = [&](std::string_view method, const std::string& path,
                                  std::string_view body) -> Result<json::Document> {
        const auto question = std::min(path.find('?'), path.size());
        AdminRequest request;
        request.method = method;
        request.path = std::string_view(path).substr(0, question);
        request.query = std::string_view(path).substr(std::min(question + 1, path.size()));
        request.body = body;
        request.is_trusted = true;  // who asks was let in for this route
        AdminResponse answer = handle(call.backend, Secret(), request);
        return document_of(answer.status, std::move(answer.body));
    };
    ENTREPOT_TRY(const auto run, Reconciliation::begin(std::move(options), in_process));
    ENTREPOT_TRY_DO(run->feed(call.body));
    ENTREPOT_TRY(const Reconciled outcome, run->finish());
    return ApiAnswer{200, to_json(outcome)};
}

}  // namespace entrepot::control
