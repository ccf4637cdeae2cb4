#include "gateway/kept_door.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.h"
#include "dialect/registry.h"

namespace entrepot::gateway {
namespace {

using store::KeptKind;
using upstream::KeepingStyle;
using enum KeptAction;

struct Row {
    std::string_view path;  ///< `{id}`: of ours; `{part}`: of something inside
    std::string_view method;
    KeptKind kind;
    KeptAction action;
    std::string_view dialect;
    std::string_view collection;
};

// OpenAI's rows are Azure's too, behind `/openai` or `/openai/v1`.
constexpr std::array kRows{
    Row{"/v1/responses/{id}", "GET", KeptKind::kResponse, kRead, "openai-responses", "responses"},
    Row{"/v1/responses/{id}", "DELETE", KeptKind::kResponse, kRemove, "openai-responses",
        "responses"},
    Row{"/v1/responses/{id}/cancel", "POST", KeptKind::kResponse, kChange, "openai-responses",
        "responses"},
    Row{"/v1/responses/{id}/input_items", "GET", KeptKind::kResponse, kContent, "openai-responses",
        "responses"},
    Row{"/v1/conversations", "POST", KeptKind::kConversation, kCreate, "openai-responses",
        "conversations"},
    Row{"/v1/conversations/{id}", "GET", KeptKind::kConversation, kRead, "openai-responses",
        "conversations"},
    Row{"/v1/conversations/{id}", "POST", KeptKind::kConversation, kChange, "openai-responses",
        "conversations"},
    Row{"/v1/conversations/{id}", "DELETE", KeptKind::kConversation, kRemove, "openai-responses",
        "conversations"},
    Row{"/v1/conversations/{id}/items", "GET", KeptKind::kConversation, kContent,
        "openai-responses", "conversations"},
    Row{"/v1/conversations/{id}/items", "POST", KeptKind::kConversation, kChange,
        "openai-responses", "conversations"},
    Row{"/v1/conversations/{id}/items/{part}", "GET", KeptKind::kConversation, kContent,
        "openai-responses", "conversations"},
    Row{"/v1/conversations/{id}/items/{part}", "DELETE", KeptKind::kConversation, kChange,
        "openai-responses", "conversations"},
    Row{"/v1/files", "POST", KeptKind::kFile, kCreate, "openai-chat", "files"},
    Row{"/v1/files", "GET", KeptKind::kFile, kList, "openai-chat", "files"},
    Row{"/v1/files/{id}", "GET", KeptKind::kFile, kRead, "openai-chat", "files"},
    Row{"/v1/files/{id}", "DELETE", KeptKind::kFile, kRemove, "openai-chat", "files"},
    Row{"/v1/files/{id}/content", "GET", KeptKind::kFile, kContent, "openai-chat", "files"},
    Row{"/v1/batches", "POST", KeptKind::kBatch, kCreate, "openai-chat", "batches"},
    Row{"/v1/batches", "GET", KeptKind::kBatch, kList, "openai-chat", "batches"},
    Row{"/v1/batches/{id}", "GET", KeptKind::kBatch, kRead, "openai-chat", "batches"},
    Row{"/v1/batches/{id}/cancel", "POST", KeptKind::kBatch, kChange, "openai-chat", "batches"},
    Row{"/v1/messages/batches", "POST", KeptKind::kBatch, kCreate, "anthropic-messages",
        "messages/batches"},
    Row{"/v1/messages/batches", "GET", KeptKind::kBatch, kList, "anthropic-messages",
        "messages/batches"},
    Row{"/v1/messages/batches/{id}", "GET", KeptKind::kBatch, kRead, "anthropic-messages",
        "messages/batches"},
    Row{"/v1/messages/batches/{id}", "DELETE", KeptKind::kBatch, kRemove, "anthropic-messages",
        "messages/batches"},
    Row{"/v1/messages/batches/{id}/cancel", "POST", KeptKind::kBatch, kChange, "anthropic-messages",
        "messages/batches"},
    Row{"/v1/messages/batches/{id}/results", "GET", KeptKind::kBatch, kContent,
        "anthropic-messages", "messages/batches"},
    Row{"/v1beta/cachedContents", "POST", KeptKind::kCache, kCreate, "gemini", "cachedContents"},
    Row{"/v1beta/cachedContents", "GET", KeptKind::kCache, kList, "gemini", "cachedContents"},
    Row{"/v1beta/cachedContents/{id}", "GET", KeptKind::kCache, kRead, "gemini", "cachedContents"},
    Row{"/v1beta/cachedContents/{id}", "PATCH", KeptKind::kCache, kChange, "gemini",
        "cachedContents"},
    Row{"/v1beta/cachedContents/{id}", "DELETE", KeptKind::kCache, kRemove, "gemini",
        "cachedContents"},
};

KeepingStyle style_of(std::string_view dialect) {
    if (dialect == "anthropic-messages") return KeepingStyle::kAnthropic;
    return dialect == "gemini" ? KeepingStyle::kGoogle : KeepingStyle::kOpenai;
}

/// Ids go into paths at suppliers: nothing that a path gives a meaning to.
bool is_id(std::string_view text) {
    constexpr std::size_t kIdBytesMax = 256;
    return !text.empty() && text.size() <= kIdBytesMax &&
        text.find_first_not_of('.') != text.npos && std::ranges::all_of(text, [](char c) {
            return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                c == '-' || c == '_' || c == '.';
        });
}

std::vector<std::string_view> segments_of(std::string_view path) {
    std::vector<std::string_view> segments;
    for (const std::string_view segment : split(path, '/'))
        if (!segment.empty()) segments.push_back(segment);
    return segments;
}

/// The segments as OpenAI's own clients write them.
std::vector<std::string_view> without_azure(std::string_view path) {
    std::vector<std::string_view> segments = segments_of(path);
    if (segments.empty() || segments.front() != "openai") return segments;
    if (segments.size() > 1 && segments[1] == "v1")
        segments.erase(segments.begin());
    else
        segments.front() = "v1";
    return segments;
}

bool fits(const Row& row, const std::vector<std::string_view>& segments, KeptDoor& door) {
    const std::vector<std::string_view> wanted = segments_of(row.path);
    if (wanted.size() != segments.size()) return false;
    door.id.clear();
    door.rest.clear();
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (!wanted[i].starts_with('{')) {
            if (wanted[i] != segments[i]) return false;
            if (!door.id.empty()) door.rest += fmt::format("/{}", wanted[i]);
            continue;
        }
        const std::string name = percent_decode(segments[i]);
        if (!is_id(name)) return false;
        if (wanted[i] == "{id}")
            door.id = name;
        else
            door.rest += "/" + name;
    }
    return true;
}

}  // namespace

