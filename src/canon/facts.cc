#include "canon/facts.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/xxhash.h"

namespace entrepot::canon {
namespace {

/// One running hash over a conversation, read at its boundaries.
class PromptHash {
public:
    PromptHash() { XXH3_64bits_reset(&state_); }
    void add(std::string_view text) {
        // The length keeps two neighbours from trading bytes.
        const std::uint64_t size = text.size();
        XXH3_64bits_update(&state_, &size, sizeof size);
        XXH3_64bits_update(&state_, text.data(), text.size());
        bytes_ += text.size();
    }
    void add(std::uint64_t number) { XXH3_64bits_update(&state_, &number, sizeof number); }
    [[nodiscard]] std::uint64_t digest() const {
        return bytes_ < kCachedPrefixBytesMin ? 0 : XXH3_64bits_digest(&state_);
    }

private:
    XXH3_state_t state_;
    std::size_t bytes_ = 0;
};

/// A tool of the supplier's own making which the client runs all the same: a call of it costs what
/// any call does.
bool is_run_by_client(std::string_view kind) {
    constexpr std::array<std::string_view, 9> kKinds{"namespace", "bash", "text_editor", "computer",
        "memory", "local_shell", "shell", "apply_patch", "custom"};
    return std::ranges::any_of(kKinds, [&](std::string_view name) {
        return kind == name || (kind.starts_with(name) && kind[name.size()] == '_');
    });
}

bool is_instruction(const Item& item) {
    return item.role == Role::kSystem || item.role == Role::kDeveloper;
}

void hash_item(const Item& item, PromptHash& hash) {
    hash.add(static_cast<std::uint64_t>(item.role) << 8 | item.body.index());
    if (const auto* text = std::get_if<Text>(&item.body)) {
        hash.add(text->text);
    } else if (const auto* refusal = std::get_if<Refusal>(&item.body)) {
        hash.add(refusal->text);
    } else if (const auto* media = std::get_if<Media>(&item.body)) {
        hash.add(media->data);
    } else if (const auto* call = std::get_if<ToolCall>(&item.body)) {
        hash.add(call->name);
        hash.add(call->arguments);
    } else if (const auto* result = std::get_if<ToolResult>(&item.body)) {
        for (const Item& part : result->content) hash_item(part, hash);
    } else if (const auto* thought = std::get_if<Thought>(&item.body)) {
        hash.add(thought->text);
    } else if (const auto* opaque = std::get_if<Opaque>(&item.body)) {
        hash.add(opaque->json);
    }
}

void count_media(const Media& media, RequestFacts& facts) {
    const auto bytes = static_cast<std::int64_t>(media.data.size());
    const bool is_here =
        media.source == Media::Source::kBase64 || media.source == Media::Source::kText;
    const bool is_encoded = media.source == Media::Source::kBase64;
    if (is_encoded) facts.prompt_bytes -= bytes;
    switch (media.kind) {
        case Media::Kind::kImage:
            ++facts.images;  // one has a maximum, wherever it comes from
            if (is_encoded) facts.image_data_bytes += bytes;
            return;
        case Media::Kind::kAudio:
            ++facts.audio_parts;
            if (is_encoded) facts.audio_data_bytes += bytes;
            if (!is_here) ++facts.file_ids;
            return;
        case Media::Kind::kDocument:
            if (!is_here) {
                ++facts.file_ids;
                return;
            }
            if (is_encoded) {
                ++facts.documents;
                facts.document_data_bytes += bytes;
            }
            return;
        case Media::Kind::kVideo: ++facts.unknown_parts; return;
    }
}

void count_item(const Item& item, RequestFacts& facts) {
    if (const auto* media = std::get_if<Media>(&item.body)) {
        count_media(*media, facts);
    } else if (const auto* result = std::get_if<ToolResult>(&item.body)) {
        for (const Item& part : result->content) count_item(part, facts);
    } else if (const auto* opaque = std::get_if<Opaque>(&item.body)) {
        ++facts.unknown_parts;
        if (opaque->kind == "item_reference") facts.stateful_field = "input";
    }
}

void count_embed(const Embed& embed, RequestFacts& facts) {
    facts.output_cap = 0;  // vectors are not billed
    facts.prompts = static_cast<std::uint32_t>(embed.inputs.size());
    facts.messages = facts.prompts;
    for (const EmbedInput& input : embed.inputs) {
        facts.prompt_tokens += static_cast<std::int64_t>(input.tokens.size());
        for (const auto& part : input.parts)
            if (const auto* media = std::get_if<Media>(&part)) count_media(*media, facts);
    }
    // A token counts as the byte that it is in the bound.
    if (facts.prompt_tokens > 0) facts.prompt_bytes = facts.prompt_tokens;
}

void count_pieces(const Piecework& pieces, RequestFacts& facts) {
    constexpr std::int64_t kMax = 1'000'000;
    facts.pieces = pieces;
    // A token counts as the byte that it is in the bound.
    facts.prompt_tokens = pieces.prompt_tokens;
    facts.prompt_bytes = pieces.prompt_bytes + pieces.prompt_tokens;
    facts.prompts = static_cast<std::uint32_t>(std::clamp(pieces.prompts, std::int64_t{1}, kMax));
    facts.images = static_cast<std::uint32_t>(std::min(pieces.images_in, kMax));
    facts.file_ids = static_cast<std::uint32_t>(std::min(pieces.file_ids, kMax));
}

}  // namespace

void RequestFacts::clear() {
    RequestFacts empty;
    // Keep what the strings have grown to.
    empty.model.swap(model);
    empty.user.swap(user);
    empty.service_tier.swap(service_tier);
    empty.prompt_cache_key.swap(prompt_cache_key);
    *this = std::move(empty);
    model.clear();
    user.clear();
    service_tier.clear();
    prompt_cache_key.clear();
}

bool is_open_ended(const Tool& tool) { return tool.server && !is_run_by_client(tool.server->kind); }

void read_facts(const Request& request, std::size_t body_bytes,
    std::span<const std::string_view> stateful, RequestFacts& facts) {
    facts.clear();
    facts.task = request.task;
    facts.model = request.model;
    facts.user = request.user;
    facts.service_tier = request.service_tier;
    facts.prompt_cache_key = request.prompt_cache_key;
    facts.is_stream = request.is_stream;
    facts.wants_stream_usage = request.wants_usage;
    facts.output_cap = request.output_tokens_max;
    facts.choices = request.choices.value_or(1);
    facts.prompt_bytes = static_cast<std::int64_t>(body_bytes);

    std::uint32_t turn = 0;
    for (const Item& item : request.items) {
        if (facts.messages == 0 || item.turn != turn) ++facts.messages;
        turn = item.turn;
        count_item(item, facts);
    }
    for (const Tool& tool : request.tools) {
        ++facts.tools;
        if (is_open_ended(tool)) facts.open_ended_field = "tools";
    }
    for (const Extra& extra : request.extras) {
        const std::string_view field =
            std::string_view(extra.path).substr(0, extra.path.find_first_of(".["));
        if (const auto found = std::ranges::find(stateful, field); found != stateful.end()) {
            ++facts.unknown_parts;
            facts.stateful_field = *found;
        }
    }
    if (request.format) {
        facts.needs_json_object = request.format->kind == ResponseFormat::Kind::kJsonObject;
        facts.needs_json_schema = request.format->kind == ResponseFormat::Kind::kJsonSchema;
    }
    facts.needs_logprobs = request.logprobs.value_or(false);
    facts.needs_reasoning = request.reasoning && request.reasoning->effort != "none" &&
        request.reasoning->is_enabled.value_or(true);
    facts.is_stored = request.store.value_or(false);
    if (const auto* embed = std::get_if<Embed>(&request.work)) count_embed(*embed, facts);
    if (const auto* pieces = std::get_if<Piecework>(&request.work)) count_pieces(*pieces, facts);
    // Counting runs nothing.
    if (is_free(request.task)) facts.open_ended_field = {};
}

void hash_prompt(const Request& request, RequestFacts& facts) {
    PromptHash hash;
    for (const Tool& tool : request.tools) {
        hash.add(tool.name);
        hash.add(tool.description);
        hash.add(tool.parameters);
    }
    // The last answer of the model and what led to it: where the turn before this one ended.
    std::size_t last_answer = request.items.size();
    for (std::size_t i = 0; i < request.items.size(); ++i)
        if (request.items[i].role == Role::kAssistant &&
            (i == 0 || request.items[i - 1].role != Role::kAssistant))
            last_answer = i;
    bool is_opening = true;
    for (std::size_t i = 0; i < request.items.size(); ++i) {
        const Item& item = request.items[i];
        if (is_opening && !is_instruction(item)) {
            is_opening = false;
            if (i > 0) facts.opening_hash = hash.digest();
        }
        if (i == last_answer && i > 0) facts.parent_hash = hash.digest();
        hash_item(item, hash);
    }
    facts.prompt_hash = hash.digest();
}

}  // namespace entrepot::canon
