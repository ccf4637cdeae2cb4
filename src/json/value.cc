#include "json/value.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <memory_resource>
#include <vector>

#include "base/text.h"

namespace entrepot::json {
namespace {

constexpr std::size_t kPaddingBytes = 64;  // readable behind every text, for simdjson

namespace od = simdjson::ondemand;
static_assert(kPaddingBytes >= simdjson::SIMDJSON_PADDING);

const Value kNullValue;

/// RFC 8259's number grammar; the on-demand parser checks a number only when it is converted.
bool is_number(std::string_view text) {
    std::size_t i = 0;
    const auto digits = [&] {
        const std::size_t from = i;
        while (i < text.size() && text[i] >= '0' && text[i] <= '9') ++i;
        return i - from;
    };
    if (i < text.size() && text[i] == '-') ++i;
    const std::size_t whole_at = i;
    const std::size_t whole = digits();
    if (whole == 0 || (whole > 1 && text[whole_at] == '0')) return false;
    if (i < text.size() && text[i] == '.') {
        ++i;
        if (digits() == 0) return false;
    }
    if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
        ++i;
        if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
        if (digits() == 0) return false;
    }
    return i == text.size();
}

std::unexpected<Error> parse_error(
    simdjson::error_code code, std::string_view text, const char* at) {
    std::size_t offset = at != nullptr && at >= text.data() && at <= text.data() + text.size()
        ? static_cast<std::size_t>(at - text.data())
        : text.size();
    std::size_t line = 1;
    std::size_t column = 1;
    for (std::size_t i = 0; i < offset; ++i) {
        if (text[i] == '\n') {
            ++line;
            column = 1;
        } else {
            ++column;
        }
    }
    return fail(ErrorCode::kBadRequest,
        fmt::format("the JSON is malformed near line {} column {} (byte {}): {}", line, column,
            offset, excerpt(simdjson::error_message(code), 120)));
}

/// What follows the root value once it was read, or nullptr at the end of the text.
const char* behind_root(od::document& doc) {
    const char* at = nullptr;
    return doc.current_location().get(at) ? nullptr : at;
}

// One parser per thread: its buffers are reused; documents copy nothing from it but unescaped
// strings.
od::parser& thread_parser(std::size_t bytes, std::size_t depth_max) {
    thread_local od::parser parser;
    // simdjson counts below its bound, and is asked to enter a container before we refuse it.
    const std::size_t depth_end = depth_max + 2;
    if (parser.capacity() < bytes || parser.max_depth() != depth_end) {
        const auto code = parser.allocate(std::max<std::size_t>(bytes, 4096), depth_end);
        (void)code;  // a failure shows again, with a place, when iterating
    }
    return parser;
}

}  // namespace

struct Document::Store {
    std::string text;
    std::pmr::monotonic_buffer_resource arena;
    Value root;
};

/// Builds the tree of one document; recursion is bounded by `depth_max`.
class Builder {
public:
    Builder(
        std::string_view text, std::pmr::monotonic_buffer_resource& arena, std::size_t depth_max)
        : text_(text), arena_(arena), depth_max_(depth_max) {}

    Status build(od::document& doc, Value& out) {
        simdjson::ondemand::json_type type{};
        if (auto code = doc.type().get(type)) return error(code);
        switch (type) {
            case od::json_type::array: {
                od::array array;
                if (auto code = doc.get_array().get(array)) return error(code);
                return build_array(
                    array, text_.data() + text_.find_first_not_of(" \t\r\n"), out, 1);
            }
            case od::json_type::object: {
                od::object object;
                if (auto code = doc.get_object().get(object)) return error(code);
                return build_object(
                    object, text_.data() + text_.find_first_not_of(" \t\r\n"), out, 1);
            }
            default: {
                std::string_view token;
                if (auto code = doc.raw_json_token().get(token)) return error(code);
                token = trim(token);
                switch (type) {
                    case od::json_type::string: {
                        std::string_view text;
                        if (auto code = doc.get_string().get(text)) return error(code);
                        return set_string(token, text, out);
                    }
                    case od::json_type::boolean: {
                        bool value = false;
                        if (auto code = doc.get_bool().get(value)) return error(code);
                        return set_scalar(Kind::kBool, token, out);
                    }
                    case od::json_type::null:
                        if (token != "null") return error(simdjson::N_ATOM_ERROR);
                        return set_scalar(Kind::kNull, token, out);
                    default:
                        if (!is_number(token)) return error(simdjson::NUMBER_ERROR);
                        return set_scalar(Kind::kNumber, token, out);
                }
            }
        }
    }

