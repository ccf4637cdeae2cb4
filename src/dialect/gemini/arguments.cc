#include "dialect/gemini/arguments.h"

#include <fmt/format.h>

#include <charconv>

#include "base/text.h"
#include "dialect/gemini/parts.h"

namespace entrepot::dialect::gemini {
namespace {

constexpr std::size_t kStepsMax = 64;

std::unexpected<Error> malformed(std::string_view path, std::string_view what) {
    return fail(ErrorCode::kUpstreamProtocol,
        fmt::format("the supplier's call has an argument at '{}', which {}", excerpt(path), what));
}

}  // namespace

Result<std::vector<ArgumentsWriter::Step>> ArgumentsWriter::parse(std::string_view path) {
    std::vector<Step> steps;
    std::string_view rest = path;
    if (rest.starts_with('$')) rest.remove_prefix(1);
    while (!rest.empty()) {
        if (steps.size() >= kStepsMax) return malformed(path, "is too deep");
        if (rest.starts_with("['") || rest.starts_with("[\"")) {
            const char quote = rest[1];
            const std::size_t end = rest.find(fmt::format("{}]", quote), 2);
            if (end == std::string_view::npos) return malformed(path, "is no path");
            steps.emplace_back(std::string(rest.substr(2, end - 2)));
            rest.remove_prefix(end + 2);
        } else if (rest.starts_with('[')) {
            const std::size_t end = std::min(rest.find(']'), rest.size());
            std::int64_t index = -1;
            const auto parsed = std::from_chars(rest.data() + 1, rest.data() + end, index);
            if (end == rest.size() || parsed.ec != std::errc() || parsed.ptr != rest.data() + end ||
                index < 0)
                return malformed(path, "is no path");
            steps.emplace_back(index);
            rest.remove_prefix(end + 1);
        } else {
            if (rest.starts_with('.')) rest.remove_prefix(1);
            const std::size_t end = std::min(rest.find_first_of(".["), rest.size());
            if (end == 0) return malformed(path, "is no path");
            steps.emplace_back(std::string(rest.substr(0, end)));
            rest.remove_prefix(end);
        }
    }
    if (steps.empty() || !std::holds_alternative<std::string>(steps.front()))
        return malformed(path, "is no member of an object");
    return steps;
}

void ArgumentsWriter::close_string(std::string& delta) {
    if (has_string_) delta += '"';
    has_string_ = false;
}

void ArgumentsWriter::close_level(std::string& delta) {
    delta += levels_.back().is_array ? ']' : '}';
    levels_.pop_back();
}

Status ArgumentsWriter::enter(const Step& step, std::string& delta) {
    Level& level = levels_.back();
    const bool is_first = level.is_array ? level.items == 0 : level.keys.empty();
    if (level.is_array) {
        const auto* index = std::get_if<std::int64_t>(&step);
        if (index == nullptr || *index != level.items)
            return malformed("[]", "is not the next of its list");
        ++level.items;
        if (!is_first) delta += ',';
        return {};
    }
    const auto* key = std::get_if<std::string>(&step);
    if (key == nullptr) return malformed("{}", "is named by a number");
    if (!level.keys.insert(*key).second) return malformed(*key, "has been closed before");
    if (!is_first) delta += ',';
    json::append_quoted(delta, *key);
    delta += ':';
    return {};
}

Status ArgumentsWriter::add(const json::Value& partial, std::string& delta) {
    const std::string_view path = get(partial, "jsonPath").string();
    ENTREPOT_TRY(std::vector<Step> steps, parse(path));
    const json::Value* text = find(partial, "stringValue");
    const bool goes_on = get(partial, "willContinue").as_bool().value_or(false);
    const auto append = [&](std::string_view more) {
        const std::string quoted = json::quoted(more);
        delta += std::string_view(quoted).substr(1, quoted.size() - 2);
    };
    if (has_string_ && steps == string_path_ && text != nullptr) {
        append(text->string());
        if (!goes_on) close_string(delta);
        return {};
    }
    close_string(delta);
    if (levels_.empty()) {
        levels_.emplace_back();
        delta += '{';
    }
    std::size_t common = 0;  // levels below the root that are on the way
    while (common + 1 < levels_.size() && common + 1 < steps.size() &&
        levels_[common + 1].step == steps[common])
        ++common;
    while (levels_.size() > common + 1) close_level(delta);
    for (std::size_t i = common; i < steps.size(); ++i) {
        ENTREPOT_TRY_DO(enter(steps[i], delta));
        if (i + 1 == steps.size()) break;
        Level level;
        level.step = steps[i];
        level.is_array = std::holds_alternative<std::int64_t>(steps[i + 1]);
        delta += level.is_array ? '[' : '{';
        levels_.push_back(std::move(level));
    }
    if (text != nullptr) {
        delta += '"';
        append(text->string());
        has_string_ = true;
        string_path_ = std::move(steps);
        if (!goes_on) close_string(delta);
    } else if (const json::Value* number = find(partial, "numberValue")) {
        delta += number->raw();
    } else if (const json::Value* flag = find(partial, "boolValue")) {
        delta += flag->raw();
    } else {
        delta += "null";
    }
    return {};
}

void ArgumentsWriter::finish(std::string& delta) {
    close_string(delta);
    if (levels_.empty()) delta += "{}";
    while (!levels_.empty()) close_level(delta);
}

}  // namespace entrepot::dialect::gemini
