#include "reconcile/gunzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/check.h"

namespace entrepot::reconcile {
namespace {

constexpr int kGzipWindow = 15 + 16;  // the largest window; gzip alone

}  // namespace

struct Gunzip::State {
    z_stream stream{};
    std::array<char, 65'536> buffer{};
    bool is_between = true;  ///< at the beginning, or behind a whole member
};

Gunzip::Gunzip(OnBytes on_bytes)
    : state_(std::make_unique<State>()), on_bytes_(std::move(on_bytes)) {
    ENTREPOT_CHECK(inflateInit2(&state_->stream, kGzipWindow) == Z_OK);
}

Gunzip::~Gunzip() { inflateEnd(&state_->stream); }

Status Gunzip::feed(std::string_view bytes) {
    z_stream& stream = state_->stream;
    while (!bytes.empty()) {
        const std::size_t size =
            std::min<std::size_t>(bytes.size(), std::numeric_limits<uInt>::max());
        // zlib takes its input as bytes that it does not change.
        stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
        stream.avail_in = static_cast<uInt>(size);
        do {
            stream.next_out = reinterpret_cast<Bytef*>(state_->buffer.data());
            stream.avail_out = static_cast<uInt>(state_->buffer.size());
            const int result = inflate(&stream, Z_NO_FLUSH);
            if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
                return fail(ErrorCode::kInvalidField,
                    fmt::format("the file begins like gzip and is damaged ({}); download it again",
                        stream.msg == nullptr ? "no reason given" : stream.msg));
            const std::size_t made = state_->buffer.size() - stream.avail_out;
            state_->is_between = result == Z_STREAM_END;
            if (made > 0) ENTREPOT_TRY_DO(on_bytes_({state_->buffer.data(), made}));
            if (result == Z_STREAM_END) inflateReset(&stream);
            if (result == Z_BUF_ERROR) break;
        } while (stream.avail_in > 0 || stream.avail_out == 0);
        bytes.remove_prefix(size - stream.avail_in);
        if (stream.avail_in > 0) break;  // nothing more can be made of it
    }
    return {};
}

Status Gunzip::finish() {
    if (state_->is_between) return {};
    return fail(ErrorCode::kInvalidField, "the gzip file ends in the middle; download it again");
}

}  // namespace entrepot::reconcile
