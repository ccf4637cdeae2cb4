#include "cloudsim/brain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.h"
#include "cloudsim/schema.h"
#include "json/value.h"

namespace entrepot::cloudsim {
namespace {

constexpr std::size_t kSeenMax = 100'000;
constexpr std::int64_t kCacheTokensMin = 1024;  // OpenAI's: shorter prompts are not cached
constexpr std::size_t kCacheBytes = kCacheTokensMin * kBytesPerToken;

std::uint64_t hash_of(std::string_view text) { return std::hash<std::string_view>()(text); }

/// `n` tokens of words, each of three letters and a space.
std::string words(std::int64_t n) {
    static constexpr std::array<std::string_view, 12> kWords{"one ", "two ", "six ", "ten ", "sea ",
        "bay ", "oak ", "elm ", "ink ", "map ", "fog ", "sun "};
    std::string out;
    for (std::int64_t i = 0; i < n; ++i) out += kWords[static_cast<std::size_t>(i) % kWords.size()];
    if (out.ends_with(' ')) out.back() = '.';
    return out;
}

std::size_t character_boundary(std::string_view text, std::size_t at) {
    at = std::min(at, text.size());
    while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80)
        --at;
    return at;
}

std::string arguments_for(const Ask::Tool& tool) {
    if (tool.schema.empty()) return "{}";
    const auto parsed = json::Document::parse(tool.schema);
    const std::string made = parsed ? sample(parsed->root()) : "{}";
    return made.starts_with('{') ? made : "{}";
}

/// Which tools to call, in order.
std::vector<const Ask::Tool*> chosen(const Ask& ask) {
    std::vector<const Ask::Tool*> out;
    if (ask.tools.empty() || ask.tool_mode == Ask::ToolMode::kNone) return out;
    if (ask.tool_mode == Ask::ToolMode::kNamed) {
        for (const Ask::Tool& tool : ask.tools)
            if (tool.name == ask.tool_named) out.push_back(&tool);
        return out;
    }
    const std::string& text = ask.last_user_text;
    if (text.find("call ") != std::string::npos)
        for (const Ask::Tool& tool : ask.tools)
            if (text.find(tool.name) != std::string::npos) out.push_back(&tool);
    if (out.empty() && ask.tool_mode == Ask::ToolMode::kRequired) out.push_back(&ask.tools.front());
    if (out.size() == 1 && text.find("in parallel") != std::string::npos)
        out.push_back(out.front());
    if (!ask.is_parallel_allowed && out.size() > 1) out.resize(1);
    return out;
}

}  // namespace

bool is_legal_id(std::string_view id, std::size_t bytes_max) {
    return !id.empty() && id.size() <= bytes_max && std::ranges::all_of(id, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '-';
    });
}

std::int64_t tokens_of(std::size_t bytes) {
    return (static_cast<std::int64_t>(bytes) + kBytesPerToken - 1) / kBytesPerToken;
}

std::vector<std::string_view> pieces_of(std::string_view text, std::int64_t chunks) {
    std::vector<std::string_view> out;
    if (text.empty()) return out;
    const std::size_t wanted = chunks > 0 ? static_cast<std::size_t>(chunks)
                                          : std::min<std::size_t>(text.size() / 8 + 1, 64);
    const std::size_t bytes = std::max<std::size_t>((text.size() + wanted - 1) / wanted, 1);
    while (!text.empty()) {
        std::size_t n = character_boundary(text, bytes);
        if (n == 0) n = std::min<std::size_t>(bytes + 3, text.size());
        n = std::max<std::size_t>(character_boundary(text, n), 1);
        while (n < text.size() && (static_cast<unsigned char>(text[n]) & 0xc0) == 0x80) ++n;
        out.push_back(text.substr(0, n));
        text.remove_prefix(n);
    }
    return out;
}

std::string id_of(std::string_view prefix, std::int64_t serial) {
    static constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
    std::string out(prefix);
    std::string digits;
    for (auto rest = static_cast<std::uint64_t>(serial); rest > 0 || digits.empty(); rest /= 36)
        digits.insert(digits.begin(), kDigits[rest % 36]);
    out.append(digits.size() < 24 ? 24 - digits.size() : 0, 'S');
    return out + digits;
}

Answer Brain::think(const Ask& ask, const Control& control) {
    Answer answer;
    answer.serial = ++serial_;
    invent(ask, control, answer);
    cut(ask, answer);
    count(ask, control, answer);
    return answer;
}

