#include "json/value.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <memory_resource>
#include <optional>
#include <utility>
#include <vector>

#include "json/cursor.h"

namespace entrepot::json {
namespace {

const Value kNullValue;

/// The children of the containers that are open, reused for every document of the thread.
struct Scratch {
    std::vector<Value> items;
    std::vector<Member> members;
};

constexpr std::size_t kScratchKept = 4096;  // more of them are not worth keeping

Scratch& thread_scratch() {
    thread_local Scratch scratch;
    return scratch;
}

}  // namespace

struct Document::Store {
    std::string owned;
    std::string_view text;
    std::array<std::byte, 1536> first_bytes;  // most replies and events need no more
    std::pmr::monotonic_buffer_resource arena{first_bytes.data(), first_bytes.size()};
    Value root;
};

/// Builds the tree of one document; the cursor bounds the recursion. A value that is malformed
/// fails the cursor, which then says that nothing more is there: no step needs a check of its own.
class Builder {
public:
    Builder(std::string_view text, Numbers numbers, std::pmr::monotonic_buffer_resource& arena)
        : text_(text), cursor_(text, numbers), arena_(arena) {}

    Status build(Value& root) {
        scratch_.items.clear();
        scratch_.members.clear();
        value(root);
        cursor_.at_end();
        if (scratch_.items.capacity() > kScratchKept) std::vector<Value>().swap(scratch_.items);
        if (scratch_.members.capacity() > kScratchKept)
            std::vector<Member>().swap(scratch_.members);
        return cursor_.status();
    }

private:
    void value(Value& out) {
        out.kind_ = cursor_.peek();
        if (cursor_.has_failed()) return;
        switch (out.kind_) {
            case Kind::kObject: return object(out);
            case Kind::kArray: return array(out);
            case Kind::kString: return string(out);
            case Kind::kNumber: out.raw_ = without_padding(cursor_.number()); return;
            default: out.raw_ = cursor_.skip(); return;
        }
    }

    /// Zeros in front are not the number's: it is written on without them.
    static std::string_view without_padding(std::string_view number) {
        while (number.size() > 1 && number[0] == '0' && number[1] >= '0' && number[1] <= '9')
            number.remove_prefix(1);
        return number;
    }

    void array(Value& out) {
        const std::size_t begin = cursor_.offset();
        const std::size_t first = scratch_.items.size();
        cursor_.enter_array();
        while (cursor_.next_item()) {
            Value item;
            value(item);
            scratch_.items.push_back(item);
        }
        keep_children(scratch_.items, first, out);
        out.raw_ = text_.substr(begin, cursor_.offset() - begin);
    }

    void object(Value& out) {
        const std::size_t begin = cursor_.offset();
        const std::size_t first = scratch_.members.size();
        cursor_.enter_object();
        while (cursor_.next_member()) {
            Member member;
            member.key = text_of(cursor_.key(), cursor_.key_has_escapes());
            value(member.value);
            scratch_.members.push_back(member);
        }
        keep_children(scratch_.members, first, out);
        out.raw_ = text_.substr(begin, cursor_.offset() - begin);
    }

    void string(Value& out) {
        const std::size_t begin = cursor_.offset();
        const std::string_view spelled = cursor_.string();
        out.text_ = text_of(spelled, cursor_.string_has_escapes());
        out.raw_ = text_.substr(begin, cursor_.offset() - begin);
    }

    std::string_view text_of(std::string_view spelled, bool has_escapes) {
        if (!has_escapes) return spelled;
        auto* out = static_cast<char*>(arena_.allocate(spelled.size(), 1));
        const std::optional<std::size_t> size = unescape(spelled, out);
        if (!size) cursor_.refuse("half a surrogate pair stands in a string");
        return {out, size.value_or(0)};
    }

    template <typename Child>
    void keep_children(std::vector<Child>& all, std::size_t first, Value& out) {
        out.count_ = static_cast<std::uint32_t>(all.size() - first);
        if (out.count_ == 0) return;
        auto* copy =
            static_cast<Child*>(arena_.allocate(out.count_ * sizeof(Child), alignof(Child)));
        std::uninitialized_copy(all.begin() + static_cast<std::ptrdiff_t>(first), all.end(), copy);
        all.resize(first);
        out.children_ = copy;
    }

    std::string_view text_;
    Cursor cursor_;
    std::pmr::monotonic_buffer_resource& arena_;
    Scratch& scratch_ = thread_scratch();
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
    for (std::size_t i = all.size(); i > 0; --i) {
        const std::string_view other = all[i - 1].key;
        // Two looks that rule out nearly every key without a call.
        if (other.size() != key.size() || (!key.empty() && other.front() != key.front())) continue;
        if (other == key) return &all[i - 1].value;
    }
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

Result<Document> Document::built(std::unique_ptr<Store> store, Numbers numbers) {
    if (store->text.find_first_not_of(" \t\r\n") == std::string_view::npos)
        return fail(ErrorCode::kBadRequest, "the JSON is empty");
    ENTREPOT_TRY_DO(Builder(store->text, numbers, store->arena).build(store->root));
    return Document(std::move(store));
}

Result<Document> Document::parse(std::string text, Numbers numbers) {
    auto store = std::make_unique<Store>();
    store->owned = std::move(text);
    store->text = store->owned;
    return built(std::move(store), numbers);
}

Result<Document> Document::parse_in_place(std::string_view text, Numbers numbers) {
    auto store = std::make_unique<Store>();
    store->text = text;
    return built(std::move(store), numbers);
}

}  // namespace entrepot::json
