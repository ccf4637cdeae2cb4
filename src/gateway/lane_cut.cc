// An answer that ends before its supplier has ended it.
#include <algorithm>
#include <set>

#include "gateway/lane.h"

namespace entrepot::gateway {

std::size_t whole_events(std::string_view bytes) {
    for (const std::string_view gap : {"\n\n", "\r\n\r\n"})
        if (const auto at = bytes.rfind(gap); at != std::string_view::npos) return at + gap.size();
    return 0;
}

void Past::add(const canon::Event& event) {
    if (const auto* delta = std::get_if<canon::PartDelta>(&event)) {
        const auto of_part = [&](const canon::Event& one) {
            const auto* known = std::get_if<canon::PartDelta>(&one);
            return known != nullptr && known->choice == delta->choice && known->part == delta->part;
        };
        const auto known = std::find_if(events_.rbegin(), events_.rend(), of_part);
        if (known == events_.rend())
            events_.push_back(event);
        else if (keeps_text_)
            std::get<canon::PartDelta>(*known).text += delta->text;
    } else if (std::holds_alternative<canon::Started>(event) ||
        std::holds_alternative<canon::PartStarted>(event) ||
        std::holds_alternative<canon::PartEnded>(event) ||
        std::holds_alternative<canon::Finished>(event)) {
        events_.push_back(event);
    }
}

std::string Past::end(dialect::ReplyEncoder& encoder, const canon::Usage& used) const {
    std::set<std::pair<std::uint32_t, std::uint32_t>> parts;
    std::set<std::uint32_t> choices;
    for (const canon::Event& event : events_) {
        if (const auto* part = std::get_if<canon::PartStarted>(&event)) {
            parts.emplace(part->choice, part->part);
            choices.insert(part->choice);
        } else if (const auto* ended = std::get_if<canon::PartEnded>(&event)) {
            parts.erase({ended->choice, ended->part});
        } else if (const auto* finished = std::get_if<canon::Finished>(&event)) {
            choices.erase(finished->choice);
        }
    }
    std::string out;
    for (const auto& [choice, part] : parts) encoder.add(canon::PartEnded{choice, part}, out);
    for (const std::uint32_t choice : choices) {
        canon::Finished finished;
        finished.choice = choice;
        finished.reason = canon::StopReason::kLength;
        encoder.add(finished, out);
    }
    encoder.add(canon::UsageReported{used}, out);
    encoder.add(canon::Ended{}, out);
    return out;
}

std::string Past::end_anew(dialect::ReplyEncoder& encoder, const canon::Usage& used) const {
    std::string seen;
    for (const canon::Event& event : events_) encoder.add(event, seen);
    return end(encoder, used);
}

}  // namespace entrepot::gateway
