#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dialect/dialect.h"
#include "json/value.h"

// For tasks whose answer is one JSON object and is never streamed.
namespace entrepot::dialect {

/// Bytes of one reply: of a few thousand vectors, of ten images in base64.
inline constexpr std::size_t kWholeBytesMax = std::size_t{64} << 20;

[[nodiscard]] inline std::unexpected<Error> malformed(std::string_view what) {
    return fail(ErrorCode::kUpstreamProtocol, fmt::format("the supplier's reply {}", what));
}

/// The last `usage` that the end of a reply states, as `{"usage":{...}}`; nothing where it is cut.
[[nodiscard]] inline std::optional<json::Document> last_usage(std::string_view tail) {
    const std::size_t key = tail.rfind("\"usage\"");
    const std::size_t open = tail.find('{', key);
    if (key == std::string_view::npos || open == std::string_view::npos) return std::nullopt;
    // Down to the brace that closes it; no text in it holds one.
    std::size_t depth = 0, end = open;
    for (; end < tail.size(); ++end) {
        depth += tail[end] == '{' ? 1 : 0;
        if (tail[end] == '}' && --depth == 0) break;
    }
    if (end == tail.size()) return std::nullopt;
    auto stated = json::Document::parse(fmt::format("{{{}}}", tail.substr(key, end + 1 - key)));
    if (!stated) return std::nullopt;
    return std::move(*stated);
}

class WholeDecoder : public ReplyDecoder {
public:
    Status feed(std::string_view bytes, std::vector<canon::Event>&) final {
        if (body_.size() + bytes.size() > kWholeBytesMax)
            return malformed(fmt::format("is larger than {} bytes", kWholeBytesMax));
        body_ += bytes;
        return {};
    }
    Status finish(std::vector<canon::Event>& events) final {
        const auto document = json::Document::parse(std::move(body_));
        if (!document) return malformed("is no JSON: " + document.error().message);
        if (!document->root().is_object()) return malformed("is no JSON object");
        ENTREPOT_TRY_DO(read(document->root(), events));
        if (!std::holds_alternative<canon::Failed>(events.back()))
            events.emplace_back(canon::Ended{});
        return {};
    }

protected:
    /// Appends at least one event; the end is the base's. Errors: kUpstreamProtocol.
    [[nodiscard]] virtual Status read(
        const json::Value& root, std::vector<canon::Event>& events) = 0;

private:
    std::string body_;
};

class WholeEncoder : public ReplyEncoder {
public:
    explicit WholeEncoder(const ReplyContext& context) : context_(context) {}

    void add(const canon::Event& event, std::string& out) final {
        if (is_over_) return;
        reply_.add(event);
        if (reply_.failure)
            out += failed(*reply_.failure);
        else if (reply_.has_ended)
            write(reply_, out);
        is_over_ = reply_.failure || reply_.has_ended;
    }
    [[nodiscard]] const std::vector<std::string>& dropped() const final { return dropped_; }

protected:
    /// The reply, complete.
    virtual void write(const canon::Reply& reply, std::string& out) = 0;
    [[nodiscard]] virtual std::string failed(const canon::Failure& failure) = 0;

    ReplyContext context_;
    std::vector<std::string> dropped_;

private:
    canon::Reply reply_;
    bool is_over_ = false;
};

}  // namespace entrepot::dialect
