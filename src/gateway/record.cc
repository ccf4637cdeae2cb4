// The headers of the answer, and what is written down when it is over.
#include <fmt/format.h>

#include "dialect/registry.h"
#include "gateway/cors.h"
#include "gateway/worker.h"

namespace entrepot::gateway {

void Worker::append_headers(const Exchange& x, bool with_cost, std::string& lines) const {
    lines.reserve(lines.size() + 256);  // one growth for all of them
    char id[36];
    x.id.write(id);
    const std::string_view id_text(id, sizeof id);
    lines += "x-entrepot-exchange: ";
    lines += id_text;
    lines += "\r\n";
    lines += x.client->request_id_header;
    lines += ": ";
    lines += id_text;
    lines += "\r\n";
    if (x.named != nullptr && x.named->earlier)
        lines += fmt::format("x-entrepot-original-exchange: {}\r\n", x.named->earlier->to_string());
    if (!x.origin.empty()) append_origin(x.origin, lines);
    if (x.principal != nullptr && x.principal->policy.expose_offer) {
        if (x.attempts_made > 0) {
            lines += "x-entrepot-offer: ";
            lines += x.state->offers[x.attempt.offer].name;
            lines += "\r\n";
        }
        lines += "x-entrepot-attempts: ";
        const fmt::format_int attempts(x.attempts_made);
        lines.append(attempts.data(), attempts.size());
        lines += "\r\n";
    }
    if (with_cost && x.principal != nullptr && x.principal->policy.expose_cost && x.is_cost_known) {
        lines += "x-entrepot-cost: ";
        lines += x.cost.to_decimal();
        lines += ' ';
        lines += x.state->settings.currency.code();
        lines += "\r\n";
    }
    if (!x.dropped.empty()) {
        net::HeaderLines dropped;  // client-made names: nothing of them may end the line
        dropped.add("x-entrepot-dropped", fmt::format("{}", fmt::join(x.dropped, ", ")));
        lines += dropped.text();
    }
}

ledger::ExchangeClose Worker::close_of(const Exchange& x) const {
    const MonotonicTime now = monotonic_now();
    ledger::ExchangeClose facts;
    facts.exchange = x.id;
    facts.at = wall_now();
    if (x.key != nullptr) facts.spender = x.key->spender;
    // The hold has those that the client set; the books take them from there.
    if (x.attribution != nullptr && x.attempts_made > 0) facts.spender.tags = ledger::NameId::kNone;
    if (x.attempts_made > 0) facts.route = x.state->offers[x.attempt.offer].route;
    if (x.own_route) facts.route = *x.own_route;
    facts.dialect = x.state->dialect_names[dialect::index_of(*x.client)];
    facts.status = x.status;
    facts.ended_by = x.ended_by;
    facts.phase = x.phase;
    facts.attempts = x.own_route ? 1 : x.attempts_made;
    if (x.error) facts.error = static_cast<std::uint8_t>(1 + static_cast<unsigned>(*x.error));
    facts.streamed = x.is_stream;
    if (x.first_byte.ns != 0)
        facts.ttft_us = static_cast<std::uint64_t>((x.first_byte - x.began).count() / 1000);
    facts.duration_us = static_cast<std::uint64_t>((now - x.began).count() / 1000);
    return facts;
}

bool Worker::record_here(const Exchange& x, std::string_view peer) {
    // Unauthenticated requests are not written to the books: anybody could fill them.
    if (x.is_admitted || (x.key != nullptr && !books_.is_local(core_))) return false;
    const ledger::ExchangeClose facts = close_of(x);
    Status closed;
    // An attempt that goes on closes its exchange when it ends.
    if (x.key != nullptr && !x.is_deferred) closed = books_.local().close(facts);
    recorded(x, facts, closed, peer);
    return true;
}

Co<void> Worker::record(const Exchange& x, std::string_view peer) {
    const ledger::ExchangeClose facts = close_of(x);
    const auto close = [&](store::Books& books) {
        if (x.is_admitted) {
            const std::int64_t used =
                x.consumed.usage.prompt_tokens() + x.consumed.usage.answer_tokens();
            limiters_.finish(*x.principal, x.tokens_admitted, used, monotonic_now());
        }
        return x.is_deferred ? Status{} : books.close(facts);
    };
    const Status closed = co_await books_.call(core_, close);
    recorded(x, facts, closed, peer);
}

void Worker::recorded(const Exchange& x, const ledger::ExchangeClose& facts, const Status& closed,
    std::string_view peer) {
    if (!closed)
        metrics_.alarm(
            x.model, "the end of an exchange could not be recorded: " + closed.error().message);
    metrics_.exchange_ended(x, facts);
    if (access_log_ == nullptr) return;
    telemetry::AccessRecord line = line_of(x, facts);
    line.peer = peer;
    if (x.principal != nullptr) {
        line.key = x.principal->key.view();
        line.team = x.principal->team.view();
        line.org = x.principal->org.view();
    }
    const std::string cost = x.cost.to_decimal();
    if (x.is_cost_known) line.cost = cost;
    access_log_->write(core_.index(), line);
}

// The line of the request itself had no cost: it was not known then.
void Worker::recorded_late(
    const Exchange& x, const ledger::ExchangeClose& facts, const store::Kept& thing) {
    metrics_.deferred_ended(x);
    if (access_log_ == nullptr) return;
    telemetry::AccessRecord line = line_of(x, facts);
    line.key = thing.key;
    line.team = thing.team;
    line.org = thing.org;
    line.attempts = facts.attempts;
    const std::string cost = x.cost.to_decimal();
    if (x.is_cost_known) line.cost = cost;
    access_log_->write(core_.index(), line);
}

telemetry::AccessRecord Worker::line_of(const Exchange& x, const ledger::ExchangeClose& facts) {
    telemetry::AccessRecord line;
    line.at = x.began_wall;
    line.exchange = x.id;
    line.dialect = x.client->name;
    line.model = x.model;
    if (x.attempts_made > 0) line.offer = x.state->offers[x.attempt.offer].name;
    line.status = x.status;
    line.attempts = x.attempts_made;
    line.is_stream = x.is_stream;
    if (x.first_byte.ns != 0)
        line.ttft = std::chrono::duration_cast<milliseconds>(x.first_byte - x.began);
    line.duration =
        std::chrono::duration_cast<milliseconds>(std::chrono::microseconds(facts.duration_us));
    line.usage = x.consumed.usage;
    line.currency = x.state->settings.currency.code();
    line.is_estimated = x.is_estimated;
    line.ended_by = ledger::ended_by_name(x.ended_by);
    line.phase = ledger::phase_name(x.phase);
    if (x.error) line.error = error_code_name(*x.error);
    line.cause = x.error_cause;
    return line;
}

}  // namespace entrepot::gateway
