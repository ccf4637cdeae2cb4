#include <cerrno>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "base/text.h"
#include "crypto/jwt.h"
#include "upstream/credentials/source.h"

namespace entrepot::upstream {
namespace {

// Token endpoints answer within a second; metadata within milliseconds.
constexpr seconds kFetchTimeout{15};
constexpr milliseconds kConnectTimeout{5'000};
constexpr milliseconds kFirstByteTimeout{10'000};
constexpr milliseconds kIdleTimeout{5'000};

Result<std::string> read_small_file(const std::string& path, std::size_t bytes_max) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        return fail(
            ErrorCode::kIo, fmt::format("cannot read '{}': {}", path, std::strerror(errno)));
    std::string text(bytes_max + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (file.bad() || text.size() > bytes_max)
        return fail(ErrorCode::kIo,
            fmt::format("cannot read '{}', or it is larger than {} bytes", path, bytes_max));
    return std::string(trim(text));
}

}  // namespace

Task<Fetch::Answer> Fetch::send(Request request) {
    ENTREPOT_CO_TRY(net::OriginPool * pool, client_.origin(*request.origin));
    const net::ClientRequest sent{.method = request.method,
        .target = request.target,
        .header_lines = request.headers.text(),
        .body = request.body,
        .host = request.host};
    net::ExchangeLimits limits;
    limits.deadline = core_.after(kFetchTimeout);
    limits.cancel = cancel_;
    limits.connect_timeout = kConnectTimeout;
    limits.first_byte_timeout = kFirstByteTimeout;
    limits.idle_timeout = kIdleTimeout;
    Result<net::ClientExchange> exchanged = co_await client_.exchange(*pool, sent, limits);
    if (!exchanged) co_return std::unexpected(std::move(exchanged).error());
    net::ClientExchange exchange = std::move(*exchanged);
    Answer answer;
    answer.status = exchange.status();
    if (!request.wanted.empty())
        answer.header = std::string(exchange.headers().find(request.wanted).value_or(""));
    Result<std::string> body = co_await exchange.read_whole_body(kBodyBytesMax);
    if (!body) co_return std::unexpected(std::move(body).error());
    answer.body = std::move(*body);
    co_return answer;
}

Task<std::string> Fetch::read_file(std::string path) {
    auto work = [path = std::move(path)] { return read_small_file(path, kFileBytesMax); };
    co_return co_await side_.run(core_, std::move(work));
}

Task<std::string> Fetch::compute(std::function<Result<std::string>()> work) {
    co_return co_await side_.run(core_, std::move(work));
}

Task<std::string> Fetch::sign_jwt(
    std::string header_json, std::string claims_json, crypto::RsaPrivateKey key) {
    auto work = [header = std::move(header_json), claims = std::move(claims_json),
                    signer = std::move(key)]() -> Result<std::string> {
        return crypto::sign_jwt(header, claims, signer);
    };
    co_return co_await side_.run(core_, std::move(work));
}

void Fetch::guard(std::string_view secret) {
    constexpr std::size_t kLettersMin = 4;  // fewer are in every other word
    if (secret.size() < kLettersMin) return;
    guarded_.emplace_back(std::string(secret));
    if (std::string encoded = percent_encode(secret); encoded != secret)
        guarded_.emplace_back(std::move(encoded));
}

std::string Fetch::without_secrets(std::string text) const {
    constexpr std::string_view kInstead = "[redacted]";
    for (const Secret& secret : guarded_)
        for (std::size_t at = text.find(secret.reveal()); at != std::string::npos;
            at = text.find(secret.reveal(), at + kInstead.size()))
            text.replace(at, secret.reveal().size(), kInstead);
    return text;
}

}  // namespace entrepot::upstream
