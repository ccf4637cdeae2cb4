#include "crypto/sigv4.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "base/text.h"

namespace entrepot::crypto::sigv4 {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kDateHeader = "x-amz-date";
constexpr std::string_view kTokenHeader = "x-amz-security-token";
constexpr std::string_view kBodyHeader = "x-amz-content-sha256";

/// `20150830T123600Z`.
std::string amz_date(Instant at) {
    const auto since = std::chrono::sys_time<nanoseconds>(nanoseconds(at.ns));
    const auto day = std::chrono::floor<std::chrono::days>(since);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(std::chrono::floor<seconds>(since - day));
    return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
        time.hours().count(), time.minutes().count(), time.seconds().count());
}

/// False unless `text` is written as `amz_date` writes.
bool parse_amz_date(std::string_view text, Instant& out) {
    if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return false;
    const auto number = [&](std::size_t at, std::size_t length, int& value) {
        const char* end = text.data() + at + length;
        const auto result = std::from_chars(text.data() + at, end, value);
        return result.ec == std::errc() && result.ptr == end && text[at] != '-';
    };
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    if (!number(0, 4, year) || !number(4, 2, month) || !number(6, 2, day) || !number(9, 2, hour) ||
        !number(11, 2, minute) || !number(13, 2, second))
        return false;
    const std::chrono::year_month_day date{std::chrono::year(year),
        std::chrono::month(static_cast<unsigned>(month)),
        std::chrono::day(static_cast<unsigned>(day))};
    // An Instant holds the years 1678 to 2261; what lies outside is no clock that we could accept.
    if (!date.ok() || year < 1700 || year > 2250 || hour > 23 || minute > 59 || second > 60)
        return false;
    const auto time = std::chrono::sys_time<nanoseconds>(std::chrono::sys_days(date)) +
        std::chrono::hours(hour) + std::chrono::minutes(minute) + seconds(second);
    out = {time.time_since_epoch().count()};
    return true;
}

/// Empty and `.` segments go, `..` takes the segment before it along; what remains is encoded once
/// more.
void append_canonical_path(std::string& out, std::string_view path) {
    std::vector<std::string_view> segments;
    std::string_view last;
    for (const std::string_view segment : split(path, '/')) {
        last = segment;
        if (segment.empty() || segment == ".") continue;
        if (segment != "..") {
            segments.push_back(segment);
        } else if (!segments.empty()) {
            segments.pop_back();
        }
    }
    if (segments.empty()) {
        out += '/';
        return;
    }
    for (const std::string_view segment : segments) {
        out += '/';
        out += percent_encode(segment);
    }
    if (last.empty() || last == "." || last == "..") out += '/';
}

void append_canonical_query(std::string& out, std::string_view query) {
    if (query.empty()) return;
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const std::string_view part : split(query, '&')) {
        if (part.empty()) continue;
        const std::size_t equals = part.find('=');
        const std::string_view value =
            equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
        pairs.emplace_back(percent_encode(percent_decode(part.substr(0, equals))),
            percent_encode(percent_decode(value)));
    }
    std::ranges::sort(pairs);
    bool first = true;
    for (const auto& [name, value] : pairs) {
        if (!first) out += '&';
        first = false;
        out += name;
        out += '=';
        out += value;
    }
}

/// The value without the white space around it, and with one space for each run inside.
void append_header_value(std::string& out, std::string_view value) {
    bool space = false;
    for (const char c : trim(value)) {
        if (c == ' ' || c == '\t') {
            if (!space) out += ' ';
            space = true;
        } else {
            out += c;
            space = false;
        }
    }
}

Sha256 derive_key(const Secret& secret, std::string_view date, std::string_view region,
    std::string_view service) {
    const Secret start("AWS4" + std::string(secret.reveal()));
    const Sha256 day = hmac_sha256(start.reveal(), date);
    const Sha256 place = hmac_sha256(view(day), region);
    const Sha256 what = hmac_sha256(view(place), service);
    return hmac_sha256(view(what), "aws4_request");
}

