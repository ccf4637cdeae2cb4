#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "control/backend.h"
#include "json/value.h"

namespace entrepot::control {

struct AdminRequest {
    std::string_view method;
    std::string_view path;   ///< `/api/keys`
    std::string_view query;  ///< without `?`
    std::string_view body;
    std::string_view authorization;  ///< the header's value
    /// It came by the Unix socket, which only the owner of the data folder can open: no token is
    /// needed.
    bool is_trusted = false;
    std::string_view
        peer;  ///< `127.0.0.1:50312`; `unix:1000` by the socket, with the user's number
};

struct AdminResponse {
    int status = 200;
    std::string content_type = "application/json";
    std::string body;
    /// A long answer's parts, one after the other: each call appends the next to `out`, false at
    /// the end. Errors: what was sent so far is not the whole, and the reader has to see that.
    std::function<Result<bool>(std::string& out)> more = {};
    std::string file_name = {};  ///< that a browser saves it under; empty: none
};

/// Answers one request of the admin plane. Errors are answers:
/// `{"error":{"code","message","field"}}`.
[[nodiscard]] AdminResponse handle(
    Backend& backend, const Secret& admin_token, const AdminRequest& request);

/// The OpenAPI document, made from the same table that dispatches.
[[nodiscard]] std::string openapi_json();

/// The document of an answer, or the error that it tells of.
[[nodiscard]] Result<json::Document> document_of(int status, std::string body);

/// The HTTP status of an error of the admin plane.
[[nodiscard]] int status_of(ErrorCode code);

}  // namespace entrepot::control
