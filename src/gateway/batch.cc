// The requests and answers inside batches.
#include "gateway/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "dialect/registry.h"
#include "gateway/lane.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::gateway {
namespace {

struct Path {
    std::string_view url;  ///< what a line says, without the version in front
    std::string_view dialect;
};
constexpr std::array kPaths{Path{"/chat/completions", "openai-chat"},
    Path{"/responses", "openai-responses"}, Path{"/embeddings", "openai-embeddings"}};

bool is_blank(std::string_view line) {
    return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

Error not_readable(std::string_view where, std::string_view why) {
    return Error{ErrorCode::kInvalidField, fmt::format("{}: {}", where, why), {}, "file"};
}

/// What is read is what goes: given twice, the supplier might read the other one.
Status check_once(const json::Value& object, std::string_view where) {
    std::vector<std::string_view> keys;
    for (const json::Member& member : object.members()) keys.push_back(member.key);
    std::ranges::sort(keys);
    const auto twice = std::ranges::adjacent_find(keys);
    if (twice == keys.end()) return {};
    return std::unexpected(
        not_readable(where, fmt::format("'{}' is given twice; give it once", excerpt(*twice))));
}

/// Reads `body`, whose bytes lie in the text, as a request of that dialect.
Status take_body(const json::Value& body, const dialect::Dialect& dialect, std::string where,
    const TakeAsk& take) {
    ENTREPOT_TRY_DO(check_once(body, where));
    const json::Value& model = body["model"];
    if (!model.is_string())
        return fail_field(ErrorCode::kInvalidField, "model",
            fmt::format("{}: 'model' must be the name of a model", where));
    ENTREPOT_TRY(const json::Document document, json::Document::parse_in_place(body.raw()));
    Result<canon::Request> request = dialect.decode_request(document, {});
    if (!request) {
        Error error = std::move(request).error();
        error.message = fmt::format("{}: {}", where, error.message);
        return std::unexpected(std::move(error));
    }
    BatchAsk ask;
    ask.where = std::move(where);
    ask.dialect = &dialect;
    ask.request = *std::move(request);
    ask.bytes = static_cast<std::int64_t>(body.raw().size());
    ask.model_token = model.raw();
    return take(ask);
}

}  // namespace

Status read_batch_lines(std::string_view jsonl, const TakeAsk& take) {
    std::size_t number = 0;
    for (const std::string_view line : split(jsonl, '\n')) {
        ++number;
        if (is_blank(line)) continue;
        std::string where = fmt::format("line {}", number);
        const auto document = json::Document::parse_in_place(line);
        if (!document) return std::unexpected(not_readable(where, document.error().message));
        const json::Value& root = document->root();
        ENTREPOT_TRY_DO(check_once(root, where));
        std::string_view url = root["url"].string();
        if (url.starts_with("/v1/")) url.remove_prefix(3);
        const auto path = std::ranges::find(kPaths, url, &Path::url);
        const dialect::Dialect* dialect =
            path == kPaths.end() ? nullptr : dialect::find_dialect(path->dialect);
        if (dialect == nullptr)
            return fail_field(ErrorCode::kUnsupported, "url",
                fmt::format("{}: 'url' is '{}'; this gateway meters batches of "
                            "/v1/chat/completions, /v1/responses and /v1/embeddings",
                    where, excerpt(root["url"].string())));
        if (!root["body"].is_object())
            return std::unexpected(not_readable(where, "'body' must be an object"));
        ENTREPOT_TRY_DO(take_body(root["body"], *dialect, std::move(where), take));
    }
    return {};
}

Status read_batch_body(std::string_view json, const TakeAsk& take) {
    ENTREPOT_TRY(const json::Document document, json::Document::parse_in_place(json));
    static const dialect::Dialect& dialect = *dialect::find_dialect("anthropic-messages");
    ENTREPOT_TRY_DO(check_once(document.root(), "the batch"));
    const std::span<const json::Value> requests = document.root()["requests"].items();
    for (std::size_t i = 0; i < requests.size(); ++i) {
        std::string where = fmt::format("requests[{}].params", i);
        ENTREPOT_TRY_DO(check_once(requests[i], fmt::format("requests[{}]", i)));
        if (!requests[i]["params"].is_object())
            return fail_field(
                ErrorCode::kInvalidField, "requests", fmt::format("'{}' must be an object", where));
        ENTREPOT_TRY_DO(take_body(requests[i]["params"], dialect, std::move(where), take));
    }
    return {};
}

Result<BatchAnswer> read_batch_answer(std::string_view line, const dialect::Dialect& dialect) {
    const auto document = json::Document::parse_in_place(line);
    if (!document || !document->root().is_object())
        return fail(ErrorCode::kUpstreamProtocol, "a line of a batch's results is no JSON object",
            excerpt(line, 200));
    BatchAnswer answer;
    const json::Value& root = document->root();
    std::string_view body;
    if (const json::Value& result = root["result"]; result.is_object()) {  // Anthropic
        if (result["type"].string() == "succeeded") body = result["message"].raw();
    } else if (const json::Value& response = root["response"]; response.is_object()) {
        if (response["status_code"].as_int().value_or(0) < 300) body = response["body"].raw();
    }
    if (body.empty()) return answer;
    answer.has_answer = true;
    const WholeReply reply = carry_passing(dialect, {}, body);
    answer.is_reported = reply.status.has_value() && reply.consumed.is_reported;
    answer.usage = reply.consumed.usage;
    return answer;
}

Status Lines::feed(std::string_view bytes, const std::function<Status(std::string_view)>& take) {
    for (;;) {
        const std::size_t end = bytes.find('\n');
        if (rest_.size() + std::min(end, bytes.size()) > line_bytes_max_)
            return fail(ErrorCode::kUpstreamProtocol,
                fmt::format("a line of a batch's results has more than {} bytes", line_bytes_max_));
        if (end == std::string_view::npos) {
            rest_ += bytes;
            return {};
        }
        std::string_view line = bytes.substr(0, end);
        if (!rest_.empty()) line = rest_.append(line);
        if (!is_blank(line)) ENTREPOT_TRY_DO(take(line));
        rest_.clear();
        bytes.remove_prefix(end + 1);
    }
}

Status Lines::finish(const std::function<Status(std::string_view)>& take) {
    if (is_blank(rest_)) return {};
    const std::string line = std::move(rest_);
    rest_.clear();
    return take(line);
}

std::string with_strings(
    std::string_view text, const std::vector<std::string_view>& tokens, std::string_view value) {
    std::string quoted;
    json::Writer writer(quoted);
    writer.string(value);
    std::string out;
    out.reserve(text.size() + tokens.size() * quoted.size());
    std::size_t at = 0;
    for (const std::string_view token : tokens) {
        const auto begin = static_cast<std::size_t>(token.data() - text.data());
        out += text.substr(at, begin - at);
        out += quoted;
        at = begin + token.size();
    }
    out += text.substr(at);
    return out;
}

std::string with_own_results(std::string body) {
    const auto document = json::Document::parse_in_place(body);
    if (!document || !document->root()["results_url"].is_string()) return body;
    const std::string_view token = document->root()["results_url"].raw();
    return with_strings(body, {token},
        fmt::format("/v1/messages/batches/{}/results", document->root()["id"].string()));
}

}  // namespace entrepot::gateway
