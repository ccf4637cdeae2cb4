#include "framing/multipart.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace entrepot::framing {
namespace {

constexpr std::size_t kBoundaryBytesMax = 70;  // RFC 2046

std::unexpected<Error> bad(std::string_view what) {
    return fail(ErrorCode::kBadRequest, fmt::format("the form cannot be read: {}", what));
}

/// The value of `name=value` among the parameters of a header, unquoted; nothing where it is not.
std::optional<std::string> parameter(std::string_view header, std::string_view name) {
    std::size_t at = header.find(';');
    while (at != std::string_view::npos) {
        header.remove_prefix(at + 1);
        const std::size_t equals = header.find('=');
        const std::size_t end = header.find(';');
        if (equals == std::string_view::npos || end < equals) {
            at = end;
            continue;
        }
        const bool is_it = equals_ignoring_case(trim(header.substr(0, equals)), name);
        header.remove_prefix(equals + 1);
        while (header.starts_with(' ') || header.starts_with('\t')) header.remove_prefix(1);
        std::string value;
        std::size_t used = 0;
        if (header.starts_with('"')) {
            for (used = 1; used < header.size() && header[used] != '"'; ++used) {
                // Only these two are escaped: a file name of Windows holds plain backslashes.
                if (header[used] == '\\' && used + 1 < header.size() &&
                    (header[used + 1] == '"' || header[used + 1] == '\\'))
                    ++used;
                value += header[used];
            }
        } else {
            used = std::min(header.find(';'), header.size());
            value = trim(header.substr(0, used));
        }
        if (is_it) return value;
        header.remove_prefix(std::min(used, header.size()));
        at = header.find(';');
    }
    return std::nullopt;
}

/// What browsers and RFC 7578's writers escape in names.
std::string unescaped(const std::string& name) {
    return name.find('%') == std::string::npos ? name : percent_decode(name);
}

Status read_head(std::string_view head, FormPart& part) {
    bool has_disposition = false;
    while (!head.empty()) {
        const std::string_view line = head.substr(0, head.find("\r\n"));
        head.remove_prefix(std::min(line.size() + 2, head.size()));
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) return bad("a header of a part has no colon");
        const std::string_view name = trim(line.substr(0, colon));
        const std::string_view value = trim(line.substr(colon + 1));
        if (equals_ignoring_case(name, "content-disposition")) {
            const auto field = parameter(value, "name");
            if (!equals_ignoring_case(trim(value.substr(0, value.find(';'))), "form-data") ||
                !field)
                return bad("a part is no form-data with a name");
            part.name = unescaped(*field);
            const auto file = parameter(value, "filename");
            part.is_file = file.has_value() || parameter(value, "filename*").has_value();
            if (file) part.file_name = *file;
            has_disposition = true;
        } else if (equals_ignoring_case(name, "content-type")) {
            part.content_type = value;
        }
    }
    if (!has_disposition) return bad("a part has no content-disposition");
    return {};
}

}  // namespace

const FormPart* Form::find(std::string_view name) const {
    const auto found = std::ranges::find(parts, name, &FormPart::name);
    return found == parts.end() ? nullptr : &*found;
}

std::size_t Form::count(std::string_view name) const {
    return static_cast<std::size_t>(std::ranges::count(parts, name, &FormPart::name));
}

std::string Form::with(std::string_view name, std::string_view text) const {
    std::string out;
    out.reserve(body.size() + text.size() + boundary.size() + 80);
    if (const FormPart* part = find(name)) {
        const auto at = static_cast<std::size_t>(part->data.data() - body.data());
        out.append(body.substr(0, at)).append(text).append(body.substr(at + part->data.size()));
        return out;
    }
    out = fmt::format(
        "--{}\r\ncontent-disposition: form-data; name=\"{}\"\r\n\r\n{}\r\n", boundary, name, text);
    return out.append(body);
}

bool is_form(std::string_view content_type) {
    return equals_ignoring_case(
        trim(content_type.substr(0, content_type.find(';'))), "multipart/form-data");
}

Result<Form> read_form(
    std::string_view body, std::string_view content_type, const FormOptions& options) {
    if (!is_form(content_type)) return bad("its content type is not multipart/form-data");
    const auto boundary = parameter(content_type, "boundary");
    if (!boundary || boundary->empty() || boundary->size() > kBoundaryBytesMax ||
        boundary->find_first_of("\r\n") != std::string::npos)
        return bad("its content type names no boundary of 1 to 70 characters");
    Form form;
    form.boundary = *boundary;
    form.body = body;
    const std::string first = "--" + *boundary;
    const std::string next = "\r\n" + first;
    // What stands before the first boundary belongs to nobody.
    std::size_t at = body.starts_with(first) ? 0 : body.find(next);
    if (at == std::string_view::npos) return bad("its boundary is not in the body");
    at += at == 0 ? first.size() : next.size();
    for (;;) {
        std::string_view rest = body.substr(at);
        if (rest.starts_with("--")) return form;
        while (rest.starts_with(' ') || rest.starts_with('\t')) rest.remove_prefix(1);
        if (!rest.starts_with("\r\n")) return bad("a boundary is followed by neither line nor end");
        rest.remove_prefix(2);
        const std::size_t head_end =
            rest.starts_with("\r\n") ? 0 : rest.substr(0, options.head_bytes_max).find("\r\n\r\n");
        if (head_end == std::string_view::npos)
            return bad(fmt::format(
                "the headers of a part do not end within {} bytes", options.head_bytes_max));
        if (form.parts.size() == options.parts_max)
            return bad(fmt::format("it has more than {} parts", options.parts_max));
        FormPart part;
        ENTREPOT_TRY_DO(read_head(rest.substr(0, head_end), part));
        rest.remove_prefix(head_end + (head_end == 0 ? 2 : 4));
        // An empty part's end may be the line of its own headers.
        const auto start = static_cast<std::size_t>(rest.data() - body.data());
        const std::size_t end = body.find(next, start);
        if (end == std::string_view::npos) return bad("it ends in the middle of a part");
        part.data = body.substr(start, end - start);
        form.parts.push_back(std::move(part));
        at = end + next.size();
    }
}

}  // namespace entrepot::framing
