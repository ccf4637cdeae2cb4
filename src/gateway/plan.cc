// Where the request may go: offers in the order of what it will probably cost there.
#include <fmt/format.h>

#include <functional>

#include "gateway/kept.h"
#include "gateway/plan.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

using routing::Feature;

routing::Features needs_of(const canon::RequestFacts& facts) {
    unsigned needs = 0;
    const auto need = [&](bool wanted, Feature feature) {
        if (wanted) needs |= static_cast<unsigned>(feature);
    };
    need(facts.needs_tools(), Feature::kTools);
    need(facts.needs_images(), Feature::kImages);
    need(facts.audio_parts != 0, Feature::kAudioIn);
    need(facts.needs_audio_output, Feature::kAudioOut);
    need(facts.needs_documents(), Feature::kDocuments);
    need(facts.needs_structured_output(), Feature::kStructuredOutput);
    // What offers say of these is of conversations.
    const bool converses = facts.task == canon::Task::kConverse;
    need(converses && facts.needs_logprobs, Feature::kLogprobs);
    need(converses && facts.choices > 1, Feature::kChoices);
    return static_cast<routing::Features>(needs);
}

routing::RequestShape shape_of(const canon::RequestFacts& facts) {
    routing::RequestShape shape;
    // A document's bytes are counted as text on top of what its pages may become.
    shape.prompt_bytes = facts.prompt_bytes + facts.document_data_bytes;
    shape.messages = static_cast<std::int32_t>(facts.messages);
    shape.prompts = static_cast<std::int32_t>(facts.prompts);
    // A long recording is heard in pieces, each in a window of its own.
    shape.fits_or_fails =
        facts.task != canon::Task::kEmbed && facts.task != canon::Task::kTranscribe;
    shape.tools = static_cast<std::int32_t>(facts.tools);
    shape.images = static_cast<std::int32_t>(facts.images);
    // A second of the most compressed speech is about 1 kB; the base64 of it about 1.3 kB.
    shape.audio_seconds_max = facts.audio_data_bytes / 1000;
    if (facts.pieces.audio_seconds_max > 0)
        shape.audio_seconds_max = facts.pieces.audio_seconds_max;
    shape.is_piecework = canon::is_piecework(facts.task);
    shape.images_made = facts.pieces.images;
    shape.partial_images = facts.pieces.partial_images;
    shape.characters = facts.pieces.characters;
    shape.searches_max = facts.pieces.searches;
    shape.output_cap = facts.output_cap;
    shape.choices = facts.choices;
    shape.has_file_id = facts.file_ids != 0;
    shape.has_unknown_part = facts.unknown_parts != 0;
    shape.has_stored_state = !facts.stateful_field.empty();
    shape.has_documents = facts.documents != 0;
    shape.may_answer_audio = facts.needs_audio_output;
    if (!facts.service_tier.empty())
        if (const auto tier = catalog::parse_tier(facts.service_tier))
            shape.tiers |= pricing::Bounds::tier_bit(*tier);
    return shape;
}

}  // namespace

routing::RequestFacts routing_facts(const canon::RequestFacts& facts) {
    routing::RequestFacts request;
    request.model = facts.model;
    request.task = facts.task;
    request.prompt_tokens_estimate = facts.prompt_tokens;
    request.shape = shape_of(facts);
    request.prefix_hash = facts.parent_hash != 0 ? facts.parent_hash : facts.opening_hash;
    request.needs = needs_of(facts);
    return request;
}

Status Worker::plan(Exchange& x) {
    x.phase = ledger::Phase::kPlan;
    const canon::RequestFacts& facts = x.bench->facts;
    x.prompt_hash = facts.prompt_hash;
    x.length_key = std::hash<std::string_view>()(x.model) * 31 + x.principal->index;

    routing::RequestFacts request = routing_facts(facts);
    request.length_key = x.length_key;
    request.on_unbounded = x.principal->policy.on_unbounded == auth::OnUnbounded::kClamp
        ? routing::OnUnbounded::kClamp
        : routing::OnUnbounded::kRefuse;
    request.needs_bound = x.key->has_budget;
    request.reach = x.kept != nullptr && !x.kept->cloud.empty() ? &x.kept->reach : &x.key->reach;

    const routing::Memory memory{&x.core->health, &lengths_, &caches_};
    const routing::Now now{x.began_wall, core_.now()};
    ENTREPOT_TRY(x.bench->plan, routing::make_plan(request, x.state->table, memory, now));
    // What the reply says of its tier decides; asking for a cheaper one is no proof of it.
    if (facts.service_tier == "priority") x.attempt.tier = catalog::Tier::kPriority;
    return {};
}

}  // namespace entrepot::gateway