std::optional<KeptDoor> find_kept_door(std::string_view path, std::string_view method) {
    const std::vector<std::string_view> segments = without_azure(path);
    KeptDoor door;
    for (const Row& row : kRows) {
        if ((!method.empty() && row.method != method) || !fits(row, segments, door)) continue;
        door.dialect = dialect::find_dialect(row.dialect);
        if (door.dialect == nullptr) continue;
        door.kind = row.kind;
        door.action = row.action;
        door.collection = row.collection;
        door.style = style_of(row.dialect);
        // Google's names say what they are names of.
        if (door.style == KeepingStyle::kGoogle && !door.id.empty())
            door.id = fmt::format("{}/{}", row.collection, door.id);
        return door;
    }
    return std::nullopt;
}

std::string kept_methods(std::string_view path) {
    const std::vector<std::string_view> segments = without_azure(path);
    std::string out;
    KeptDoor door;
    for (const Row& row : kRows)
        if (fits(row, segments, door))
            out += fmt::format("{}{}", out.empty() ? "" : " or ", row.method);
    return out;
}

std::string_view kept_collection_of(KeepingStyle style, std::string_view path) {
    if (style == KeepingStyle::kNone) return {};
    // Whatever version of the API is asked.
    constexpr std::array<std::string_view, 5> kBefore{
        "openai", "v1", "v1beta", "v1alpha", "upload"};
    constexpr std::array<std::string_view, 6> kCollections{
        "responses", "conversations", "files", "uploads", "batches", "cachedcontents"};
    std::vector<std::string> segments;
    for (const std::string_view segment : segments_of(path)) {
        std::string name = to_lower(percent_decode(segment));
        if (segments.empty() && std::ranges::find(kBefore, name) != kBefore.end()) continue;
        segments.push_back(std::move(name));
    }
    if (segments.empty()) return {};
    if (segments.size() > 1 && segments[0] == "messages" && segments[1] == "batches")
        return "messages/batches";
    // `files:method` is Google's way to say verbs.
    const std::string_view first = std::string_view(segments[0]).substr(0, segments[0].find(':'));
    const auto found = std::ranges::find(kCollections, first);
    return found == kCollections.end() ? std::string_view() : *found;
}

}  // namespace entrepot::gateway
