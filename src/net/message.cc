#include "net/message.h"

#include <fmt/format.h>

#include "base/text.h"

namespace entrepot::net {

std::optional<std::string_view> Headers::find(std::string_view name) const {
    for (std::size_t i = 0; i < size(); ++i) {
        const Header header = (*this)[i];
        if (header.name.size() == name.size() && equals_ignoring_case(header.name, name))
            return header.value;
    }
    return std::nullopt;
}

std::size_t Headers::count(std::string_view name) const {
    std::size_t found = 0;
    for (std::size_t i = 0; i < size(); ++i)
        found += equals_ignoring_case((*this)[i].name, name) ? 1U : 0U;
    return found;
}

bool Headers::has_token(std::string_view name, std::string_view token) const {
    for (std::size_t i = 0; i < size(); ++i) {
        const Header header = (*this)[i];
        if (!equals_ignoring_case(header.name, name)) continue;
        for (const std::string_view item : split(header.value, ','))
            if (equals_ignoring_case(trim(item), token)) return true;
    }
    return false;
}

HeaderLines& HeaderLines::add(std::string_view name, std::string_view value) {
    text_.reserve(text_.size() + name.size() + value.size() + 4);
    text_.append(name).append(": ");
    const std::size_t at = text_.size();
    text_.append(value);
    for (std::size_t i = at; i < text_.size(); ++i)
        if (text_[i] == '\r' || text_[i] == '\n' || text_[i] == '\0') text_[i] = ' ';
    text_.append("\r\n");
    return *this;
}

HeaderLines& HeaderLines::add(std::string_view name, std::uint64_t value) {
    const fmt::format_int digits(value);
    return add(name, std::string_view(digits.data(), digits.size()));
}

std::string_view reason_phrase(int status) {
    switch (status) {
        case 100: return "Continue";
        case 200: return "OK";
        case 201: return "Created";
        case 202: return "Accepted";
        case 204: return "No Content";
        case 206: return "Partial Content";
        case 301: return "Moved Permanently";
        case 302: return "Found";
        case 304: return "Not Modified";
        case 307: return "Temporary Redirect";
        case 308: return "Permanent Redirect";
        case 400: return "Bad Request";
        case 401: return "Unauthorized";
        case 402: return "Payment Required";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 408: return "Request Timeout";
        case 409: return "Conflict";
        case 413: return "Content Too Large";
        case 414: return "URI Too Long";
        case 415: return "Unsupported Media Type";
        case 417: return "Expectation Failed";
        case 422: return "Unprocessable Content";
        case 424: return "Failed Dependency";
        case 429: return "Too Many Requests";
        case 431: return "Request Header Fields Too Large";
        case 499: return "Client Closed Request";
        case 500: return "Internal Server Error";
        case 501: return "Not Implemented";
        case 502: return "Bad Gateway";
        case 503: return "Service Unavailable";
        case 504: return "Gateway Timeout";
        case 505: return "HTTP Version Not Supported";
        case 529: return "Overloaded";
        default: return {};
    }
}

}  // namespace entrepot::net