    void locate(od::document& doc) { doc_ = &doc; }

private:
    std::unexpected<Error> error(simdjson::error_code code) {
        const char* at = nullptr;
        if (doc_ != nullptr && doc_->current_location().get(at)) at = nullptr;
        return parse_error(code, text_, at);
    }

    Status build_value(od::value value, Value& out, std::size_t depth) {
        od::json_type type{};
        if (auto code = value.type().get(type)) return error(code);
        const std::string_view token = trim(value.raw_json_token());
        switch (type) {
            case od::json_type::array: {
                od::array array;
                if (auto code = value.get_array().get(array)) return error(code);
                return build_array(array, token.data(), out, depth + 1);
            }
            case od::json_type::object: {
                od::object object;
                if (auto code = value.get_object().get(object)) return error(code);
                return build_object(object, token.data(), out, depth + 1);
            }
            case od::json_type::string: {
                std::string_view text;
                if (auto code = value.get_string().get(text)) return error(code);
                return set_string(token, text, out);
            }
            case od::json_type::boolean: {
                bool flag = false;
                if (auto code = value.get_bool().get(flag)) return error(code);
                return set_scalar(Kind::kBool, flag ? token.substr(0, 4) : token.substr(0, 5), out);
            }
            case od::json_type::null:
                // The result converts to bool by throwing when the text is not `null`.
                if (bool null = false; value.is_null().get(null) != simdjson::SUCCESS || !null)
                    return error(simdjson::N_ATOM_ERROR);
                return set_scalar(Kind::kNull, token.substr(0, 4), out);
            default: break;
        }
        if (!is_number(token)) return error(simdjson::NUMBER_ERROR);
        // Consume it, whatever its size: a number beyond 64 bits keeps its spelling.
        double ignored = 0;
        const auto code = value.get_double().get(ignored);
        if (code != simdjson::SUCCESS && code != simdjson::NUMBER_ERROR) return error(code);
        return set_scalar(Kind::kNumber, token, out);
    }

    Status build_array(od::array& array, const char* begin, Value& out, std::size_t depth) {
        if (depth > depth_max_) return error(simdjson::DEPTH_ERROR);
        std::vector<Value> items;
        for (auto item : array) {
            od::value value;
            if (auto code = item.get(value)) return error(code);
            Value built;
            ENTREPOT_TRY_DO(build_value(value, built, depth));
            items.push_back(built);
        }
        out.kind_ = Kind::kArray;
        return finish(items, begin, out);
    }

    Status build_object(od::object& object, const char* begin, Value& out, std::size_t depth) {
        if (depth > depth_max_) return error(simdjson::DEPTH_ERROR);
        std::vector<Member> members;
        for (auto item : object) {
            od::field field;
            if (auto code = std::move(item).get(field)) return error(code);
            std::string_view key;
            if (auto code = field.unescaped_key().get(key)) return error(code);
            Member member;
            member.key = keep(key);
            ENTREPOT_TRY_DO(build_value(field.value(), member.value, depth));
            members.push_back(member);
        }
        out.kind_ = Kind::kObject;
        return finish(members, begin, out);
    }

    template <typename Child>
    Status finish(const std::vector<Child>& children, const char* begin, Value& out) {
        if (!children.empty()) {
            auto* copy = static_cast<Child*>(
                arena_.allocate(children.size() * sizeof(Child), alignof(Child)));
            std::uninitialized_copy(children.begin(), children.end(), copy);
            out.children_ = copy;
        }
        out.count_ = static_cast<std::uint32_t>(children.size());
        // The iterator stands on the structural character behind the closing bracket, or past the
        // end.
        const char* end = nullptr;
        if (doc_->current_location().get(end)) end = text_.data() + text_.size();
        while (end > begin &&
            (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || end[-1] == '\n'))
            --end;
        out.raw_ = {begin, static_cast<std::size_t>(end - begin)};
        return {};
    }

