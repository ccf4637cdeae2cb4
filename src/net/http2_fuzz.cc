// Arbitrary bytes after HTTP/2's preface, into the session that a connection has. The first byte
// says in what pieces they come and whether answers go out between them. However they come, the
// same requests must be read of them, and a session must stay within its bounds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "net/http2_session.h"

namespace {

using namespace entrepot;
using namespace entrepot::net;

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct Peer;

struct Stream final : Http2Stream {
    Stream(Peer& the_peer, Http2Session& session, std::int32_t id, const RequestLimits& limits)
        : Http2Stream(session, id, limits), peer(the_peer) {}
    void on_head() override;
    void on_body() override;
    void on_taken() override {}
    void on_closed() override { is_gone = true; }
    Peer& peer;
    bool is_gone = false;
    bool is_answered = false;
};

struct Peer final : Http2Session::Owner {
    explicit Peer(bool answers_at_once) : answers(answers_at_once) {
        options.streams_max = 8;
        options.window_bytes = 1024;
        options.session_bytes_max = 512 * 1024;
        options.resets_burst = options.control_burst = 50;
        limits = {2048, 32, 512, 4096};
    }
    ~Peer() {
        for (Stream* stream : streams) delete stream;
    }
    Http2Stream* open_stream(std::int32_t id) override {
        if (streams.size() >= 16) return nullptr;
        streams.push_back(new Stream(*this, session, id, limits));
        return streams.back();
    }
    void sweep() {
        std::size_t kept = 0;
        for (Stream* stream : streams) {
            if (stream->is_gone)
                delete stream;
            else
                streams[kept++] = stream;
        }
        streams.resize(kept);
    }
    void answer() {
        for (Stream* stream : streams) {
            if (stream->is_answered || (!stream->is_whole() && !stream->head().is_refused()))
                continue;
            stream->is_answered = true;
            Http2Session::Answer answer;
            answer.status = 200;
            answer.header_lines = "X-A: b\r\nconnection: close\r\n";
            answer.date = "today";
            session.respond(*stream, answer);
            stream->outbox().append(stream->body());
            stream->outbox().end();
            session.resume(*stream);
        }
    }
    void send() {
        while (!session.produce(now).empty()) {
        }
        if (session.memory_bytes() > options.session_bytes_max) std::abort();
        if (session.granted_bytes() > limits.body_bytes_max) std::abort();
    }
    void note(const std::string& what) { seen.push_back(what); }

    bool answers;
    MonotonicTime now{1'000'000'000};
    Http2Options options;
    RequestLimits limits;
    Http2Session session{options, limits, *this, now};
    std::vector<Stream*> streams;
    std::vector<std::string> seen;
};

void Stream::on_head() {
    std::string text = std::to_string(id()) + " " + std::string(head().method()) + " " +
        std::string(head().target()) + " " + std::to_string(head().error_status());
    for (std::size_t i = 0; i < head().headers().size(); ++i)
        text.append(head().headers()[i].name).append("=").append(head().headers()[i].value);
    peer.note(text);
}

void Stream::on_body() {
    peer.note(std::to_string(id()) + " " + std::to_string(head().error_status()) + body());
}

std::vector<std::string> read_in_pieces(std::string_view text, std::size_t piece, bool answers) {
    Peer peer(answers);
    peer.session.receive(kPreface, peer.now);
    for (std::size_t at = 0; at < text.size(); at += piece) {
        const std::string copy(text.substr(at, piece));
        peer.session.receive(copy, peer.now);
        peer.now.ns += 1'000'000;
        if (!answers) continue;
        peer.answer();
        peer.send();
        peer.sweep();
        if (peer.session.is_over()) break;
    }
    if (!answers) peer.now.ns = 1'000'000'000;
    peer.send();
    return peer.seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
    const std::size_t piece = 1 + data[0] / 2 % 32;
    if (data[0] % 2 == 0) {
        (void)read_in_pieces(text, piece, true);
        return 0;
    }
    // In pieces a flood is noticed sooner: then less has been read, and nothing else.
    const std::vector<std::string> pieces = read_in_pieces(text, piece, false);
    const std::vector<std::string> whole = read_in_pieces(text, size, false);
    if (pieces.size() > whole.size()) std::abort();
    for (std::size_t i = 0; i < pieces.size(); ++i)
        if (pieces[i] != whole[i]) std::abort();
    return 0;
}
