#pragma once

#include <cstdint>
#include <string_view>

namespace entrepot::canon {

/// What a request asks a model to do. Each dialect serves one or more of them, each voice of a
/// supplier too; a request goes only where its task is done.
enum class Task : std::uint8_t {
    kConverse,     ///< a conversation in, an answer out
    kEmbed,        ///< texts or images to vectors
    kCountTokens,  ///< how many tokens a conversation would be; billed by nobody
    kRerank,
    kComplete,  ///< a text goes on
    kModerate,  ///< billed by nobody
    kMakeImage,
    kSpeak,
    kTranscribe,
};
inline constexpr unsigned kTaskCount = 9;

/// A set of tasks, a bit for each.
using Tasks = std::uint16_t;
[[nodiscard]] constexpr Tasks task_bit(Task task) {
    return static_cast<Tasks>(1U << static_cast<unsigned>(task));
}
inline constexpr Tasks kAllTasks = (1U << kTaskCount) - 1;

/// What suppliers answer without a charge: nothing is held for it, and it is booked at zero.
[[nodiscard]] constexpr bool is_free(Task task) {
    return task == Task::kCountTokens || task == Task::kModerate;
}
/// Billed by the piece at some sellers (images, characters, seconds, searches), at others by
/// tokens.
[[nodiscard]] constexpr bool is_piecework(Task task) {
    return task == Task::kRerank || task == Task::kMakeImage || task == Task::kSpeak ||
        task == Task::kTranscribe;
}
/// The answer is text of a model, by the token.
[[nodiscard]] constexpr bool answers_in_text(Task task) {
    return task == Task::kConverse || task == Task::kComplete;
}

/// `converse`, `embed`, `count_tokens`, ...
[[nodiscard]] std::string_view task_name(Task task);
/// For sentences about an offer that "cannot ...": `make embeddings`, `count tokens`.
[[nodiscard]] std::string_view task_words(Task task);

}  // namespace entrepot::canon
