// Notices of budgets, and where they are posted.

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "config/schema.h"
#include "config/sections.h"

namespace entrepot::config {
namespace {

constexpr std::size_t kSharesMax = 8;
constexpr std::size_t kSigningBytesMin = 16;

void read_at(Reader& reader, const Node& node, NotifySettings& out) {
    out.at.clear();
    reader.each_item(node, [&](const Node& item) {
        const auto share = reader.integer(item, 1, 100);
        if (!share) return;
        if (out.at.size() == kSharesMax || std::ranges::find(out.at, *share) != out.at.end())
            reader.error(item,
                fmt::format("{} is there twice, or is beyond the {}th", *share, kSharesMax),
                fmt::format("name each percentage once, at most {} of them", kSharesMax));
        else
            out.at.push_back(*share);
    });
    if (node.kind == Node::Kind::kList && node.items.empty())
        reader.error(node, "the list is empty, so nobody would ever be told",
            "write percentages such as [50, 80, 100], or remove `notify`");
    std::ranges::sort(out.at);
}

void read_webhook_name(Reader& reader, const Node& node, NotifySettings& out) {
    if (auto value = reader.text(node)) out.webhook = std::move(*value);
}

constexpr Field<NotifySettings> kNotifyFields[] = {
    {"at", "list of integers, 1 to 100", "[50, 80, 100]",
        "Percent of the limit. When what was spent first reaches one in a period, one notice is "
        "sent.",
        read_at},
    {"webhook", "name of a webhook", "required", "Where it is posted.", read_webhook_name},
};

// The address may be what lets one post, so no message repeats it.
void read_webhook_url(Reader& reader, const Node& node, WebhookSettings& out) {
    auto value = reader.secret(node);
    if (!value) return;
    const std::string_view url = value->reveal();
    std::string fault = endpoint_fault(url.substr(0, url.find('?')), true);
    if (fault.empty() && url.find_first_of("# \t\r\n\"\\") != std::string_view::npos)
        fault = "it has a fragment, or a character that an address cannot have";
    if (fault.empty())
        out.url = std::move(*value);
    else
        reader.error(node, fmt::format("this is not an address: {}", fault),
            "write https://host[:port]/path[?query]");
}

void read_signing_secret(Reader& reader, const Node& node, WebhookSettings& out) {
    auto value = reader.secret(node);
    if (!value) return;
    out.secret = std::move(*value);
    constexpr std::string_view kPrefix = "whsec_";
    std::string bytes;
    if (out.secret.reveal().starts_with(kPrefix) &&
        !base64_decode(out.secret.reveal().substr(kPrefix.size()), bytes))
        reader.error(node, "what follows whsec_ is not base64",
            "write whsec_ and the output of `openssl rand -base64 32`");
    else if (out.signing_key().reveal().size() < kSigningBytesMin)
        reader.error(node, fmt::format("the secret has fewer than {} bytes", kSigningBytesMin),
            "write whsec_ and the output of `openssl rand -base64 32`");
}

void read_ca_file(Reader& reader, const Node& node, WebhookSettings& out) {
    if (auto value = reader.text(node)) out.ca_file = std::move(*value);
}

void read_webhook_proxy(Reader& reader, const Node& node, WebhookSettings& out) {
    auto value = reader.text(node);
    if (!value) return;
    std::string fault = endpoint_fault(*value, false);
    if (fault.empty() && value->starts_with("https://"))
        fault = "the way to the proxy itself cannot be TLS";
    if (fault.empty())
        out.proxy = std::move(*value);
    else
        reader.error(node, fmt::format("'{}' is not an address: {}", excerpt(node.text), fault),
            "write http://host:port");
}

constexpr Field<WebhookSettings> kWebhookFields[] = {
    {"url", "secret URL", "required",
        "Where to. Kept as a secret: many let anybody post who has it.", read_webhook_url},
    {"secret", "secret", "required",
        "What signs the notices: `whsec_` and base64, or any text of 16 bytes or more.",
        read_signing_secret},
    {"ca_file", "path", "the system's", "PEM bundle of authorities to believe.", read_ca_file},
    {"proxy", "URL", "none", "An HTTP proxy that is asked to CONNECT.", read_webhook_proxy},
};

}  // namespace

const Section<NotifySettings>& notify_section() {
    static const Section<NotifySettings> section{"budgets.notify", "", kNotifyFields};
    return section;
}

const Section<WebhookSettings>& webhook_section() {
    static const Section<WebhookSettings> section{"webhooks.<name>",
        "A receiver of notices. Each is JSON, signed, and sent again until it is taken.",
        kWebhookFields};
    return section;
}

}  // namespace entrepot::config
