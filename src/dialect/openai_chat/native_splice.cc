#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "dialect/openai_chat/native.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_chat {
namespace {

/// A stretch of the body that another text takes the place of; of no length: an insertion.
struct Edit {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t owned_begin = 0;
    std::uint32_t owned_size = 0;
};

constexpr std::size_t kEditsMax = 6;

/// Edits as they are found, kept in the order of the body.
class EditList {
public:
    explicit EditList(std::string& owned) : owned_(owned) {}

    void replace(Span span, std::string_view text) { add(span.begin, span.end(), text); }
    void insert(std::uint32_t at, std::string_view text) { add(at, at, text); }
    [[nodiscard]] std::size_t size() const { return count_; }
    [[nodiscard]] const Edit& operator[](std::size_t i) const { return edits_[i]; }

private:
    void add(std::uint32_t begin, std::uint32_t end, std::string_view text) {
        ENTREPOT_CHECK(count_ < kEditsMax);
        const Edit edit{begin, end, static_cast<std::uint32_t>(owned_.size()),
            static_cast<std::uint32_t>(text.size())};
        owned_ += text;
        std::size_t at = count_++;
        for (; at > 0 && edits_[at - 1].begin > begin; --at) edits_[at] = edits_[at - 1];
        edits_[at] = edit;
    }
    std::string& owned_;
    std::array<Edit, kEditsMax> edits_{};
    std::size_t count_ = 0;
};

void name_model(
    std::string_view body, const RequestFacts& facts, std::string_view id, EditList& list) {
    const std::string quoted = json::quoted(id);
    if (!facts.model_span.is_present())
        list.insert(facts.first_member.begin, fmt::format("\"model\":{},", quoted));
    else if (facts.model_span.in(body) != quoted)
        list.replace(facts.model_span, quoted);
}

void clamp_cap(const RequestFacts& facts, const Edits& edits, EditList& list) {
    const std::int64_t cap = *edits.output_tokens_max;
    const fmt::format_int digits(cap);
    const std::string_view text(digits.data(), digits.size());
    const auto clamp = [&](const std::optional<std::int64_t>& stated, Span span) {
        if (stated && *stated > cap) list.replace(span, text);
    };
    clamp(facts.max_tokens, facts.max_tokens_span);
    clamp(facts.max_completion_tokens, facts.max_completion_tokens_span);
    if (facts.output_cap) return;
    const bool is_new = edits.injects_max_completion_tokens;
    const Span null_span = is_new ? facts.max_completion_tokens_span : facts.max_tokens_span;
    if (null_span.is_present())
        list.replace(null_span, text);
    else
        list.insert(facts.first_member.begin,
            fmt::format("\"{}\":{},", is_new ? "max_completion_tokens" : "max_tokens", text));
}

/// A server that knows only `max_tokens` would not enforce a cap under the newer name.
void state_old_cap(const RequestFacts& facts, const Edits& edits, EditList& list) {
    if (!facts.max_completion_tokens || facts.max_tokens) return;
    const std::int64_t stated = *facts.max_completion_tokens;
    const fmt::format_int digits(
        edits.output_tokens_max ? std::min(stated, *edits.output_tokens_max) : stated);
    const std::string_view text(digits.data(), digits.size());
    if (facts.max_tokens_span.is_present())
        list.replace(facts.max_tokens_span, text);
    else
        list.insert(facts.first_member.begin, fmt::format("\"max_tokens\":{},", text));
}

void ask_usage(const RequestFacts& facts, EditList& list) {
    if (!facts.is_stream || facts.wants_stream_usage) return;
    const Span options = facts.stream_options_span;
    if (!options.is_present()) {
        list.insert(facts.first_member.begin, "\"stream_options\":{\"include_usage\":true},");
    } else if (facts.include_usage_span.is_present()) {
        list.replace(facts.include_usage_span, "true");
    } else if (facts.has_stream_options_members) {
        list.insert(options.begin + 1, "\"include_usage\":true,");
    } else {  // null or an empty object
        list.replace(options, "{\"include_usage\":true}");
    }
}

}  // namespace

std::string_view Splice::segment(std::size_t i) const {
    const Piece& piece = pieces_[i];
    return (piece.is_owned ? std::string_view(owned_) : body_).substr(piece.begin, piece.size);
}

void Splice::append_to(std::string& out) const {
    out.reserve(out.size() + bytes_);
    for (std::size_t i = 0; i < count_; ++i) out += segment(i);
}

void splice(std::string_view body, const RequestFacts& facts, const Edits& edits, Splice& out) {
    out.body_ = body;
    out.owned_.clear();
    out.count_ = 0;
    out.bytes_ = 0;
    EditList list(out.owned_);
    if (!edits.model_id.empty()) name_model(body, facts, edits.model_id, list);
    if (edits.output_tokens_max) clamp_cap(facts, edits, list);
    if (!edits.injects_max_completion_tokens) state_old_cap(facts, edits, list);
    if (edits.asks_stream_usage) ask_usage(facts, list);

    const auto put = [&](std::uint32_t begin, std::uint32_t size, bool is_owned) {
        if (size == 0) return;
        out.pieces_[out.count_++] = {begin, size, is_owned};
        out.bytes_ += size;
    };
    std::uint32_t at = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
        const Edit& edit = list[i];
        put(at, edit.begin - at, false);
        put(edit.owned_begin, edit.owned_size, true);
        at = edit.end;
    }
    put(at, static_cast<std::uint32_t>(body.size()) - at, false);
}

}  // namespace entrepot::dialect::openai_chat
