#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace entrepot::json {

enum class Kind : std::uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };

/// `a string`, `an array`: for messages.
[[nodiscard]] std::string_view kind_name(Kind kind);

/// How a number may be spelled: as JSON says, or also with zeros in front, as some servers print
/// their counters.
enum class Numbers : std::uint8_t { kStrict, kPadded };

struct Member;

/// One value of a parsed document: a view that lives as long as its `Document`. Nothing is lost in
/// parsing: `raw()` is the value's own bytes, numbers keep their spelling, members their order.
class Value {
public:
    Value() = default;  ///< null

    [[nodiscard]] Kind kind() const { return kind_; }
    [[nodiscard]] bool is_null() const { return kind_ == Kind::kNull; }
    [[nodiscard]] bool is_string() const { return kind_ == Kind::kString; }
    [[nodiscard]] bool is_object() const { return kind_ == Kind::kObject; }
    [[nodiscard]] bool is_array() const { return kind_ == Kind::kArray; }
    [[nodiscard]] bool is_number() const { return kind_ == Kind::kNumber; }
    [[nodiscard]] bool is_bool() const { return kind_ == Kind::kBool; }

    /// The bytes of this value in the document, without surrounding white space.
    [[nodiscard]] std::string_view raw() const { return raw_; }
    /// A string's text, unescaped; empty for other kinds.
    [[nodiscard]] std::string_view string() const { return text_; }
    /// Items of an array; empty for other kinds.
    [[nodiscard]] std::span<const Value> items() const;
    /// Members of an object in document order, duplicates included; empty for other kinds.
    [[nodiscard]] std::span<const Member> members() const;
    /// The member of that name, the last if it occurs twice, or nullptr. Also nullptr when this is
    /// no object.
    [[nodiscard]] const Value* find(std::string_view key) const;
    /// Like `find`, but a shared null value when absent, so that look-ups chain.
    [[nodiscard]] const Value& operator[](std::string_view key) const;

    [[nodiscard]] std::optional<bool> as_bool() const;
    /// A number that is a whole one within 64 bits (`3`, `3.0`, `1e3`), else nothing.
    [[nodiscard]] std::optional<std::int64_t> as_int() const;
    [[nodiscard]] std::optional<std::string_view> as_string() const;

private:
    friend class Builder;
    Kind kind_ = Kind::kNull;
    std::uint32_t count_ = 0;
    std::string_view raw_ = "null";
    std::string_view text_;
    const void* children_ = nullptr;  // Value[count_] or Member[count_]
};

struct Member {
    std::string_view key;
    Value value;
};

/// A parsed JSON text and everything its values point to. Movable; values stay valid across a move.
class Document {
public:
    /// Parses the whole text: grammar, UTF-8, nesting up to 200. Errors: kBadRequest with the
    /// place.
    [[nodiscard]] static Result<Document> parse(
        std::string text, Numbers numbers = Numbers::kStrict);
    /// The same over bytes that live, unmoved, as long as the document.
    [[nodiscard]] static Result<Document> parse_in_place(
        std::string_view text, Numbers numbers = Numbers::kStrict);
    Document(Document&&) noexcept;
    Document& operator=(Document&&) noexcept;
    ~Document();

    [[nodiscard]] const Value& root() const;
    [[nodiscard]] std::string_view text() const;

private:
    struct Store;
    explicit Document(std::unique_ptr<Store> store);
    static Result<Document> built(std::unique_ptr<Store> store, Numbers numbers);
    std::unique_ptr<Store> store_;
};

}  // namespace entrepot::json
