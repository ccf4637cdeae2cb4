#include "canon/reply.h"

#include <algorithm>

namespace entrepot::canon {
namespace {

template <typename... F>
struct Overloaded : F... {
    using F::operator()...;
};

// A supplier's choice index is bounded before it becomes an event; this keeps a mistake from
// becoming an allocation.
constexpr std::uint32_t kChoicesMax = 128;

Reply::Choice& choice_at(Reply& reply, std::uint32_t index) {
    index = std::min(index, kChoicesMax - 1);
    if (reply.choices.size() <= index) reply.choices.resize(index + 1);
    return reply.choices[index];
}

Reply::Part* part_at(Reply& reply, std::uint32_t choice, std::uint32_t part) {
    auto& parts = choice_at(reply, choice).parts;
    const auto found = std::find_if(
        parts.rbegin(), parts.rend(), [&](const Reply::Part& p) { return p.start.part == part; });
    return found == parts.rend() ? nullptr : &*found;
}

}  // namespace

FailureKind kind_of_status(int status) {
    switch (status) {
        case 401: return FailureKind::kAuthentication;
        case 402: return FailureKind::kBilling;
        case 403: return FailureKind::kPermission;
        case 404: return FailureKind::kNotFound;
        case 408:
        case 504: return FailureKind::kTimeout;
        case 409: return FailureKind::kConflict;
        case 413: return FailureKind::kTooLarge;
        case 429: return FailureKind::kRateLimited;
        case 501: return FailureKind::kUnsupported;
        case 503:
        case 529: return FailureKind::kOverloaded;
        default: return status >= 500 ? FailureKind::kServer : FailureKind::kInvalidRequest;
    }
}

int status_of_kind(FailureKind kind) {
    switch (kind) {
        case FailureKind::kInvalidRequest:
        case FailureKind::kContextExceeded:
        case FailureKind::kContentFilter:
        case FailureKind::kUnsupported: return 400;
        case FailureKind::kAuthentication: return 401;
        case FailureKind::kBilling: return 402;
        case FailureKind::kPermission: return 403;
        case FailureKind::kNotFound: return 404;
        case FailureKind::kConflict: return 409;
        case FailureKind::kTooLarge: return 413;
        case FailureKind::kRateLimited:
        case FailureKind::kQuotaExhausted: return 429;
        case FailureKind::kServer: return 500;
        case FailureKind::kOverloaded: return 503;
        case FailureKind::kTimeout: return 504;
    }
    return 500;
}

void Reply::add(const Event& event) {
    std::visit(
        Overloaded{
            [&](const Started& e) { started = e; },
            [&](const PartStarted& e) { choice_at(*this, e.choice).parts.push_back({e, {}, {}}); },
            [&](const PartDelta& e) {
                if (Part* part = part_at(*this, e.choice, e.part)) part->text += e.text;
            },
            [&](const PartSignature& e) {
                if (Part* part = part_at(*this, e.choice, e.part)) part->signature = e.signature;
            },
            [](const PartEnded&) {},
            [&](const Finished& e) { choice_at(*this, e.choice).finished = e; },
            [&](const UsageReported& e) {
                usage = e.usage;
                service_tier = e.service_tier;
                stated_usage = e.stated;
                has_usage = true;
            },
            [&](const Aside& e) {
                (e.choice ? choice_at(*this, *e.choice).asides : asides).push_back(e);
            },
            [&](const Failed& e) { failure = e.failure; },
            [&](const Ended&) { has_ended = true; },
            [&](const Outcome& e) { outcomes.push_back(e); },
        },
        event);
}

std::string_view stop_reason_name(StopReason reason) {
    switch (reason) {
        case StopReason::kStop: return "stop";
        case StopReason::kStopSequence: return "stop_sequence";
        case StopReason::kLength: return "length";
        case StopReason::kToolCalls: return "tool_calls";
        case StopReason::kContentFilter: return "content_filter";
        case StopReason::kRefusal: return "refusal";
        case StopReason::kPause: return "pause";
        case StopReason::kContextExceeded: return "context_exceeded";
        case StopReason::kMalformed: return "malformed";
        case StopReason::kOther: return "other";
    }
    return "other";
}

std::string_view role_name(Role role) {
    switch (role) {
        case Role::kSystem: return "system";
        case Role::kDeveloper: return "developer";
        case Role::kUser: return "user";
        case Role::kAssistant: return "assistant";
        case Role::kTool: return "tool";
    }
    return "user";
}

}  // namespace entrepot::canon
