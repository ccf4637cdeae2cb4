#include "control/admin_api.h"

#include <fmt/format.h>

#include "auth/credential.h"
#include "base/text.h"
#include "config/load.h"
#include "control/routes.h"
#include "control/user.h"
#include "json/writer.h"

namespace entrepot::control {
namespace {

/// One operation: how it is reached, what the OpenAPI document says of it, who does it.
struct Route {
    std::string_view method;
    std::string_view path;  ///< may hold one `{name}` or `{id}`
    std::string_view summary;
    std::string_view arguments;  ///< names of the query's, by commas
    Result<ApiAnswer> (*answer)(const ApiCall& call);
};

Result<ApiAnswer> get_openapi(const ApiCall&) { return ApiAnswer{200, openapi_json()}; }

// The section is a part of the type, so that routes stay plain functions.
template <std::size_t Section>
Result<ApiAnswer> list_of(const ApiCall& call) {
    return list_entries(call, config::kStoredSections[Section]);
}
template <std::size_t Section>
Result<ApiAnswer> get_of(const ApiCall& call) {
    return get_entry(call, config::kStoredSections[Section]);
}
template <std::size_t Section>
Result<ApiAnswer> set_of(const ApiCall& call) {
    return set_entry(call, config::kStoredSections[Section]);
}
template <std::size_t Section>
Result<ApiAnswer> remove_of(const ApiCall& call) {
    return remove_entry(call, config::kStoredSections[Section]);
}
enum : std::size_t { kOrgs, kTeams, kProjects, kModels, kContracts };

constexpr Route kRoutes[] = {
    {"GET", "/api/openapi.json", "This document", "", get_openapi},
    {"GET", "/api/keys", "Every key, of the file and of the store, without secrets", "", list_keys},
    {"POST", "/api/keys", "Make a key; the answer holds its secret, this once", "", create_key},
    {"GET", "/api/keys/{name}", "One key", "", get_key},
    {"POST", "/api/keys/{name}/rotate",
        "A new secret, this once in the answer; the one before stays valid unless drop_old=true",
        "drop_old", rotate_key},
    {"POST", "/api/keys/{name}/disable", "Refuse the key from now on", "", disable_key},
    {"POST", "/api/keys/{name}/enable", "Accept the key again", "", enable_key},
    {"GET", "/api/orgs", "Every org, of the file and of the store", "", list_of<kOrgs>},
    {"GET", "/api/orgs/{name}", "One org", "", get_of<kOrgs>},
    {"PUT", "/api/orgs/{name}", "Make or change a org of the store, in the file's form", "",
        set_of<kOrgs>},
    {"DELETE", "/api/orgs/{name}", "Remove a org of the store", "", remove_of<kOrgs>},
    {"GET", "/api/teams", "Every team, of the file and of the store", "", list_of<kTeams>},
    {"GET", "/api/teams/{name}", "One team", "", get_of<kTeams>},
    {"PUT", "/api/teams/{name}", "Make or change a team of the store, in the file's form", "",
        set_of<kTeams>},
    {"DELETE", "/api/teams/{name}", "Remove a team of the store", "", remove_of<kTeams>},
    {"GET", "/api/projects", "Every project, of the file and of the store", "", list_of<kProjects>},
    {"GET", "/api/projects/{name}", "One project", "", get_of<kProjects>},
    {"PUT", "/api/projects/{name}", "Make or change a project of the store, in the file's form", "",
        set_of<kProjects>},
    {"DELETE", "/api/projects/{name}", "Remove a project of the store", "", remove_of<kProjects>},
    {"GET", "/api/models", "Models and their offers with the prices in force", "model",
        list_models},
    {"GET", "/api/models/{name}", "One model as it is stated", "", get_of<kModels>},
    {"PUT", "/api/models/{name}",
        "Make or change a model of the store and its offers, in the file's form", "",
        set_of<kModels>},
    {"DELETE", "/api/models/{name}", "Remove a model of the store", "", remove_of<kModels>},
    {"GET", "/api/prices", "List prices of the catalogue", "model,seller,region,limit",
        list_prices},
    {"GET", "/api/rates", "Rates of one's own; those known at a time, when `known` is given",
        "known", list_own_rates},
    {"POST", "/api/rates",
        "State rates of one's own; late ones correct what is booked, with confirm=true", "confirm",
        set_rates},
    {"POST", "/api/rates/preview",
        "What rates would have changed in a period (last month), and what they would correct",
        "since,until", preview_rates},
    {"GET", "/api/rates/{name}",
        "The rates of an offer, `model/offer`, in force `at` a time as they were `known` then",
        "at,known", get_rates_of},
    {"DELETE", "/api/rates/{name}",
        "Take a rate back, by its number; what it priced is corrected, with confirm=true",
        "confirm", remove_rate},
    {"GET", "/api/usage", "Spend, grouped",
        "by,since,until,day,month,org,team,project,key,end_user,tags,model,offer,cloud,contract,"
        "tier,"
        "context,rate_version,tag",
        get_usage},
    {"GET", "/api/export/focus",
        "Charges as FOCUS has them, CSV: those of the hours from `since` up to `until`; `spec` is "
        "1.2 or 1.3",
        "since,until,spec", export_focus},
    {"GET", "/api/statement",
        "What one org, team or project owes for a month; `format` is json, csv or html",
        "org,team,project,month,format", get_statement},
    {"GET", "/api/export/commitments",
        "Commitments and capacities as FOCUS 1.3 has them, CSV: those that meet the time",
        "since,until", export_commitments},
    {"GET", "/api/budgets", "Every budget and what it stands at", "", get_budgets},
    {"GET", "/api/budgets/{name}", "Those of one owner: `team:search`", "", get_budgets_of},
    {"PUT", "/api/budgets/{name}",
        "Make or change a budget of the store: limit, period, timezone, notify", "", set_budget},
    {"DELETE", "/api/budgets/{name}", "Remove a budget of the store", "period,timezone",
        remove_budget},
    {"POST", "/api/budgets/{name}/raise",
        "Raise a budget, of the file too, `by` an amount `until` a time", "", raise_budget},
    {"DELETE", "/api/budgets/{name}/raise", "End a raise now", "period,timezone", end_raise},
    {"GET", "/api/contracts", "Every contract, of the file and of the store", "", list_contracts},
    {"GET", "/api/contracts/{name}", "One contract, with what it takes for granted", "",
        get_contract},
    {"PUT", "/api/contracts/{name}", "Make or change a contract of the store, in the file's form",
        "", set_of<kContracts>},
    {"DELETE", "/api/contracts/{name}", "Remove a contract of the store", "",
        remove_of<kContracts>},
    {"GET", "/api/contracts/{name}/status",
        "Burn-down of its commitment, use of its capacity, list and contracted cost", "",
        get_contract_status},
    {"GET", "/api/exchanges/{id}", "One exchange with its attempts", "", get_exchange},
    {"GET", "/api/ledger/verify", "Prove the invariants over the books", "", verify_ledger},
    {"POST", "/api/ledger/resolve",
        "Settle an attempt that a crash left unverified at what it cost, in the open period", "",
        resolve_attempt},
    {"POST", "/api/ledger/close",
        "Close the months up to one: what ends later is booked on the first day after it", "",
        close_month},
    {"GET", "/api/charges",
        "Charges by hour, offer and meter, whoever spent; `after` is the `next` of the page before",
        "since,until,cloud,after,limit", list_charges},
    {"GET", "/api/adjustments", "Every correction; `after` is the `next` of the page before",
        "after,limit", list_adjustments},
    {"POST", "/api/adjustments",
        "Post what a reconciliation proposed, each once, in the open period", "", post_adjustments},
    {"POST", "/api/reconcile",
        "Compare a supplier's bill (the body, gzip or not, up to 1 MiB) with the books; "
        "adjust=true posts what it proposes",
        "format,cloud,since,until,as_of,exchange,adjust", reconcile_bill},
    {"POST", "/api/ledger/backup",
        "Copy books, settings, audit log and what suppliers keep into an empty `folder` of the "
        "gateway's machine, and prove the copy",
        "", make_backup},
    {"GET", "/api/audit", "Every change of a setting, oldest first; `after` is a row's number",
        "since,until,after,limit", get_audit},
    {"GET", "/api/audit/verify",
        "Read the audit log's chain again; `head` is a hash seen before that must be in it", "head",
        verify_audit},
};

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string decode(std::string_view text, bool plus_is_space) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 &&
            hex_value(text[i + 2]) >= 0) {
            out += static_cast<char>(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
            i += 2;
        } else {
            out += plus_is_space && text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

// Whether `path` is of the form of `pattern`; what stands for its braces goes to `name`.
bool matches(std::string_view pattern, std::string_view path, std::string& name) {
    const auto open = pattern.find('{');
    if (open == std::string_view::npos) return pattern == path;
    const std::string_view tail = pattern.substr(pattern.find('}') + 1);
    if (!path.starts_with(pattern.substr(0, open)) || !path.ends_with(tail) ||
        path.size() <= open + tail.size())
        return false;
    const std::string_view inside = path.substr(open, path.size() - open - tail.size());
    if (inside.find('/') != std::string_view::npos) return false;
    name = decode(inside, false);
    return true;
}

AdminResponse refusal(const Error& error) {
    AdminResponse response;
    response.status = status_of(error.code);
    json::Writer writer(response.body);
    writer.begin_object().key("error").begin_object();
    writer.member("code", error_code_name(error.code)).member("message", error.message);
    if (!error.field.empty()) writer.member("field", error.field);
    writer.end_object().end_object();
    return response;
}

Status check_token(const Secret& admin_token, const AdminRequest& request) {
    if (request.is_trusted) return {};
    std::string scratch;
    const auto presented =
        auth::presented_secret({.authorization = request.authorization}, scratch);
    if (presented && !admin_token.empty() &&
        auth::equal_in_constant_time(*presented, admin_token.reveal()))
        return {};
    return fail(ErrorCode::kUnauthenticated,
        "The admin API needs its token: send 'Authorization: Bearer <token>' with the content of "
        "admin.token in the data folder.");
}

Result<std::map<std::string, std::string>> arguments_of(
    const Route& route, std::string_view query) {
    std::map<std::string, std::string> arguments;
    std::vector<std::string> known;
    for (const std::string_view name : split(route.arguments, ',')) known.emplace_back(name);
    if (query.empty()) return arguments;
    for (const std::string_view part : split(query, '&')) {
        const auto equals = part.find('=');
        std::string name = decode(part.substr(0, equals), true);
        if (std::find(known.begin(), known.end(), name) == known.end())
            return fail_field(ErrorCode::kInvalidField, name,
                fmt::format("'{}' is no argument of {}; known are: {}", excerpt(name), route.path,
                    route.arguments.empty() ? "none" : route.arguments));
        arguments[name] = equals == std::string_view::npos ? std::string()
                                                           : decode(part.substr(equals + 1), true);
    }
    return arguments;
}

store::AuditBy asked_by(const AdminRequest& request, Instant now) {
    if (request.is_trusted) return {now, socket_user(request.peer), "cli"};
    return {now, fmt::format("admin token from {}", excerpt(request.peer)), "api"};
}

Result<ApiAnswer> dispatch(Backend& backend, const AdminRequest& request) {
    bool is_path_known = false;
    for (const Route& route : kRoutes) {
        std::string name;
        if (!matches(route.path, request.path, name)) continue;
        is_path_known = true;
        const std::string_view method = request.method == "HEAD" ? "GET" : request.method;
        if (method != route.method) continue;
        ENTREPOT_TRY(auto arguments, arguments_of(route, request.query));
        return route.answer(ApiCall{backend, std::move(name), std::move(arguments), request.body,
            asked_by(request, backend.now())});
    }
    if (is_path_known)
        return fail(ErrorCode::kMethodNotAllowed,
            fmt::format("{} cannot be asked of {}; /api/openapi.json lists what can",
                excerpt(request.method, 20), excerpt(request.path)));
    return fail(ErrorCode::kNotFound,
        fmt::format("There is nothing at {}; /api/openapi.json lists what there is.",
            excerpt(request.path)));
}

}  // namespace

Result<json::Document> document_of(int status, std::string body) {
    ENTREPOT_TRY(json::Document document, json::Document::parse(std::move(body)));
    if (status < 300) return document;
    const auto message = std::string(document.root()["error"]["message"].string());
    if (status == 400) return fail(ErrorCode::kInvalidField, message);
    return fail(status == 409 ? ErrorCode::kConflict : ErrorCode::kNotFound, message);
}

int status_of(ErrorCode code) {
    switch (code) {
        case ErrorCode::kBadRequest:
        case ErrorCode::kInvalidField:
        case ErrorCode::kBadConfiguration:
        case ErrorCode::kUnsupported: return 400;
        case ErrorCode::kUnauthenticated: return 401;
        case ErrorCode::kForbidden: return 403;
        case ErrorCode::kNotFound: return 404;
        case ErrorCode::kMethodNotAllowed: return 405;
        case ErrorCode::kConflict: return 409;
        case ErrorCode::kBodyTooLarge: return 413;
        case ErrorCode::kStoreLocked:
        case ErrorCode::kDraining: return 503;
        default: return 500;
    }
}

AdminResponse handle(Backend& backend, const Secret& admin_token, const AdminRequest& request) {
    // Probes carry no token.
    if (request.path == "/livez") return {200, "text/plain; charset=utf-8", "ok\n"};
    if (request.path == "/readyz") {
        if (backend.draining()) return {503, "text/plain; charset=utf-8", "draining\n"};
        return {200, "text/plain; charset=utf-8", "ok\n"};
    }
    if (const Status allowed = check_token(admin_token, request); !allowed)
        return refusal(allowed.error());
    if (request.path == "/metrics")
        return {200, "text/plain; version=0.0.4; charset=utf-8", backend.metrics()};
    auto answer = dispatch(backend, request);
    if (!answer) return refusal(answer.error());
    return {answer->status, std::move(answer->content_type), std::move(answer->json),
        std::move(answer->more), std::move(answer->file_name)};
}

std::string openapi_json() {
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("openapi", "3.1.0");
    writer.key("info").begin_object().member("title", "Entrepot admin API").member("version", "1");
    writer.end_object();
    writer.key("security").begin_array().begin_object().key("token").begin_array().end_array();
    writer.end_object().end_array();
    writer.key("components").begin_object().key("securitySchemes").begin_object();
    writer.key("token").begin_object().member("type", "http").member("scheme", "bearer");
    writer.end_object().end_object().end_object();
    writer.key("paths").begin_object();
    std::string_view open_path;
    for (const Route& route : kRoutes) {
        if (route.path != open_path) {  // routes of one path stand together in the table
            if (!open_path.empty()) writer.end_object();
            open_path = route.path;
            writer.key(route.path).begin_object();
        }
        writer.key(to_lower(route.method)).begin_object().member("summary", route.summary);
        writer.key("parameters").begin_array();
        const auto parameter = [&](std::string_view name, std::string_view place) {
            writer.begin_object().member("name", name).member("in", place);
            writer.member_bool("required", place == "path");
            writer.key("schema").begin_object().member("type", "string").end_object().end_object();
        };
        if (const auto brace = route.path.find('{'); brace != std::string_view::npos)
            parameter(route.path.substr(brace + 1, route.path.find('}') - brace - 1), "path");
        if (!route.arguments.empty())
            for (const std::string_view name : split(route.arguments, ','))
                parameter(name, "query");
        writer.end_array();
        writer.key("responses").begin_object().key("default").begin_object();
        writer.member("description", "JSON").end_object().end_object().end_object();
    }
    writer.end_object().end_object().end_object();
    return out;
}

}  // namespace entrepot::control