    Status set_scalar(Kind kind, std::string_view token, Value& out) {
        out.kind_ = kind;
        out.raw_ = token;
        return {};
    }

    Status set_string(std::string_view token, std::string_view text, Value& out) {
        out.kind_ = Kind::kString;
        // The token runs to the next structural character; its own end is its closing quote.
        std::size_t end = token.size();
        while (end > 0 && token[end - 1] != '"') --end;
        out.raw_ = token.substr(0, end);
        if (end == text.size() + 2)
            out.text_ = token.substr(1, text.size());  // no escapes: no copy
        else
            out.text_ = keep(text);
        return {};
    }

    std::string_view keep(std::string_view text) {
        if (text.empty()) return {};
        auto* copy = static_cast<char*>(arena_.allocate(text.size(), 1));
        std::memcpy(copy, text.data(), text.size());
        return {copy, text.size()};
    }

    std::string_view text_;
    std::pmr::monotonic_buffer_resource& arena_;
    std::size_t depth_max_;
    od::document* doc_ = nullptr;
};

std::string_view kind_name(Kind kind) {
    switch (kind) {
        case Kind::kNull: return "null";
        case Kind::kBool: return "a boolean";
        case Kind::kNumber: return "a number";
        case Kind::kString: return "a string";
        case Kind::kArray: return "an array";
        case Kind::kObject: return "an object";
    }
    return "null";
}

std::span<const Value> Value::items() const {
    if (kind_ != Kind::kArray) return {};
    return {static_cast<const Value*>(children_), count_};
}

std::span<const Member> Value::members() const {
    if (kind_ != Kind::kObject) return {};
    return {static_cast<const Member*>(children_), count_};
}

const Value* Value::find(std::string_view key) const {
    const auto all = members();
    for (std::size_t i = all.size(); i > 0; --i)
        if (all[i - 1].key == key) return &all[i - 1].value;
    return nullptr;
}

const Value& Value::operator[](std::string_view key) const {
    const Value* found = find(key);
    return found == nullptr ? kNullValue : *found;
}

std::optional<bool> Value::as_bool() const {
    if (kind_ != Kind::kBool) return std::nullopt;
    return raw_.front() == 't';
}

std::optional<std::int64_t> Value::as_int() const {
    if (kind_ != Kind::kNumber) return std::nullopt;
    std::int64_t value = 0;
    const char* end = raw_.data() + raw_.size();
    const auto [at, code] = std::from_chars(raw_.data(), end, value);
    if (code == std::errc() && at == end) return value;
    if (code == std::errc::result_out_of_range) return std::nullopt;
    long double wide = 0;
    const auto [wide_at, wide_code] = std::from_chars(raw_.data(), end, wide);
    if (wide_code != std::errc() || wide_at != end || std::floor(wide) != wide || wide < -9.2e18L ||
        wide > 9.2e18L)
        return std::nullopt;
    return static_cast<std::int64_t>(wide);
}

std::optional<std::string_view> Value::as_string() const {
    if (kind_ != Kind::kString) return std::nullopt;
    return text_;
}

Document::Document(std::unique_ptr<Store> store) : store_(std::move(store)) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;
const Value& Document::root() const { return store_->root; }
std::string_view Document::text() const { return store_->text; }

Result<Document> Document::parse(std::string text, std::size_t depth_max) {
    auto store = std::make_unique<Store>();
    store->text = std::move(text);
    store->text.reserve(store->text.size() + kPaddingBytes);
    const std::string_view view = store->text;
    if (trim(view).empty()) return fail(ErrorCode::kBadRequest, "the JSON is empty");
    od::parser& parser = thread_parser(view.size(), depth_max);
    od::document doc;
    if (auto code = parser.iterate(view.data(), view.size(), store->text.capacity()).get(doc))
        return parse_error(code, view, nullptr);
    Builder builder(view, store->arena, depth_max);
    builder.locate(doc);
    ENTREPOT_TRY_DO(builder.build(doc, store->root));
    if (const char* at = behind_root(doc);
        at != nullptr && (store->root.is_array() || store->root.is_object()))
        return parse_error(simdjson::TRAILING_CONTENT, view, at);
    return Document(std::move(store));
}

}  // namespace entrepot::json
