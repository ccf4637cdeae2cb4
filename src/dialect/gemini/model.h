#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

namespace entrepot::dialect::gemini {

/// What Google's models of each generation take, by their ids. An id that says no generation is
/// read as the newest.
struct Model {
    enum class Thinking : std::uint8_t { kNone, kBudget, kLevel };

    int generation = 99;  ///< 25 is `gemini-2.5`
    bool is_pro = false;
    bool is_lite = false;

    [[nodiscard]] static Model of(std::string_view id) {
        constexpr std::string_view kFamily = "gemini-";
        Model model;
        model.is_pro = id.find("-pro") != std::string_view::npos;
        model.is_lite = id.find("-lite") != std::string_view::npos;
        if (id.find("gemma") != std::string_view::npos) model.generation = 0;
        const std::size_t at = id.find(kFamily);
        if (at == std::string_view::npos) return model;
        const std::string_view rest = id.substr(at + kFamily.size());
        int major = 0;
        const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), major);
        if (parsed.ec != std::errc() || major > 99) return model;
        const std::string_view behind(parsed.ptr, rest.data() + rest.size());
        const bool has_minor =
            behind.size() > 1 && behind[0] == '.' && behind[1] >= '0' && behind[1] <= '9';
        model.generation = major * 10 + (has_minor ? behind[1] - '0' : 0);
        return model;
    }

    /// How it is told to think: 2.5 by a budget of tokens, later ones by a level (and, as before,
    /// by a budget).
    [[nodiscard]] Thinking thinking() const {
        if (generation < 25) return Thinking::kNone;
        return generation < 30 ? Thinking::kBudget : Thinking::kLevel;
    }
    [[nodiscard]] std::int64_t budget_min() const {
        if (generation != 25) return 1;
        return is_pro ? 128 : is_lite ? 512 : 1;
    }
    [[nodiscard]] std::int64_t budget_max() const {
        return generation == 25 && !is_pro ? 24576 : 32768;
    }
    /// From the third generation on a call without its signature is refused.
    [[nodiscard]] bool wants_signatures() const { return generation >= 30; }
    /// Likewise, results of tools may hold images; before, they stand beside the result.
    [[nodiscard]] bool takes_media_in_results() const { return generation >= 30; }
};

}  // namespace entrepot::dialect::gemini
