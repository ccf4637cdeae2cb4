// Batches: bounded when their requests are uploaded, held when they are started, settled line by
// line when they have ended.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "base/text.h"
#include "dialect/registry.h"
#include "framing/multipart.h"
#include "gateway/batch.h"
#include "gateway/kept.h"
#include "gateway/kept_door.h"
#include "gateway/plan.h"
#include "gateway/worker.h"
#include "json/writer.h"

namespace entrepot::gateway {
namespace {

using store::Kept;
using store::KeptKind;
using upstream::KeepingStyle;

constexpr std::size_t kResultLineBytesMax = 16 * 1024 * 1024;
/// Each is looked up, one after the other.
constexpr std::size_t kReferencesMax = 10'000;

bool speaks(const OfferState& offer, const dialect::Dialect& dialect) {
    return std::ranges::any_of(offer.voices, [&](const upstream::Voice& voice) {
        return voice.dialect == &dialect ||
            (dialect.name == "openai-chat" && voice.dialect->name == "azure-openai");
    });
}

/// What a bound rests on: where it goes, the rates in force, the offer's limits and what the key
/// does about requests without a bound.
std::string terms_of(const Exchange& x, std::uint32_t index, Instant now) {
    const routing::Offer& offer = x.state->table.offer(index);
    const auto* epoch = offer.card == nullptr ? nullptr : offer.card->at(now);
    return fmt::format("{} {} {} {} {} {} {}", offer.cloud.view(),
        x.state->offers[index].model_at_cloud, epoch == nullptr ? "-" : epoch->version.view(),
        offer.limits.context_tokens, offer.limits.output_tokens_max,
        offer.limits.must_state_output_cap,
        auth::on_unbounded_name(x.principal->policy.on_unbounded));
}

/// What makes one sum of many requests.
class BatchReader {
public:
    BatchReader(const Exchange& x, KeepingStyle style, std::string_view wanted, Instant now)
        : x_(x), style_(style), wanted_(wanted), now_(now) {}

    Status take(BatchAsk& ask) {
        if (plan.lines++ == 0) ENTREPOT_TRY_DO(choose(ask));
        if (ask.request.model != plan.model)
            return fail_field(ErrorCode::kUnsupported, "model",
                fmt::format("{}: 'model' is '{}' where the first line has '{}'; a batch goes to "
                            "one supplier and asks one model there: make a batch of each",
                    ask.where, excerpt(ask.request.model), excerpt(plan.model)));
        if (ask.dialect->name != plan.dialect)
            return fail_field(ErrorCode::kInvalidField, "url",
                fmt::format("{}: a batch has one 'url'; the first line has another", ask.where));
        tokens.push_back(ask.model_token);
        ENTREPOT_TRY(std::vector<KeptReference> named, kept_references(ask.request));
        for (KeptReference& one : named) {
            if (!known_.insert(fmt::format("{} {}", store::kept_kind_name(one.kind), one.id))
                    .second)
                continue;
            if (references.size() == kReferencesMax)
                return fail_field(ErrorCode::kInvalidField, one.field,
                    fmt::format("{}: a batch names at most {} files and other kept things; make "
                                "several",
                        ask.where, kReferencesMax));
            references.push_back(std::move(one));
        }
        return bound(ask);
    }

    BatchPlan plan;
    std::vector<std::string_view> tokens;
    std::vector<KeptReference> references;

private:
    Status choose(const BatchAsk& ask) {
        const State& state = *x_.state;
        const std::string& model = ask.request.model;
        const auto offers = state.table.of_model(model);
        if (offers.empty() || !x_.principal->scope.allows_model(model))
            return fail_field(ErrorCode::kNotFound, "model",
                fmt::format("{}: the model '{}' does not exist or this key may not use it",
                    ask.where, excerpt(model)));
        for (const std::uint32_t index : offers) {
            const routing::Offer& offer = state.table.offer(index);
            const Cloud& cloud = state.clouds[state.offers[index].cloud];
            const bool is_there = cloud.supplier->keeping().style == style_ &&
                (wanted_.empty() || wanted_ == offer.cloud.view()) &&
                x_.key->reach.allows_cloud(offer.cloud.view()) &&
                x_.key->reach.allows_region(offer.residency) &&
                speaks(state.offers[index], *ask.dialect);
            if (!is_there) continue;
            plan.offer = index;
            plan.terms = terms_of(x_, index, now_);
            plan.model = model;
            plan.dialect = ask.dialect->name;
            return {};
        }
        return fail_field(ErrorCode::kUnsupported, "model",
            fmt::format("{}: no supplier of '{}' that this key may reach{} takes batches in this "
                        "format",
                ask.where, excerpt(model),
                wanted_.empty() ? "" : fmt::format(" as '{}'", excerpt(wanted_))));
    }

