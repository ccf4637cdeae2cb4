#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/http2_exchange.h"
#include "net/http2_session.h"
#include "net/http2_writer.h"
#include "net/server_connection.h"
#include "net/stream.h"

namespace entrepot::net {

/// One HTTP/2 client connection: reads and writes its socket for an Http2Session, and runs a
/// coroutine for each request. It reads without a pause, for every stream is bounded by its window.
/// What streams have to say in one turn of the loop leaves together at the turn's end.
class Http2Connection final : private Http2Session::Owner {
public:
    Http2Connection(ServerShared& shared, Stream& stream, std::string_view peer);
    ~Http2Connection();

    /// Until the connection is over and every request of it has ended. `received` is what came
    /// already, from the preface on.
    [[nodiscard]] Co<void> run(std::string received);
    /// The server drains: GOAWAY; what runs may end.
    void drain();
    /// The drain deadline has passed.
    void expire();

private:
    friend class Http2Exchange;

    Http2Stream* open_stream(std::int32_t id) override;
    void receive(std::string_view bytes);
    void run_exchange(Http2Exchange& exchange);
    void ended(Http2Exchange& exchange);

    Co<void> read_on();
    Co<void> write_on();
    Co<void> linger();
    void keep_time();
    void rest_when_idle();
    [[nodiscard]] Deadline next_due() const;
    [[nodiscard]] bool is_due_to_retire(int factor) const;

    ServerShared& shared_;
    Stream& stream_;
    std::string_view peer_;
    Http2Session session_;
    List streams_;
    std::vector<Http2Exchange*> fresh_;  // their heads have come in what is being received
    Waiter work_;    // of the writer: something to send, or a time to watch has changed
    Waiter joined_;  // streams or the writer have ended
    Http2Writer writer_;
    MonotonicTime began_;
    nanoseconds age_max_{0};
    MonotonicTime idle_since_;
    MonotonicTime announced_;  // when the end was
    std::size_t live_ = 0;     // streams, those that are closed and still end too
    std::size_t begun_ = 0;
    bool is_writing_ = false;
    bool is_resting_ = false;    // what only sending needs has been given back
    bool is_lingering_ = false;  // nothing that is still read matters
};

}  // namespace entrepot::net