std::string signature_of(const Sha256& key, std::string_view canonical, std::string_view date_time,
    std::string_view scope) {
    const std::string to_sign =
        fmt::format("{}\n{}\n{}\n{}", kAlgorithm, date_time, scope, hex(sha256(canonical)));
    return hex(hmac_sha256(view(key), to_sign));
}

std::string join(std::span<const std::string> names) {
    return fmt::format("{}", fmt::join(names, ";"));
}

// Over HTTP/2 clients sign `:authority`, which reaches us as the host header.
constexpr std::string_view kAuthority = ":authority";

bool is_signed_as(const HeaderView& header, std::string_view name) {
    return equals_ignoring_case(header.name, name) ||
        (name == kAuthority && equals_ignoring_case(header.name, "host"));
}

const HeaderView* find_header(std::span<const HeaderView> headers, std::string_view name) {
    for (const HeaderView& header : headers)
        if (is_signed_as(header, name)) return &header;
    return nullptr;
}

}  // namespace

std::string canonical_request(const Request& request, std::span<const std::string> signed_headers) {
    std::string out;
    out += request.method;
    out += '\n';
    append_canonical_path(out, request.path);
    out += '\n';
    append_canonical_query(out, request.query);
    out += '\n';
    for (const std::string& name : signed_headers) {
        out += name;
        out += ':';
        bool first = true;
        for (const HeaderView& header : request.headers) {
            if (!is_signed_as(header, name)) continue;
            if (!first) out += ',';
            first = false;
            append_header_value(out, header.value);
        }
        out += '\n';
    }
    out += '\n';
    out += join(signed_headers);
    out += '\n';
    out += request.body_sha256_hex;
    return out;
}

Signer::Signer(Credentials credentials, std::string region, std::string service)
    : credentials_(std::move(credentials)),
      region_(std::move(region)),
      service_(std::move(service)) {}

std::vector<Header> Signer::sign(const Request& request, Instant now) {
    std::vector<Header> added;
    const std::string date_time = amz_date(now);
    added.push_back({std::string(kDateHeader), date_time});
    if (!credentials_.session_token.empty())
        added.push_back(
            {std::string(kTokenHeader), std::string(credentials_.session_token.reveal())});

    std::vector<HeaderView> headers(request.headers.begin(), request.headers.end());
    for (const Header& header : added) headers.push_back({header.name, header.value});
    std::vector<std::string> names;
    for (const HeaderView& header : headers) names.push_back(to_lower(header.name));
    std::ranges::sort(names);
    names.erase(std::ranges::unique(names).begin(), names.end());

    const std::string date = date_time.substr(0, 8);
    if (date != key_date_) {
        key_ = derive_key(credentials_.secret, date, region_, service_);
        key_date_ = date;
    }
    Request whole = request;
    whole.headers = headers;
    const std::string scope = fmt::format("{}/{}/{}/aws4_request", date, region_, service_);
    const std::string signature =
        signature_of(key_, canonical_request(whole, names), date_time, scope);
    added.push_back({"authorization",
        fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm,
            credentials_.access_key_id, scope, join(names), signature)});
    return added;
}