    Status bound(const BatchAsk& ask) {
        if (!plan.unbounded.empty()) return {};
        const routing::Offer& offer = x_.state->table.offer(plan.offer);
        canon::RequestFacts facts;
        canon::read_facts(
            ask.request, static_cast<std::size_t>(ask.bytes), ask.dialect->stateful_fields, facts);
        routing::RequestShape shape = routing_facts(facts).shape;
        shape.tiers = pricing::Bounds::tier_bit(catalog::Tier::kBatch);
        const auto unbounded = [&](std::string_view why) {
            plan.unbounded = fmt::format("{}: {}", ask.where, why);
            return Status{};
        };
        if (!facts.open_ended_field.empty())
            return unbounded(
                fmt::format("'{}' lets the supplier do what is billed apart as often "
                            "as it likes",
                    facts.open_ended_field));
        const Result<routing::Bound> bound = routing::bound_of(shape, offer.limits, offer.expansion,
            x_.principal->policy.on_unbounded == auth::OnUnbounded::kClamp
                ? routing::OnUnbounded::kClamp
                : routing::OnUnbounded::kRefuse);
        if (!bound) return unbounded(bound.error().message);
        if (bound->inject_output_cap > 0 && offer.limits.must_state_output_cap)
            return unbounded(
                fmt::format("state an output cap of at most {} tokens; nothing else "
                            "makes the supplier keep to it",
                    bound->inject_output_cap));
        if (offer.card == nullptr) return unbounded("the offer has no price");
        const pricing::Quote quote = pricing::worst_case(bound->bounds, *offer.card, {}, now_);
        if (!quote.is_known) return unbounded("the offer has no price for batches");
        plan.hold += quote.amount;
        if (plan.hold > ledger::kAmountMax) return unbounded("it may cost more than can be booked");
        return {};
    }

    const Exchange& x_;
    std::unordered_set<std::string> known_;  // of `references`
    KeepingStyle style_;
    std::string_view wanted_;
    Instant now_;
};

std::string to_json(const BatchPlan& plan, const State& state) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("model", plan.model);
    writer.member("offer", state.offers[plan.offer].name);
    writer.member("dialect", plan.dialect);
    writer.member("lines", plan.lines);
    writer.member("hold", plan.hold.to_decimal());
    writer.member("unbounded", plan.unbounded);
    writer.member("terms", plan.terms).end_object();
    return out;
}

/// What was noted of a file of requests, for who starts it now, whoever uploaded it when.
/// Errors: kInvalidField, kUnsupported, kNotFound.
Result<BatchPlan> plan_of(const Kept& file, const Exchange& x, Instant now) {
    const State& state = *x.state;
    const auto document = json::Document::parse(file.detail.empty() ? "{}" : file.detail);
    const json::Value& noted = document ? document->root()["batch"] : json::Value();
    if (!noted.is_object())
        return fail_field(ErrorCode::kInvalidField, "input_file_id",
            fmt::format("'input_file_id': '{}' was not uploaded as the requests of a batch; upload "
                        "it with purpose=batch",
                excerpt(file.id)));
    BatchPlan plan;
    plan.model = noted["model"].string();
    plan.dialect = noted["dialect"].string();
    plan.lines = noted["lines"].as_int().value_or(0);
    plan.unbounded = noted["unbounded"].string();
    ENTREPOT_TRY(plan.hold, Money::parse(noted["hold"].string()));
    const auto offer = std::ranges::find(state.offers, noted["offer"].string(), &OfferState::name);
    if (offer == state.offers.end())
        return fail_field(ErrorCode::kUnsupported, "input_file_id",
            "the offer that these requests were written for is not configured any more; upload "
            "them again");
    plan.offer = static_cast<std::uint32_t>(offer - state.offers.begin());
    if (!x.principal->scope.allows_model(plan.model))
        return fail_field(ErrorCode::kNotFound, "input_file_id",
            fmt::format("the model '{}' of these requests does not exist or this key may not use "
                        "it",
                excerpt(plan.model)));
    const routing::Offer& known = state.table.offer(plan.offer);
    if (!x.key->reach.allows_cloud(known.cloud.view()) ||
        !x.key->reach.allows_region(known.residency))
        return fail_field(ErrorCode::kUnsupported, "input_file_id",
            "these requests were written for an offer that this key may not reach; upload them "
            "with it again");
    plan.terms = terms_of(x, plan.offer, now);
    if (noted["terms"].string() != plan.terms)
        return fail_field(ErrorCode::kUnsupported, "input_file_id",
            "what these requests were bounded by when they were uploaded has changed: the rates or "
            "limits of their offer, or what the key does about requests without a bound; upload "
            "them again");
    return plan;
}

}  // namespace

