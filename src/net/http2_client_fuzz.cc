// Arbitrary bytes from a server of HTTP/2, into the session that a connection to a supplier has.
// The first byte says in what pieces they come and whether we speak between them. However they
// come, the same answers must be read of them, and a session must stay within its bounds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "net/http2_client_session.h"

namespace {

using namespace entrepot;
using namespace entrepot::net;

struct Stream final : Http2ClientStream {
    using Http2ClientStream::Http2ClientStream;
    void on_progress() override {}
    /// What its reader would have learned of it.
    std::string tell() {
        std::string text = is_head_done() ? std::to_string(status()) : "-";
        if (is_head_done())
            for (std::size_t i = 0; i < headers().size(); ++i)
                text.append(headers()[i].name).append("=").append(headers()[i].value);
        std::string body;
        take(body);
        return text.append(" ").append(body);
    }
};

struct Client {
    Client() {
        options = http2_towards_suppliers();
        options.streams_max = 6;
        options.window_bytes = 2048;
        options.session_bytes_max = 512 * 1024;
        options.resets_burst = options.control_burst = 50;
        session = std::make_unique<Http2ClientSession>(options, limits, 3, now);
        while (ask()) {
        }
        speak();
    }
    ~Client() {
        streams.clear();
        session.reset();
    }
    bool ask() {
        if (streams.size() >= 4) return false;
        auto stream = std::make_unique<Stream>(*session);
        Http2ClientSession::Request request{
            "POST", "http", "a", "/p", "X-A: b\r\nconnection: close\r\n", body};
        if (streams.size() == 1) request.body = {};
        if (!session->begin(*stream, request)) return false;
        streams.push_back(std::move(stream));
        return true;
    }
    void speak() {
        while (!session->produce(now).empty()) {
        }
        if (session->memory_bytes() > options.session_bytes_max) std::abort();
    }
    /// Reads what has come, leaves those that have ended, gives one up, asks anew.
    void work() {
        std::string taken;
        for (const auto& stream : streams) {
            stream->take(taken);
            if (taken.size() > options.window_bytes) std::abort();
            if (stream->is_head_done()) stream->forget_head();
        }
        std::erase_if(streams,
            [](const auto& stream) { return stream->end() != Http2ClientStream::End::kNone; });
        if (++turns % 8 == 0 && !streams.empty()) streams.erase(streams.begin());
        if (turns % 16 == 0) session->ping();
        if (ask() && session->streams() > options.streams_max) std::abort();
        speak();
    }

    const std::string body = std::string(100'000, 'b');  // more than a server takes unasked
    MonotonicTime now{1'000'000'000};
    Http2Options options;
    ResponseLimits limits{2048, 32};
    std::unique_ptr<Http2ClientSession> session;
    std::vector<std::unique_ptr<Stream>> streams;
    unsigned turns = 0;
};

void receive(Client& client, std::string_view text, std::size_t piece, bool speaks) {
    for (std::size_t at = 0; at < text.size(); at += piece) {
        const std::string copy(text.substr(at, piece));
        client.session->receive(copy, client.now);
        if (!speaks) continue;
        client.now.ns += 1'000'000;
        client.work();
        if (client.session->is_over()) break;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
    const std::size_t piece = 1 + data[0] / 2 % 32;
    if (data[0] % 2 == 0) {
        Client client;
        receive(client, text, piece, true);
        client.session->lose();
        return 0;
    }
    Client pieces, whole;
    receive(pieces, text, piece, false);
    receive(whole, text, size, false);
    for (Client* client : {&pieces, &whole}) {
        client->speak();  // what was refused ends when the other side is told
        if (client->session->is_over()) client->session->lose();
    }
    const bool is_flooded = pieces.session->flaw() != whole.session->flaw();
    for (std::size_t i = 0; i < pieces.streams.size(); ++i) {
        Stream& one = *pieces.streams[i];
        Stream& other = *whole.streams[i];
        if (one.is_head_done() && !other.is_head_done()) std::abort();
        // In pieces a flood is noticed sooner: then less has been read, and nothing else.
        const std::string told = one.tell();
        const std::string at_once = other.tell();
        if (is_flooded) {
            if (one.is_head_done() && !at_once.starts_with(told)) std::abort();
            continue;
        }
        if (one.end() != other.end()) std::abort();
        // Of an answer that is broken (longer than it says) a part may have been read before.
        const bool is_broken = one.end() != Http2ClientStream::End::kNone &&
            one.end() != Http2ClientStream::End::kWhole;
        if (is_broken ? !told.starts_with(at_once) : told != at_once) std::abort();
    }
    return 0;
}