Result<Claim> parse_authorization(std::string_view header) {
    const auto refuse = [](std::string_view what) {
        return fail(ErrorCode::kUnauthenticated,
            fmt::format("the Authorization header {}; expected '{} Credential=ID/DATE/REGION/"
                        "SERVICE/aws4_request, SignedHeaders=..., Signature=...'",
                what, kAlgorithm));
    };
    header = trim(header);
    if (!header.starts_with(kAlgorithm)) return refuse("is not signed with AWS4-HMAC-SHA256");
    header.remove_prefix(kAlgorithm.size());
    Claim claim;
    for (const std::string_view raw : split(header, ',')) {
        const std::string_view part = trim(raw);
        const std::size_t equals = part.find('=');
        if (equals == std::string_view::npos) return refuse("has a part without '='");
        const std::string_view name = part.substr(0, equals);
        const std::string_view value = part.substr(equals + 1);
        if (name == "Credential") {
            const std::vector<std::string_view> scope = split(value, '/');
            if (scope.size() != 5 || scope[4] != "aws4_request")
                return refuse("has no complete credential scope");
            claim.access_key_id = scope[0];
            claim.date = scope[1];
            claim.region = scope[2];
            claim.service = scope[3];
        } else if (name == "SignedHeaders") {
            for (const std::string_view signed_name : split(value, ';'))
                claim.signed_headers.push_back(to_lower(signed_name));
        } else if (name == "Signature") {
            claim.signature = value;
        }
    }
    if (claim.access_key_id.empty()) return refuse("names no access key");
    if (claim.signed_headers.empty()) return refuse("names no signed headers");
    if (claim.signature.empty()) return refuse("has no signature");
    return claim;
}

std::string_view verdict_name(Verdict verdict) {
    switch (verdict) {
        case Verdict::kValid: return "valid";
        case Verdict::kHeaderMissing: return "header_missing";
        case Verdict::kBadDate: return "bad_date";
        case Verdict::kClockSkew: return "clock_skew";
        case Verdict::kBodyMismatch: return "body_mismatch";
        case Verdict::kSignatureMismatch: return "signature_mismatch";
    }
    return "unknown";
}

const Sha256& KeyCache::get(const Claim& claim, const Secret& secret) {
    const std::string name =
        fmt::format("{}/{}/{}/{}", claim.access_key_id, claim.date, claim.region, claim.service);
    const Sha256 digest = sha256(secret.reveal());
    if (const auto found = entries_.find(name);
        found != entries_.end() && found->second.secret_digest == digest)
        return found->second.key;
    if (entries_.size() >= entries_max_) entries_.clear();
    Entry& entry = entries_[name];
    entry = {digest, derive_key(secret, claim.date, claim.region, claim.service)};
    return entry.key;
}

Verdict verify(
    const Claim& claim, const Secret& secret, const Request& request, Instant now, KeyCache& keys) {
    const auto is_signed = [&](std::string_view name) {
        return std::ranges::find(claim.signed_headers, name) != claim.signed_headers.end();
    };
    if (!is_signed("host") && !is_signed(kAuthority)) return Verdict::kHeaderMissing;
    for (const std::string& name : claim.signed_headers)
        if (find_header(request.headers, name) == nullptr) return Verdict::kHeaderMissing;
    for (const HeaderView& header : request.headers) {
        const std::string name = to_lower(header.name);
        if (name.starts_with("x-amz-") && !is_signed(name)) return Verdict::kHeaderMissing;
    }

    const HeaderView* date = find_header(request.headers, kDateHeader);
    Instant signed_at;
    if (date == nullptr || !parse_amz_date(trim(date->value), signed_at) ||
        trim(date->value).substr(0, 8) != claim.date)
        return Verdict::kBadDate;
    if (signed_at > now + kClockSkewMax || signed_at < now - kClockSkewMax)
        return Verdict::kClockSkew;
    if (const HeaderView* body = find_header(request.headers, kBodyHeader);
        body != nullptr && trim(body->value) != request.body_sha256_hex)
        return Verdict::kBodyMismatch;

    std::vector<std::string> names = claim.signed_headers;
    std::ranges::sort(names);
    const std::string scope =
        fmt::format("{}/{}/{}/aws4_request", claim.date, claim.region, claim.service);
    const std::string expected = signature_of(
        keys.get(claim, secret), canonical_request(request, names), trim(date->value), scope);
    return constant_time_equal(expected, claim.signature) ? Verdict::kValid
                                                          : Verdict::kSignatureMismatch;
}

}  // namespace entrepot::crypto::sigv4