Task<BatchPlan> Worker::plan_batch(Exchange& x, upstream::KeepingStyle style,
    std::string_view wanted, std::string_view text, std::string& rewritten) {
    BatchReader reader(x, style, wanted, core_.wall());
    const TakeAsk take = [&reader](BatchAsk& ask) { return reader.take(ask); };
    // Thousands of requests are read beside the core, which has others to serve.
    const auto read = [&]() -> Status {
        return style == KeepingStyle::kAnthropic ? read_batch_body(text, take)
                                                 : read_batch_lines(text, take);
    };
    ENTREPOT_CO_TRY_DO(co_await batches_.run(core_, read));
    if (reader.plan.lines == 0)
        co_return fail(ErrorCode::kInvalidField, "the batch has no requests");
    x.model = reader.plan.model;
    x.kept = std::make_shared<KeptUse>();
    x.kept->named = std::move(reader.references);
    ENTREPOT_CO_TRY_DO(co_await locate_kept(x));
    // A batch is read in its own dialect only: it would be looked for.
    if (!x.kept->lost.empty()) co_return std::unexpected(not_kept(x.kept->lost));
    const OfferState& offer = x.state->offers[reader.plan.offer];
    if (!x.kept->cloud.empty() && x.kept->cloud != x.state->clouds[offer.cloud].settings.id.view())
        co_return fail_field(ErrorCode::kInvalidField, x.kept->field,
            fmt::format("'{}' names what another supplier keeps than the one that has '{}'",
                x.kept->field, excerpt(x.model)));
    rewritten = with_strings(text, reader.tokens, offer.model_at_cloud);
    co_return std::move(reader.plan);
}

Task<void> Worker::create_file(
    Exchange& x, const KeptDoor& door, net::ServerRequest& request, net::ResponseWriter& response) {
    ENTREPOT_CO_TRY_DO(co_await check_room(x, KeptKind::kFile));
    const std::string_view type = request.headers.find("content-type").value_or("");
    ENTREPOT_CO_TRY(const framing::Form form, framing::read_form(request.body, type));
    // What is read is what goes: given twice, the supplier might read the other one.
    for (const std::string_view name : {"purpose", "file"})
        if (form.count(name) > 1)
            co_return fail_field(ErrorCode::kBadRequest, std::string(name),
                fmt::format("'{}' is given twice; give it once", name));
    const framing::FormPart* purpose = form.find("purpose");
    const framing::FormPart* file = form.find("file");
    std::string_view wanted = request.headers.find("x-entrepot-cloud").value_or("");
    std::string detail;
    std::string body = request.body;
    if (purpose != nullptr && purpose->data == "batch" && file != nullptr) {
        std::string rewritten;
        ENTREPOT_CO_TRY(const BatchPlan plan,
            co_await plan_batch(x, door.style, wanted, file->data, rewritten));
        detail = to_json(plan, *x.state);
        const auto at = static_cast<std::size_t>(file->data.data() - request.body.data());
        body.replace(at, file->data.size(), rewritten);
        wanted = x.state->table.offer(plan.offer).cloud.view();
    }
    ENTREPOT_CO_TRY(const std::uint32_t cloud, cloud_for(x, door.style, wanted));
    CloudCall call = kept_call(x, door, cloud, request);
    call.body = body;
    co_return co_await make_kept(x, door, call, detail, request.cancel, response);
}

