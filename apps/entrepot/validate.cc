// validate: every problem of a configuration, with its place and what to do about it.

#include <fmt/format.h>

#include <algorithm>

#include "command.h"
#include "config/load.h"
#include "gateway/state.h"

namespace entrepot::cli {
namespace {

using config::Problem;

/// Whether some step of the contracts, at some time, takes more than the list's price.
bool has_step_above_list(const routing::Offer& offer) {
    if (offer.card == nullptr) return false;
    const Ratio& list = offer.card->factor();
    return std::ranges::any_of(offer.card->epochs(), [&](const auto& epoch) {
        return std::ranges::any_of(epoch.ladders, [&](const auto& ladder) {
            return std::ranges::any_of(ladder.numerators, [&](std::int64_t numerator) {
                return static_cast<Int128>(numerator) * list.denominator >
                    static_cast<Int128>(list.numerator) * ladder.denominator;
            });
        });
    });
}

/// What is valid and still no good: prices and sizes that neither the file nor the catalogue knows.
void warn_of_offer(const config::Settings& settings, const config::OfferSettings& offer,
    const routing::Offer& compiled, std::vector<Problem>& problems) {
    const auto warn = [&](std::string cause, std::string remedy) {
        problems.push_back({Problem::Severity::kWarning, settings.file, offer.at,
            fmt::format("models.{}.offers.{}", compiled.model.view(), offer.name), std::move(cause),
            std::move(remedy)});
    };
    if (compiled.card == nullptr || !compiled.card->has_prices()) {
        warn(fmt::format("no price is known{}{}", compiled.price_note.empty() ? "" : ": ",
                 compiled.price_note),
            "add price: {input: \"...\", output: \"...\"} or catalog: author/model; until then the "
            "offer is refused to keys under a budget, and what it costs is not known");
    } else if (compiled.is_price_approximate) {
        warn(fmt::format("the list price is that of {}", compiled.price_note),
            "add price: {...} or catalog: with the offer's id if yours differs");
    }
    if (has_step_above_list(compiled))
        warn("a volume step of its contract costs more than the list",
            "a step's price falls with what is bought; check the steps against the contract");
    if (compiled.limits.output_tokens_max == 0)
        warn("how much one answer can hold is not known",
            "add max_output_tokens: N; until then a request without max_tokens has no bound here "
            "and is refused to keys under a budget");
    if (compiled.limits.context_tokens == 0)
        warn("how large its context is is not known",
            "add context_tokens: N; until then only the request's own size bounds what it may "
            "cost, "
            "and on_unbounded: clamp has nothing to clamp by");
}

void add_offer_warnings(const config::Settings& settings, std::vector<Problem>& problems) {
    const auto table = gateway::compile_offers(settings);
    if (!table) {
        problems.push_back(
            {Problem::Severity::kError, settings.file, {1, 1}, "", table.error().message, {}});
        return;
    }
    for (const config::ModelSettings& model : settings.models)
        for (const std::uint32_t index : table->of_model(model.id.view())) {
            const routing::Offer& compiled = table->offer(index);
            const auto offer =
                std::ranges::find(model.offers, compiled.id, &config::OfferSettings::id);
            if (offer != model.offers.end()) warn_of_offer(settings, *offer, compiled, problems);
        }
    std::ranges::stable_sort(problems, [](const Problem& a, const Problem& b) {
        return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
    });
}

int run_validate(const Arguments& arguments) {
    if (arguments.has("--reference"))
        return write_output(config::reference_markdown()) ? kOk : kFailed;
    if (!arguments.has("FILE")) {
        fmt::print(stderr, "entrepot: name the FILE to be checked\n");
        return kUsage;
    }
    config::Loaded loaded = config::load_file(std::string(arguments.get("FILE")));
    if (loaded.ok()) add_offer_warnings(*loaded.settings, loaded.problems);
    if (arguments.has("--json")) {
        write_output(config::problems_json(loaded.problems) + "\n");
    } else {
        write_output(config::format_problems(loaded.problems));
    }
    std::size_t errors = 0;
    for (const auto& problem : loaded.problems)
        errors += problem.severity == config::Problem::Severity::kError ? 1 : 0;
    const std::size_t warnings = loaded.problems.size() - errors;
    if (errors == 0) {
        fmt::print(stderr, "valid: {} clouds, {} models, {} keys{}\n",
            loaded.settings->clouds.size(), loaded.settings->models.size(),
            loaded.settings->keys.size(),
            warnings == 0 ? "" : fmt::format("; {} warnings", warnings));
        return kOk;
    }
    fmt::print(stderr, "not valid: {} errors, {} warnings\n", errors, warnings);
    return kBadConfiguration;
}

}  // namespace

std::vector<Command> config_commands() {
    return {
        {"validate", "Every problem of a configuration file, with line, column, cause and remedy.",
            {{"FILE", "", "The configuration."}, {"--json", "", "Problems as JSON."},
                {"--reference", "", "Print the reference of every key instead."}},
            run_validate}};
}

}  // namespace entrepot::cli
