#include "cloudsim/control.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cloudsim/refusals.h"
#include "json/value.h"

namespace entrepot::cloudsim {
namespace {

using json::Value;

constexpr std::array<std::string_view, 15> kFaults{"none", "dead", "hang", "slow", "throttle",
    "overload", "error500", "status", "truncate_stream", "stream_error", "bad_crc",
    "wrong_content_type", "empty", "no_usage", "refusal"};

std::unexpected<Error> wrong(std::string_view key, const Value& value, std::string_view accepted) {
    return fail_field(ErrorCode::kInvalidField, std::string(key),
        fmt::format("{} is {}, not {}", key, value.raw().substr(0, 60), accepted));
}

Result<Fault> parse_fault(std::string_view key, const Value& value) {
    const auto* found = std::ranges::find(kFaults, value.string());
    if (!value.is_string() || found == kFaults.end())
        return wrong(key, value, fmt::format("one of {}", fmt::join(kFaults, ", ")));
    return static_cast<Fault>(found - kFaults.begin());
}

Status parse_answer(const Value& value, Control& control) {
    FixedAnswer answer;
    answer.text = value["text"].string();
    for (const Value& call : value["tool_calls"].items()) {
        if (!call["name"].is_string()) return wrong("answer.tool_calls.name", call, "a string");
        const Value& arguments = call["arguments"];
        answer.calls.push_back(
            {std::string(call["id"].string()), std::string(call["name"].string()),
                arguments.is_object() ? std::string(arguments.raw()) : "{}"});
    }
    control.answer = std::move(answer);
    return {};
}

Status parse_usage(const Value& value, Control& control) {
    canon::Usage usage;
    for (const json::Member& member : value.members()) {
        std::size_t meter = 0;
        while (meter < canon::kMeterCount &&
            canon::meter_name(static_cast<canon::Meter>(meter)) != member.key)
            ++meter;
        if (meter == canon::kMeterCount || member.value.as_int().value_or(-1) < 0)
            return wrong(fmt::format("usage_override.{}", member.key), member.value,
                "a count under a meter's name");
        usage.counts[meter] = *member.value.as_int();
    }
    control.usage_override = usage;
    return {};
}

Result<Control> parse_control(const Value& value) {
    Control control;
    struct Number {
        std::string_view key;
        std::int64_t Control::* field;
    };
    static constexpr std::array<Number, 11> kNumbers{{{"first_byte_ms", &Control::first_byte_ms},
        {"chunk_ms", &Control::chunk_ms}, {"background_ms", &Control::background_ms},
        {"chunks", &Control::chunks}, {"output_tokens", &Control::output_tokens},
        {"every", &Control::every}, {"seed", &Control::seed}, {"status", &Control::status},
        {"retry_after_s", &Control::retry_after_s}, {"after_chunks", &Control::after_chunks},
        {"requests_per_minute", &Control::requests_per_minute}}};
    if (!value.is_object()) return wrong("control", value, "an object");
    for (const json::Member& member : value.members()) {
        if (const auto* number = std::ranges::find(kNumbers, member.key, &Number::key);
            number != kNumbers.end()) {
            const auto given = member.value.as_int();
            if (!given || *given < 0 || *given > 1'000'000'000)
                return wrong(member.key, member.value, "a whole number from 0 to 1000000000");
            control.*(number->field) = *given;
        } else if (member.key == "message") {
            control.message = member.value.string();
        } else if (member.key == "refusal") {
            control.refusal = member.value.string();
            if (!is_refusal(control.refusal))
                return wrong("refusal", member.value, "a refusal that some cloud knows");
        } else if (member.key == "fault") {
            ENTREPOT_TRY(control.fault, parse_fault("fault", member.value));
        } else if (member.key == "mix") {
            for (const Value& item : member.value.items()) {
                Control::Drawn drawn;
                ENTREPOT_TRY(drawn.fault, parse_fault("mix.fault", item["fault"]));
                drawn.per_mille = item["per_mille"].as_int().value_or(0);
                control.mix.push_back(drawn);
            }
        } else if (member.key == "answer") {
            if (!member.value.is_null()) ENTREPOT_TRY_DO(parse_answer(member.value, control));
        } else if (member.key == "usage_override") {
            if (!member.value.is_null()) ENTREPOT_TRY_DO(parse_usage(member.value, control));
        } else {
            return wrong(member.key, member.value, "a control that is known");
        }
    }
    if (control.every == 0) control.every = 1;
    if (control.status < 400 || control.status > 599)
        return fail_field(ErrorCode::kInvalidField, "status", "status must be 400 to 599");
    return control;
}

std::uint64_t scramble(std::uint64_t x) {  // splitmix64
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

}  // namespace

std::string_view fault_name(Fault fault) { return kFaults[static_cast<std::size_t>(fault)]; }

Fault Control::fault_of(std::uint64_t n) const {
    if (fault != Fault::kNone && n % static_cast<std::uint64_t>(every) == 0) return fault;
    auto drawn = static_cast<std::int64_t>(
        scramble(static_cast<std::uint64_t>(seed) * 1'000'003 + n) % 1000);
    for (const Drawn& one : mix) {
        if (drawn < one.per_mille) return one.fault;
        drawn -= one.per_mille;
    }
    return Fault::kNone;
}

Status Controls::replace(std::string body) {
    ENTREPOT_TRY(const json::Document document, json::Document::parse(body));
    const Value& root = document.root();
    if (!root.is_object()) return wrong("body", root, "an object");
    Controls next;
    for (const json::Member& member : root.members()) {
        if (member.key == "all") {
            ENTREPOT_TRY(next.all_, parse_control(member.value));
        } else if (member.key == "clouds" || member.key == "models") {
            auto& map = member.key == "clouds" ? next.clouds_ : next.models_;
            for (const json::Member& one : member.value.members()) {
                ENTREPOT_TRY(map[std::string(one.key)], parse_control(one.value));
            }
        } else {
            return wrong(member.key, member.value, "one of clouds, models, all");
        }
    }
    next.text_ = std::move(body);
    *this = std::move(next);
    return {};
}

const Control& Controls::at(std::string_view cloud, std::string_view model) const {
    if (const auto found = models_.find(fmt::format("{}/{}", cloud, model)); found != models_.end())
        return found->second;
    if (const auto found = clouds_.find(cloud); found != clouds_.end()) return found->second;
    return all_;
}

}  // namespace entrepot::cloudsim
