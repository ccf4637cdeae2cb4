#pragma once

#include <string_view>

namespace entrepot::dialect::openai_chat {

/// Why `url` cannot be an image's address, or empty when it can: it must be `https:`, `http:` with
/// a host, or `data:<type>;base64,<base64>`.
[[nodiscard]] std::string_view url_problem(std::string_view url);

/// The base64 of a `data:` URL, or empty for other URLs.
[[nodiscard]] std::string_view data_of_url(std::string_view url);

/// The media type of a `data:` URL (`image/png`), or empty.
[[nodiscard]] std::string_view media_type_of_url(std::string_view url);

}  // namespace entrepot::dialect::openai_chat