Task<void> Worker::create_batch(
    Exchange& x, const KeptDoor& door, net::ServerRequest& request, net::ResponseWriter& response) {
    ENTREPOT_CO_TRY_DO(check_end_user(x));
    ENTREPOT_CO_TRY_DO(name_request(x, request));
    BatchPlan plan;
    std::string body = request.body;
    if (door.style == KeepingStyle::kAnthropic) {
        const std::string_view wanted = request.headers.find("x-entrepot-cloud").value_or("");
        ENTREPOT_CO_TRY(plan, co_await plan_batch(x, door.style, wanted, request.body, body));
    } else {
        ENTREPOT_CO_TRY(const json::Document document, json::Document::parse(request.body));
        const std::string id(document.root()["input_file_id"].string());
        ENTREPOT_CO_TRY(const std::optional<Kept> file, co_await find_own(x, KeptKind::kFile, id));
        if (!file)
            co_return fail_field(ErrorCode::kNotFound, "input_file_id",
                fmt::format("'input_file_id': there is no file '{}', or this key did not make it",
                    excerpt(id)));
        ENTREPOT_CO_TRY(plan, plan_of(*file, x, core_.wall()));
    }
    x.model = plan.model;
    const OfferState& offer = x.state->offers[plan.offer];
    if (x.key->has_budget && !plan.unbounded.empty())
        co_return fail_field(ErrorCode::kUnbounded, "input_file_id",
            fmt::format(
                "nothing bounds what this batch may cost, and the key is under a budget; {}",
                plan.unbounded));
    routing::Attempt step;
    step.offer = plan.offer;
    step.is_bounded = plan.unbounded.empty();
    step.hold = plan.hold;
    x.attempt.tier = catalog::Tier::kBatch;
    CloudCall call = kept_call(x, door, offer.cloud, request);
    call.body = body;
    ENTREPOT_CO_TRY_DO(co_await hold(x, step, request.cancel));
    x.phase = ledger::Phase::kFirstByte;
    Result<net::ClientExchange> upstream = co_await call_cloud(x, call, request.cancel);
    if (!upstream || upstream->status() >= 300) {
        std::optional<ErrorCode> unsent;
        if (!upstream) unsent = upstream.error().code;
        // Silence after sending: it may have been started, and nobody knows its name.
        if (!upstream && x.attempt.report.sent)
            co_await settle_lost(x);
        else
            co_await release(x, unsent);
        if (!upstream) co_return std::unexpected(upstream.error());
        co_return co_await refuse_kept(x, offer.cloud, *upstream, response);
    }
    x.attempt.upstream_status = static_cast<std::uint16_t>(upstream->status());
    const Result<std::string> reply = co_await upstream->read_whole_body(kKeptBytesMax);
    const auto document = json::Document::parse(reply ? *reply : "");
    Kept thing = made_by(*x.principal, core_.wall());
    if (document) thing.id = document->root()["id"].string();
    thing.kind = KeptKind::kBatch;
    thing.expires = thing.made + kBatchLife;
    const bool is_deferred = !thing.id.empty() && co_await defer_as(x, thing, plan.dialect);
    if (!is_deferred) co_await settle_lost(x);
    if (!reply) co_return std::unexpected(reply.error());
    co_return co_await relay_raw(x, *upstream, response, *reply);
}

Co<void> Worker::settle_lost(Exchange& x) {
    if (!x.attempt.is_open) co_return;
    const ledger::Phase phase = std::exchange(x.phase, ledger::Phase::kSettle);
    x.attempt.is_open = false;
    ledger::SettleRequest request;
    request.at = wall_now();
    request.upstream_status = x.attempt.upstream_status;
    request.usage = x.consumed.usage;
    request.flags = ledger::settle_flag::kEstimated;
    if (x.consumed.is_client_gone) request.flags |= ledger::settle_flag::kClientGone;
    if (x.attempt.is_bounded)
        request.cost = request.list_cost = x.attempt.hold;
    else
        request.flags |= ledger::settle_flag::kUnpriced;
    x.is_estimated = true;
    x.is_cost_known = false;
    x.cost += request.cost;
    const auto work = [&](store::Books& books) {
        return books.settle(x.id, x.attempt.number, request);
    };
    const Result<ledger::Posting> posting = co_await books_.call(core_, work);
    settled(x, posting);
    x.phase = phase;
}

Task<void> Worker::note_results(const Kept& batch, std::string_view body) {
    const auto document = json::Document::parse(std::string(body));
    if (!document) co_return Status{};
    for (const std::string_view field : {"output_file_id", "error_file_id"}) {
        Kept file = batch;
        file.id = document->root()[field].string();
        if (file.id.empty()) continue;
        file.kind = KeptKind::kFile;
        file.exchange.clear();
        file.detail.clear();
        file.made = core_.wall();
        file.expires = file.made + kBatchLife;
        const auto look = [&file](store::KeptStore& store) { return store.find(file.id); };
        ENTREPOT_CO_TRY(const std::vector<Kept> known, co_await kept_.call(core_, look));
        if (std::ranges::find(known, file.cloud, &Kept::cloud) != known.end()) continue;
        const auto put = [&file](store::KeptStore& store) { return store.put(file); };
        ENTREPOT_CO_TRY_DO(co_await kept_.call(core_, put));
    }
    co_return Status{};
}

