#include <cstdint>

#include "base/check.h"
#include "json/cursor.h"
#include "json/oracle.h"
#include "json/writer.h"

namespace {

using namespace entrepot::json;

/// The value written anew, every string through the writer.
void write(const Value& value, Writer& out) {
    if (value.is_object()) {
        out.begin_object();
        for (const Member& member : value.members()) {
            out.key(member.key);
            write(member.value, out);
        }
        out.end_object();
    } else if (value.is_array()) {
        out.begin_array();
        for (const Value& item : value.items()) write(item, out);
        out.end_array();
    } else if (value.is_string()) {
        out.string(value.string());
    } else {
        out.raw(value.raw());
    }
}

/// Whether a writer can write it: it counts open containers in the bits of a word.
bool is_shallow(const Value& value, int depth = 0) {
    if (depth > 60) return false;
    for (const Value& item : value.items())
        if (!is_shallow(item, depth + 1)) return false;
    for (const Member& member : value.members())
        if (!is_shallow(member.value, depth + 1)) return false;
    return true;
}

}  // namespace

// Any bytes: simdjson and we agree on what JSON is and says, and what we read we can write.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const oracle::Verdict verdict = oracle::read(text);
    const auto document = Document::parse(std::string(text));
    if (verdict.is_json) ENTREPOT_CHECK(document.has_value());
    if (!document) return 0;
    ENTREPOT_CHECK(verdict.is_json || verdict.has_number_error);
    std::string told;
    oracle::tell(document->root(), told);
    if (verdict.is_json) ENTREPOT_CHECK(told == verdict.told);
    Cursor cursor(text);
    (void)cursor.skip();
    ENTREPOT_CHECK(cursor.at_end());
    if (!is_shallow(document->root())) return 0;
    std::string written;
    Writer writer(written);
    write(document->root(), writer);
    const auto again = Document::parse_in_place(written);
    ENTREPOT_CHECK(again.has_value());
    std::string told_again;
    oracle::tell(again->root(), told_again);
    ENTREPOT_CHECK(told_again == told);
    return 0;
}