void Brain::invent(const Ask& ask, const Control& control, Answer& answer) const {
    if (ask.wants_reasoning) answer.reasoning = "The question is short, and so is the thought.";
    if (control.answer) {
        answer.text = control.answer->text;
        answer.calls = control.answer->calls;
    } else if (const auto tools = chosen(ask); !tools.empty()) {
        for (const Ask::Tool* tool : tools)
            answer.calls.push_back({"", tool->name, arguments_for(*tool)});
    } else if (!ask.schema.empty()) {
        const auto parsed = json::Document::parse(ask.schema);
        answer.text = parsed ? sample(parsed->root()) : "{}";
    } else if (ask.wants_json) {
        answer.text = R"({"answer":"text"})";
    } else if (ask.images > 0) {
        answer.text = fmt::format("I see {} image{}. ", ask.images, ask.images == 1 ? "" : "s") +
            words(control.output_tokens);
    } else {
        answer.text = words(control.output_tokens);
    }
    for (std::size_t i = 0; i < answer.calls.size(); ++i)
        if (answer.calls[i].id.empty())
            answer.calls[i].id = id_of("", answer.serial * 64 + static_cast<std::int64_t>(i % 64));
}

/// Ends the answer at a stop sequence, and then where the cap is.
void Brain::cut(const Ask& ask, Answer& answer) const {
    answer.finish = answer.calls.empty() ? Finish::kStop : Finish::kToolCalls;
    std::size_t first = std::string::npos;
    for (const std::string& stop : ask.stop) {
        const std::size_t at = stop.empty() ? std::string::npos : answer.text.find(stop);
        if (at < first) {
            first = at;
            answer.stop_sequence = stop;
        }
    }
    if (first != std::string::npos) {
        answer.text.resize(first);
        answer.calls.clear();
        answer.finish = Finish::kStopSequence;
    }
    if (!ask.output_tokens_max) return;
    auto room = static_cast<std::size_t>(*ask.output_tokens_max) * kBytesPerToken;
    const auto take = [&](std::string& text) {
        // Each piece is counted in whole tokens, so the room shrinks by whole tokens.
        const auto bytes = static_cast<std::size_t>(tokens_of(text.size())) * kBytesPerToken;
        if (bytes <= room) {
            room -= bytes;
            return;
        }
        text.resize(character_boundary(text, room));
        room = 0;
        answer.finish = Finish::kLength;
        answer.stop_sequence.clear();
    };
    take(answer.reasoning);
    take(answer.text);
    std::size_t kept = 0;
    for (SimCall& call : answer.calls) {
        if (room == 0) break;
        take(call.arguments);
        ++kept;
    }
    if (kept < answer.calls.size()) {
        answer.calls.resize(kept);
        answer.finish = Finish::kLength;
    }
}

void Brain::count(const Ask& ask, const Control& control, Answer& answer) {
    using canon::Meter;
    if (control.usage_override || ask.usage) {
        answer.usage = control.usage_override ? *control.usage_override : *ask.usage;
        return;
    }
    if (seen_.size() > kSeenMax) seen_.clear();
    const std::int64_t prompt =
        std::max<std::int64_t>(tokens_of(ask.prompt.size()) + ask.images * kImageTokens, 1);
    std::int64_t read = 0, written = 0;
    if (ask.marked_bytes > 0) {
        const std::string_view prefix = std::string_view(ask.prompt).substr(0, ask.marked_bytes);
        const std::int64_t tokens = std::min(tokens_of(prefix.size()), prompt - 1);
        (seen_.insert(hash_of(prefix)).second ? written : read) = tokens;
    } else if (ask.is_cached_unasked && ask.prompt.size() > kCacheBytes) {
        const std::string_view prefix = std::string_view(ask.prompt).substr(0, kCacheBytes);
        if (!seen_.insert(hash_of(prefix)).second) read = kCacheTokensMin;
    }
    std::int64_t output = tokens_of(answer.reasoning.size()) + tokens_of(answer.text.size());
    for (const SimCall& call : answer.calls) output += tokens_of(call.arguments.size());
    output = std::max<std::int64_t>(output, 1) * ask.choices;
    answer.usage[Meter::kInput] = prompt - read - written;
    answer.usage[Meter::kCacheRead] = read;
    answer.usage[ask.is_mark_long ? Meter::kCacheWriteLong : Meter::kCacheWrite] = written;
    answer.usage[Meter::kOutput] = output;
    answer.usage[Meter::kReasoning] = tokens_of(answer.reasoning.size()) * ask.choices;
}

}  // namespace entrepot::cloudsim
