#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "dialect/registry.h"
#include "dialect/tasks.h"

// Requests of the small endpoints are read or refused, and counts of what they cost stay within
// what a body can hold; replies give the same events however they are split, and meters that no
// price overflows.
namespace {

using namespace entrepot;

std::vector<canon::Event> decode(const dialect::Dialect& dialect, dialect::ReplyForm form,
    std::string_view bytes, std::size_t piece, bool& is_good) {
    const auto decoder = dialect.reply_decoder(form);
    std::vector<canon::Event> events;
    Status status;
    for (std::size_t at = 0; at < bytes.size() && status; at += piece)
        status = decoder->feed(bytes.substr(at, piece), events);
    if (status) status = decoder->finish(events);
    is_good = status.has_value();
    return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    std::vector<const dialect::Dialect*> dialects(
        dialect::openai_small_dialects().begin(), dialect::openai_small_dialects().end());
    dialects.push_back(&dialect::rerank_dialect());
    dialects.push_back(&dialect::rerank_v2_dialect());
    const dialect::Dialect& dialect = *dialects[data[0] % dialects.size()];
    const std::string text(reinterpret_cast<const char*>(data) + 2, size - 2);

    dialect::RequestContext context;
    context.raw_body = text;
    const bool is_form = data[1] % 2 == 1;
    if (is_form) context.content_type = "multipart/form-data; boundary=X";
    const auto document = json::Document::parse(is_form ? "null" : text);
    if (document) {
        if (const auto request = dialect.decode_request(*document, context)) {
            const auto& work = std::get<canon::Piecework>(request->work);
            const auto bytes = static_cast<std::int64_t>(size);
            ENTREPOT_CHECK(work.characters >= 0 && work.characters <= bytes);
            ENTREPOT_CHECK(work.images_in >= 0 && work.images_in <= bytes);
            ENTREPOT_CHECK(work.images >= 0 && work.images <= 100);
            ENTREPOT_CHECK(work.prompt_bytes >= 0 && work.prompt_tokens >= 0);
            ENTREPOT_CHECK(work.searches >= 0 && work.audio_seconds_max >= 0);
            const auto encoded = dialect.encode_request(*request, {.model_id = "m"});
            if (encoded) ENTREPOT_CHECK(json::Document::parse(encoded->body).has_value());
        }
    }
    const auto form =
        data[1] / 2 % 2 == 1 ? dialect::ReplyForm::kStream : dialect::ReplyForm::kWhole;
    bool is_good = false;
    bool is_good_split = false;
    const auto whole = decode(dialect, form, text, std::max<std::size_t>(text.size(), 1), is_good);
    const auto split = decode(dialect, form, text, 1 + data[1] % 7, is_good_split);
    ENTREPOT_CHECK(is_good == is_good_split);
    if (is_good) ENTREPOT_CHECK(whole == split);
    for (const canon::Event& event : whole)
        if (const auto* report = std::get_if<canon::UsageReported>(&event))
            for (const std::int64_t count : report->usage.counts) ENTREPOT_CHECK(count >= 0);
    return 0;
}
