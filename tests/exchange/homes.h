#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "corpus.h"
#include "meaning.h"

namespace entrepot::exchange {

/// A file of the corpus and the dialect that reads and writes it: the round trip of every request
/// and reply in it is proven by `round_trip_test.cc`.
///
/// A new dialect joins by one row in `homes()`. Run the test; what it lists is lost at home. Most
/// of it is to be mended in the dialect. What has two spellings of one meaning is said in the row's
/// `spell_` functions; what cannot be kept gets a line in `exceptions()`, with its reason and the
/// number of exchanges that show it.
struct Home {
    std::string_view name;  ///< as `exceptions` and the tests call it
    std::string_view file;
    std::string_view dialect;
    std::vector<std::string_view> operations;
    /// The path says whether the answer is streamed, and the body does not.
    bool is_stream_in_path = false;
    /// Members whose values are passed on as they are: a null in them is a value.
    std::vector<std::string_view> verbatim;
    /// How many there are that come home: a test that reads nothing proves nothing.
    std::size_t requests = 0;
    std::size_t replies = 0;
    std::size_t errors = 0;
    void (*spell_request)(Tree& tree) = nullptr;
    void (*spell_reply)(Tree& tree) = nullptr;
    void (*spell_error)(Tree& tree) = nullptr;
    /// The model that the path names; null: what the exchange says.
    std::string (*model_of)(const Exchange& exchange) = nullptr;
    /// ReplyContext::family; null: the dialect has no families.
    std::string (*family_of)(const Exchange& exchange) = nullptr;
};

[[nodiscard]] std::span<const Home> homes();

enum class Side : std::uint8_t {
    kRequest,  ///< a member of the body, `header NAME`, `dropped NAME`, or `refused FIELD`
    kReply,    ///< a member of a whole reply
    kStream,   ///< an event: `lost KIND` or `new KIND`
    kForms,    ///< what a reply is when it is told in the other form too, as `kStream`
    kError,    ///< a member of an error's body
};
[[nodiscard]] std::string_view side_name(Side side);

/// What does not come home, and why.
struct Exception {
    std::string_view home;  ///< Home::name
    Side side;
    std::string_view path;  ///< a pattern, see `matches`
    std::size_t exchanges;  ///< of the corpus show it; more or fewer fail the test
    std::string_view reason;
};

[[nodiscard]] std::span<const Exception> exceptions();

}  // namespace entrepot::exchange
