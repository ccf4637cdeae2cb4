// explain: where a request would go, offer by offer, and why.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "base/text.h"
#include "command.h"
#include "control/stored_keys.h"
#include "gateway/plan.h"
#include "gateway/state.h"
#include "routing/explain.h"
#include "routing/plan.h"
#include "target.h"

namespace entrepot::cli {
namespace {

Result<std::int64_t> tokens(const Arguments& arguments, std::string_view option) {
    const std::string_view text = arguments.get(option);
    std::int64_t value = -1;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || end != text.data() + text.size() || value < 0)
        return fail(ErrorCode::kInvalidField,
            fmt::format("{} takes a number of tokens, '{}' is none", option, excerpt(text)));
    return value;
}

/// A question to the router, with what its views point to.
struct Question {
    dialect::openai_chat::RequestFacts request;
    std::string model;
    routing::RequestFacts facts;
    routing::Reach reach;
};

Status from_numbers(const Arguments& arguments, Question& question) {
    question.model = arguments.get("--model");
    ENTREPOT_TRY(const std::int64_t in, tokens(arguments, "--in"));
    ENTREPOT_TRY(const std::int64_t out, tokens(arguments, "--out"));
    // Four bytes a token is what English text comes to; the hold is bounded by bytes.
    question.facts.shape.prompt_bytes = in * 4;
    question.facts.shape.messages = 1;
    question.facts.shape.output_cap = out;
    question.facts.prompt_tokens_estimate = in;
    return {};
}

Status from_request(std::string_view body, Question& question) {
    ENTREPOT_TRY_DO(dialect::openai_chat::inspect(body, question.request));
    question.model = question.request.model;
    question.facts = gateway::routing_facts(question.request);
    return {};
}

/// Whether the key, its team or its org is under a budget: without one nothing needs to be held.
bool has_budget(const config::Settings& settings, std::span<const config::KeySettings> stored,
    const auth::Principal& principal) {
    const auto* team = settings.find_team(principal.team.view());
    const auto* org = settings.find_org(principal.org.view());
    if ((team != nullptr && !team->budgets.empty()) || (org != nullptr && !org->budgets.empty()))
        return true;
    const auto is_it = [&](const config::KeySettings& key) { return key.id == principal.key; };
    const auto filed = std::ranges::find_if(settings.keys, is_it);
    if (filed != settings.keys.end()) return !filed->budgets.empty();
    const auto kept = std::ranges::find_if(stored, is_it);
    return kept != stored.end() && !kept->budgets.empty();
}

Status restrict_to_key(const Arguments& arguments, const Target& target, Question& question) {
    if (!arguments.has("--key")) return {};
    const KeyId key{arguments.get("--key")};
    std::vector<config::KeySettings> stored;
    if (std::filesystem::is_directory(target.data) &&
        target.settings.find_key(key.view()) == nullptr) {
        ENTREPOT_TRY(const auto store, store::SettingsStore::open(target.data));
        ENTREPOT_TRY(stored, control::load_stored_keys(*store, target.settings));
    }
    ENTREPOT_TRY(const auto keys, gateway::compile_keys(target.settings, stored));
    const auth::Principal* principal = keys->find(key);
    if (principal == nullptr)
        return fail(ErrorCode::kNotFound, fmt::format("there is no key '{}'", excerpt(key.view())));
    if (!principal->scope.allows_model(question.model))
        return fail(ErrorCode::kForbidden,
            fmt::format("the key '{}' may not ask for '{}'", key.view(), question.model));
    question.reach = gateway::reach_of(*principal);
    question.facts.reach = &question.reach;
    question.facts.needs_bound = has_budget(target.settings, stored, *principal);
    if (principal->policy.on_unbounded == auth::OnUnbounded::kClamp)
        question.facts.on_unbounded = routing::OnUnbounded::kClamp;
    return {};
}

int run_explain(const Arguments& arguments) {
    const bool by_numbers =
        arguments.has("--model") && arguments.has("--in") && arguments.has("--out");
    if (by_numbers == arguments.has("--request")) {
        fmt::print(
            stderr, "entrepot: give either --model, --in and --out, or --request FILE; not both\n");
        return kUsage;
    }
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto table = gateway::compile_offers(target->settings);
    if (!table) return report(table.error());
    Question question;
    std::string body;
    if (by_numbers) {
        if (const Status asked = from_numbers(arguments, question); !asked)
            return report(asked.error());
    } else {
        auto input = read_input(arguments.get("--request"));
        if (!input) return report(input.error());
        body = std::move(*input);
        body.reserve(body.size() + 64);  // the scanner reads beyond the end
        if (const Status asked = from_request(body, question); !asked)
            return report_input(asked.error());
    }
    if (const Status allowed = restrict_to_key(arguments, *target, question); !allowed)
        return report(allowed.error());
    question.facts.model = question.model;
    const routing::Now now{wall_now(), monotonic_now()};
    const auto plan = routing::survey(question.facts, *table, routing::Memory{}, now);
    if (!plan) return report_input(plan.error());
    write_output(arguments.has("--json") ? routing::explain_json(*plan, *table, now) + "\n"
                                         : routing::explain_text(*plan, *table, now));
    return plan->attempts.empty() ? kFailed : kOk;
}

}  // namespace

std::vector<Command> explain_commands() {
    return {{"explain", "Where a request would go, offer by offer: price, hold, reason.",
        target_options({{"--model", "MODEL", "What is asked for."},
            {"--in", "N", "Tokens of the prompt."}, {"--out", "N", "The answer's cap in tokens."},
            {"--request", "FILE", "A Chat Completions request instead; - is stdin."},
            {"--key", "NAME", "As this key."}, {"--json", "", "As JSON."}}),
        run_explain}};
}

}  // namespace entrepot::cli
