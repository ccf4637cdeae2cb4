#pragma once

// What the tests and fuzzers of this folder share.

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "canon/reply.h"
#include "dialect/gemini/gemini.h"
#include "json/value.h"

namespace entrepot::dialect::gemini {

/// An event as text, so that lists of them can be compared and shown.
inline std::string show(const canon::Event& event) {
    struct Show {
        std::string operator()(const canon::Started& e) const {
            return fmt::format("started {} {} {}", e.id, e.model, e.created_s);
        }
        std::string operator()(const canon::PartStarted& e) const {
            return fmt::format("part {}.{} kind {} {} {}{}{}{}", e.choice, e.part,
                static_cast<int>(e.kind), e.call_id, e.name, e.is_redacted ? " redacted" : "",
                e.media ? " " + e.media->media_type + " " + e.media->data : "",
                e.opaque ? " " + e.opaque->kind + " " + e.opaque->json : "");
        }
        std::string operator()(const canon::PartDelta& e) const {
            return fmt::format("delta {}.{} {}", e.choice, e.part, e.text);
        }
        std::string operator()(const canon::PartSignature& e) const {
            return fmt::format(
                "signature {}.{} {} {}", e.choice, e.part, e.signature.origin, e.signature.data);
        }
        std::string operator()(const canon::PartEnded& e) const {
            return fmt::format("end {}.{}", e.choice, e.part);
        }
        std::string operator()(const canon::Finished& e) const {
            return fmt::format(
                "finished {} {} {}", e.choice, canon::stop_reason_name(e.reason), e.raw_reason);
        }
        std::string operator()(const canon::UsageReported& e) const {
            return fmt::format("usage {}{}{}", canon::to_json(e.usage),
                e.service_tier.empty() ? "" : " ", e.service_tier);
        }
        std::string operator()(const canon::Aside& e) const {
            return fmt::format(
                "aside {}{} {}", e.choice ? fmt::format("of {} ", *e.choice) : "", e.key, e.json);
        }
        std::string operator()(const canon::Failed& e) const {
            return fmt::format(
                "failed {} {} {}", e.failure.status, e.failure.code, e.failure.message);
        }
        std::string operator()(const canon::Ended&) const { return "ended"; }
        std::string operator()(const canon::Outcome&) const { return "outcome"; }
    };
    return std::visit(Show(), event);
}

struct Decoded {
    std::vector<canon::Event> events;
    std::vector<std::string> shown;
    Status status;
};

/// The events of `bytes`, fed in pieces of that size.
inline Decoded decode(ReplyForm form, std::string_view bytes, std::size_t piece_bytes,
    const Dialect& dialect = gemini()) {
    Decoded decoded;
    const auto decoder = dialect.reply_decoder(form);
    while (!bytes.empty() && decoded.status) {
        const std::string piece(
            bytes.substr(0, piece_bytes));  // its own memory, so that views cannot outlive it
        decoded.status = decoder->feed(piece, decoded.events);
        bytes.remove_prefix(piece.size());
    }
    if (decoded.status) decoded.status = decoder->finish(decoded.events);
    for (const canon::Event& event : decoded.events) decoded.shown.push_back(show(event));
    return decoded;
}

inline std::string encode(ReplyForm form, const std::vector<canon::Event>& events,
    const ReplyContext& context = {}, std::vector<std::string>* dropped = nullptr,
    const Dialect& dialect = gemini()) {
    const auto encoder = dialect.reply_encoder(form, context);
    std::string out;
    for (const canon::Event& event : events) encoder->add(event, out);
    if (dropped != nullptr) *dropped = encoder->dropped();
    return out;
}

inline canon::Reply fold(const std::vector<canon::Event>& events) {
    canon::Reply reply;
    for (const canon::Event& event : events) reply.add(event);
    return reply;
}

}  // namespace entrepot::dialect::gemini