Co<bool> Worker::take_batch(
    Exchange& x, const Kept& thing, std::uint32_t cloud, std::string_view body, Cancel* cancel) {
    const Result<void> noted = co_await note_results(thing, body);
    if (!noted) co_return false;
    const auto document = json::Document::parse(std::string(body));
    if (!document || document->root()["id"].string() != thing.id) co_return false;
    const json::Value& root = document->root();
    const upstream::Keeping keeping = x.state->clouds[cloud].supplier->keeping();
    std::string results;
    if (keeping.style == KeepingStyle::kAnthropic) {
        if (root["processing_status"].string() != "ended") co_return false;
        results = fmt::format("/messages/batches/{}/results", thing.id);
    } else {
        constexpr std::array<std::string_view, 4> kEnds{
            "completed", "failed", "expired", "cancelled"};
        if (std::ranges::find(kEnds, root["status"].string()) == kEnds.end()) co_return false;
        const std::string_view file = root["output_file_id"].string();
        if (!file.empty()) results = fmt::format("/files/{}/content", file);
    }
    BatchTally tally;
    if (!results.empty()) {
        const Result<BatchTally> counted = co_await count_results(x, thing, cloud, results, cancel);
        if (!counted) {
            metrics_.alarm(
                thing.cloud, "a batch's results cannot be read yet: " + counted.error().message);
            co_return false;
        }
        tally = *counted;
    }
    Consumption consumed;
    consumed.usage = tally.usage;
    consumed.is_reported = true;
    co_return co_await end_deferred(thing, &consumed, &tally);
}

Task<BatchTally> Worker::count_results(
    Exchange& x, const Kept& thing, std::uint32_t cloud, std::string_view path, Cancel* cancel) {
    ENTREPOT_CO_TRY(const Deferred deferred, read_deferred(thing.detail));
    const dialect::Dialect* dialect = dialect::find_dialect(deferred.dialect);
    if (dialect == nullptr) co_return fail(ErrorCode::kIo, "kept.db: a batch of no known dialect");
    const auto offer = std::ranges::find(x.state->offers, deferred.offer, &OfferState::name);
    const pricing::RateCard* card = offer == x.state->offers.end()
        ? nullptr
        : x.state->table.offer(static_cast<std::uint32_t>(offer - x.state->offers.begin()))
              .card.get();
    pricing::PriceOptions options;
    options.tier = deferred.tier;
    // Volume steps as they stand now; what the batch itself adds goes on from answer to answer.
    const auto look = [&](store::Books& books) {
        const auto at_steps = books_.volumes().running(*x.state, books, deferred.dispatch);
        return at_steps ? std::vector<Int128>(at_steps->begin(), at_steps->end())
                        : std::vector<Int128>();
    };
    std::vector<Int128> running = co_await books_.call(core_, look);
    options.running = running;
    BatchTally tally;
    tally.is_priced = card != nullptr;
    const auto take = [&](std::string_view line) -> Status {
        ENTREPOT_TRY(const BatchAnswer answer, read_batch_answer(line, *dialect));
        if (!answer.has_answer) return {};
        tally.is_reported = tally.is_reported && answer.is_reported;
        tally.usage = tally.usage + answer.usage;
        if (card == nullptr) return {};
        const auto charge = pricing::price(answer.usage, *card, options, deferred.dispatch);
        if (charge && charge->is_known) {
            tally.cost += charge->total;
            tally.list_cost += charge->is_list_known ? charge->list_total : charge->total;
            add_lines(tally.lines, *charge);
            for (const pricing::ChargeLine& priced : charge->lines())
                if (priced.is_stepped && priced.counter < running.size())
                    running[priced.counter] += priced.counted();
            const std::int64_t band = charge->ctx_over;
            tally.ctx_over = tally.ctx_over.value_or(band) == band ? band : 0;
        } else {
            tally.is_priced = false;
        }
        return {};
    };
    CloudCall call = plain_call(x, cloud, *dialect, path);
    ENTREPOT_CO_TRY(net::ClientExchange upstream, co_await call_cloud(x, call, cancel));
    if (upstream.status() != 200)
        co_return fail(ErrorCode::kUpstreamError, fmt::format("status {}", upstream.status()));
    Lines lines(kResultLineBytesMax);
    const std::function<Status(std::string_view)> taken = take;
    while (!upstream.body_ended()) {
        ENTREPOT_CO_TRY(const std::string_view piece, co_await upstream.read_body());
        ENTREPOT_CO_TRY_DO(lines.feed(piece, taken));
    }
    ENTREPOT_CO_TRY_DO(lines.finish(taken));
    co_return tally;
}

}  // namespace entrepot::gateway
