// Clouds, models, offers and prices.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "config/schema.h"
#include "config/sections.h"

namespace entrepot::config {

std::string endpoint_fault(std::string_view url, bool path_allowed) {
    const bool tls = url.starts_with("https://");
    if (!tls && !url.starts_with("http://")) return "it does not begin with http:// or https://";
    url.remove_prefix(tls ? 8 : 7);
    const auto slash = url.find('/');
    const std::string_view authority = url.substr(0, slash);
    const std::string_view path = slash == std::string_view::npos ? "" : url.substr(slash);
    if (url.find_first_of("?#") != std::string_view::npos) return "it has a query or a fragment";
    if (authority.find('@') != std::string_view::npos) return "it holds a user name";
    for (const char c : url)
        if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f ||
            c == '\\' || c == '"')
            return "it holds a character that an address cannot have";
    if (!path_allowed && !path.empty() && path != "/") return "it has a path";
    std::string_view host = authority;
    std::string_view port;
    if (authority.starts_with('[')) {
        const auto close = authority.find(']');
        if (close == std::string_view::npos) return "a bracket is not closed";
        host = authority.substr(1, close - 1);
        port = authority.substr(close + 1);
    } else if (const auto colon = authority.find(':'); colon != std::string_view::npos) {
        host = authority.substr(0, colon);
        port = authority.substr(colon);
    }
    if (host.empty()) return "it has no host";
    if (!port.empty()) {
        unsigned number = 0;
        const char* end = port.data() + port.size();
        const auto [stopped, failure] = std::from_chars(port.data() + 1, end, number);
        if (port[0] != ':' || failure != std::errc() || stopped != end || number == 0 ||
            number > 65'535)
            return "its port is not a number from 1 to 65535";
    }
    return {};
}

namespace {

void read_kind(Reader& reader, const Node& node, CloudSettings& out) {
    static const std::vector<std::string> names(
        catalog::cloud_kind_names().begin(), catalog::cloud_kind_names().end());
    if (const auto index = reader.choice(node, names)) out.kind = static_cast<CloudKind>(*index);
}

template <std::string CloudSettings::* Member>
void read_text(Reader& reader, const Node& node, CloudSettings& out) {
    if (auto value = reader.text(node)) out.*Member = std::move(*value);
}

// What ends up in a host name or a header must not be able to change it.
template <std::string CloudSettings::* Member>
void read_word(Reader& reader, const Node& node, CloudSettings& out) {
    auto value = reader.text(node);
    if (!value) return;
    if (value->empty() ||
        value->find_first_not_of(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") !=
            std::string::npos) {
        reader.error(node, fmt::format("'{}' is not one plain word", excerpt(node.text, 60)),
            "use letters, digits, '.', '_' and '-'");
        return;
    }
    out.*Member = std::move(*value);
}

template <Secret CloudSettings::* Member>
void read_secret(Reader& reader, const Node& node, CloudSettings& out) {
    auto value = reader.secret(node);
    if (!value) return;
    for (const char c : value->reveal())
        if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) == 0x7f) {
            reader.error(node, "the secret holds a space or a control character",
                "check for a line break or a blank at either end");
            return;
        }
    out.*Member = std::move(*value);
}

// A key file's content has line breaks.
void read_service_account(Reader& reader, const Node& node, CloudSettings& out) {
    if (auto value = reader.secret(node)) out.service_account = std::move(*value);
}

template <std::string CloudSettings::* Member, bool kPathAllowed>
void read_url(Reader& reader, const Node& node, CloudSettings& out) {
    auto value = reader.text(node);
    if (!value) return;
    if (const std::string fault = endpoint_fault(*value, kPathAllowed); !fault.empty()) {
        reader.error(node, fmt::format("'{}' is not an address: {}", excerpt(node.text, 80), fault),
            kPathAllowed ? "write https://host[:port][/path]" : "write http://host:port");
        return;
    }
    while (value->ends_with('/')) value->pop_back();
    out.*Member = std::move(*value);
}

void read_proxy(Reader& reader, const Node& node, CloudSettings& out) {
    read_url<&CloudSettings::proxy, false>(reader, node, out);
    if (out.proxy.starts_with("https://")) {
        reader.error(node, "the way to the proxy itself cannot be TLS",
            "write http://host:port; what goes through it stays encrypted");
    }
}

void read_http(Reader& reader, const Node& node, CloudSettings& out) {
    static const std::vector<std::string> names{"1", "2", "auto"};  // in the order of CloudHttp
    if (const auto index = reader.choice(node, names)) out.http = static_cast<CloudHttp>(*index);
}

void read_credentials(Reader& reader, const Node& node, CloudSettings& out) {
    reader.section(credentials_section(), node, out.credentials);
}

template <std::int64_t UpstreamTimeouts::* Member>
void read_ms(Reader& reader, const Node& node, UpstreamTimeouts& out) {
    if (const auto value = reader.integer(node, 1, 86'400'000)) out.*Member = *value;
}

constexpr Field<UpstreamTimeouts> kUpstreamTimeoutFields[] = {
    {"connect_ms", "integer, 1 to 86400000", "3000", "Name look-up, TCP and TLS.",
        read_ms<&UpstreamTimeouts::connect_ms>},
    {"first_byte_ms", "integer, 1 to 86400000", "60000",
        "From the request's last byte to the answer's first; then the next offer is tried.",
        read_ms<&UpstreamTimeouts::first_byte_ms>},
    {"idle_ms", "integer, 1 to 86400000", "60000", "Between two reads of the answer.",
        read_ms<&UpstreamTimeouts::idle_ms>},
    {"total_ms", "integer, 1 to 86400000", "600000", "The whole attempt.",
        read_ms<&UpstreamTimeouts::total_ms>},
};

void read_timeouts(Reader& reader, const Node& node, CloudSettings& out) {
    reader.section(upstream_timeouts_section(), node, out.timeouts);
}

void read_connections_max(Reader& reader, const Node& node, CloudSettings& out) {
    if (const auto value = reader.integer(node, 1, 1'000'000)) out.connections_max = *value;
}

void read_service(Reader& reader, const Node& node, CloudSettings& out) {
    static const std::vector<std::string> names{"bedrock", "bedrock-mantle"};
    if (const auto index = reader.choice(node, names)) out.service = names[*index];
}

constexpr Field<CloudSettings> kCloudFields[] = {
    {"kind", "openai, openai_compatible, azure, anthropic, bedrock, vertex, gemini, oci or cohere",
        "required", "Who sells, and so which code speaks to it.", read_kind},
    {"endpoint", "URL", "the kind's own; required for azure and openai_compatible",
        "Proxies, private links, tests. No query, no user name.",
        read_url<&CloudSettings::endpoint, true>},
    {"region", "text", "unknown",
        "Where requests are processed. Required for bedrock, oci and, with a project, for vertex, "
        "where `eu`, `us` and `global` are regions too. A key that is limited to regions never "
        "reaches a cloud whose region is unknown.",
        read_word<&CloudSettings::region>},
    {"api_key", "secret",
        "required but for openai_compatible, bedrock, vertex, oci, and with `credentials`",
        "The supplier's key. For bedrock a bearer token, for oci a Generative AI API key. For "
        "vertex without `project`: express mode.",
        read_secret<&CloudSettings::api_key>},
    {"access_key_id", "secret", "none",
        "AWS access key, for bedrock without `api_key` and `credentials`.",
        read_secret<&CloudSettings::access_key_id>},
    {"secret_access_key", "secret", "none", "Its secret.",
        read_secret<&CloudSettings::secret_access_key>},
    {"session_token", "secret", "none", "Of temporary AWS credentials.",
        read_secret<&CloudSettings::session_token>},
    {"service", "bedrock or bedrock-mantle", "by the endpoint's host, else bedrock",
        "bedrock: the service that is called and signed for. `bedrock-mantle` speaks OpenAI's and "
        "Anthropic's own formats.",
        read_service},
    {"organization", "text", "none", "OpenAI's organization header.",
        read_word<&CloudSettings::organization>},
    {"project", "text", "none",
        "OpenAI's project header, also OCI's; Vertex's project, required but in express mode.",
        read_word<&CloudSettings::project>},
    {"api_version", "text", "the v1 API", "Azure's dated API.",
        read_word<&CloudSettings::api_version>},
    {"service_account", "secret", "none",
        "Google: the content of a service account's key file, from which tokens are made.",
        read_service_account},
    {"credentials", "map: [credentials](#cloudsnamecredentials)", "none",
        "Credentials that are fetched, and fetched anew ahead of their end, in place of constants.",
        read_credentials},
    {"compartment", "text", "required for oci but with `api_key`",
        "OCI: the compartment's OCID, under which requests are made. Native chat needs it always.",
        read_word<&CloudSettings::compartment>},
    {"config_file", "path", "none",
        "OCI: short for `credentials: {from: profile, config_file: ...}`.",
        read_text<&CloudSettings::config_file>},
    {"ca_file", "path", "the system's authorities", "Authorities that sign this endpoint, PEM.",
        read_text<&CloudSettings::ca_file>},
    {"client_cert", "path", "none",
        "Certificate chain, PEM, for endpoints that ask for one. With `client_key`.",
        read_text<&CloudSettings::client_cert_file>},
    {"client_key", "path", "none", "Its private key, PEM, without a passphrase.",
        read_text<&CloudSettings::client_key_file>},
    {"proxy", "URL", "none", "An HTTP proxy that is asked to CONNECT.", read_proxy},
    {"http", "1, 2 or auto", "1",
        "HTTP/1.1 takes a connection for each request under way, HTTP/2 carries a hundred on one. "
        "`auto` takes HTTP/2 where TLS agrees on it, and 1 on `http://`; `2` insists, and speaks "
        "it "
        "by prior knowledge on `http://`. docs/adr/0006-http2.md says when it is worth it.",
        read_http},
    {"timeouts", "map: [cloud timeouts](#cloudsnametimeouts)", "see there", "Bounds of an attempt.",
        read_timeouts},
    {"connections_max", "integer, 1 to 1000000", "32768",
        "Open connections to it, per core. One request more is answered 503, or served by the next "
        "offer.",
        read_connections_max},
};

// The name of a meter, read into its place: one function per meter, made from its number.
template <std::size_t Index>
void read_price(Reader& reader, const Node& node, PriceOverride& out) {
    const auto value = reader.text(node);
    if (!value) return;
    const auto price = UnitPrice::parse_per_million(*value);
    if (price) {
        out.per_unit[Index] = *price;
    } else {
        reader.error(node, fmt::format("'{}' is not a price", excerpt(node.text, 40)),
            "write a decimal per million tokens, not negative, at most six decimals: \"0.15\"");
    }
}

void read_price_currency(Reader& reader, const Node& node, PriceOverride& out) {
    const auto value = reader.text(node);
    if (!value) return;
    if (const auto currency = Currency::parse(*value)) {
        out.currency = *currency;
    } else {
        reader.error(node, fmt::format("'{}' is not a currency", excerpt(node.text, 40)),
            "write three capital letters such as USD");
    }
}

std::span<const Field<PriceOverride>> price_fields() {
    static const std::vector<Field<PriceOverride>> fields = [] {
        std::vector<Field<PriceOverride>> all;
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (all.push_back({canon::meter_name(static_cast<canon::Meter>(I)),
                 "decimal per million, at most six decimals", "not sold, or as `input`/`output`",
                 "", read_price<I>}),
                ...);
        }(std::make_index_sequence<canon::kMeterCount>());
        all.push_back({"currency", "ISO 4217 code", "the books' currency",
            "Must be the books' currency in this build.", read_price_currency});
        return all;
    }();
    return fields;
}

void read_offer_cloud(Reader& reader, const Node& node, OfferSettings& out) {
    if (auto value = reader.text(node)) out.cloud = CloudId(std::move(*value));
}

void read_offer_id(Reader& reader, const Node& node, OfferSettings& out) {
    auto value = reader.text(node);
    if (!value) return;
    // It becomes a path segment or a JSON string; neither may hold what breaks a line.
    const bool good = !value->empty() && value->size() <= 512 &&
        std::ranges::none_of(
            *value, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; });
    if (good) {
        out.model_at_cloud = std::move(*value);
    } else {
        reader.error(node, "the id is empty, too long, or holds a space",
            "write the id under which the cloud sells the model");
    }
}

void read_offer_region(Reader& reader, const Node& node, OfferSettings& out) {
    if (auto value = reader.text(node)) out.region = std::move(*value);
}

void read_offer_catalog(Reader& reader, const Node& node, OfferSettings& out) {
    if (auto value = reader.text(node)) out.catalog = std::move(*value);
}

template <std::int64_t OfferSettings::* Member>
void read_tokens(Reader& reader, const Node& node, OfferSettings& out) {
    if (const auto value = reader.integer(node, 1, 100'000'000)) out.*Member = *value;
}

void read_input_type(Reader& reader, const Node& node, OfferSettings& out) {
    static const std::vector<std::string> names{"query", "document", "similarity", "classification",
        "clustering", "question_answering", "fact_verification", "code_query"};
    if (const auto index = reader.choice(node, names))
        out.input_type = *canon::parse_embed_purpose(names[*index]);
}

void read_offer_price(Reader& reader, const Node& node, OfferSettings& out) {
    PriceOverride price;
    price.currency = reader.currency();
    reader.section(price_section(), node, price);
    out.price = std::move(price);
}

void read_api_format(Reader& reader, const Node& node, OfferSettings& out) {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> all;
        for (const ApiFormat format :
            {ApiFormat::kOpenai, ApiFormat::kGeneric, ApiFormat::kCohere, ApiFormat::kCohereV2})
            all.emplace_back(api_format_name(format));
        return all;
    }();
    if (const auto index = reader.choice(node, names))
        out.api_format = static_cast<ApiFormat>(*index + 1);
}

constexpr Field<OfferSettings> kOfferFields[] = {
    {"cloud", "name of a cloud", "required", "Where it is sold.", read_offer_cloud},
    {"id", "text", "the model's name",
        "The cloud's own id: for azure the deployment, for oci also the OCID of a dedicated "
        "endpoint, for vertex a model with or without its publisher (`meta/...`).",
        read_offer_id},
    {"api_format", "openai, generic, cohere or cohere_v2", "by the id",
        "oci: the wire format in which it is asked. By the id: Command A Reasoning and Vision in "
        "cohere_v2, other `cohere.*` in cohere, OCIDs in generic, all others in openai. The native "
        "formats "
        "(all but openai) name the compartment. bedrock: `openai` asks the runtime's chat "
        "completions in place of Converse; by the id both, for `openai.gpt-oss*`.",
        read_api_format},
    {"region", "text", "the id's profile (`us.`, `eu.`, `global.`), else the cloud's",
        "Where requests to this offer are processed. Write `global` for a deployment that may "
        "process anywhere.",
        read_offer_region},
    {"catalog", "`author/model`, or an offer's id in the catalogue", "found by the id",
        "What it is in the catalogue, where the id does not say: an azure deployment, a proxy. "
        "Prices and sizes come from there. With an offer's id the price is that offer's, wherever "
        "it is; `entrepot prices` lists them.",
        read_offer_catalog},
    {"context_tokens", "integer, 1 to 100000000", "the catalogue's", "Prompt and answer together.",
        read_tokens<&OfferSettings::context_tokens>},
    {"max_output_tokens", "integer, 1 to 100000000", "the catalogue's",
        "The most that one answer can hold; bounds what a request may cost.",
        read_tokens<&OfferSettings::max_output_tokens>},
    {"input_type",
        "query, document, similarity, classification, clustering, question_answering, "
        "fact_verification or code_query",
        "the supplier's own",
        "Of an embedding model: what its vectors are for, where a request does not say, as "
        "OpenAI's "
        "never do. Cohere's models demand it. It changes the vectors: texts that are compared "
        "belong under settings that fit each other.",
        read_input_type},
    {"price", "map: [price](#modelsnameoffersnameprice)", "the price book's",
        "Prices that take the place of the price book's.", read_offer_price},
};

void read_offers(Reader& reader, const Node& node, ModelSettings& out) {
    reader.each(node, [&](const Node::Member& member) {
        check_name(reader, member);
        OfferSettings offer;
        offer.name = member.key;
        offer.id = OfferId(fmt::format("{}/{}", out.id.view(), member.key));
        offer.at = member.key_at;
        offer.model_at_cloud = out.id.str();
        reader.section(offer_section(), member.value, offer);
        out.offers.push_back(std::move(offer));
    });
    if (out.offers.empty())
        reader.error(node, "the model has no offer", "add {name: {cloud: ..., id: ...}}");
}

constexpr Field<ModelSettings> kModelFields[] = {
    {"offers", "map by name: [offer](#modelsnameoffersname)", "required",
        "Who sells it, each under a short name; several make the model multi-homed.", read_offers},
};

}  // namespace

const Section<UpstreamTimeouts>& upstream_timeouts_section() {
    static const Section<UpstreamTimeouts> section{
        "clouds.<name>.timeouts", "In milliseconds.", kUpstreamTimeoutFields};
    return section;
}

const Section<CloudSettings>& cloud_section() {
    static const Section<CloudSettings> section{
        "clouds.<name>", "One endpoint of a supplier, with its credentials.", kCloudFields};
    return section;
}

const Section<PriceOverride>& price_section() {
    static const Section<PriceOverride> section{"models.<name>.offers.<name>.price",
        "Decimals per million tokens (or per million of what the meter counts). A meter that is "
        "not given is priced as the part of the prompt or answer that it belongs to. `input` and "
        "`output` are required, but for what is sold by the piece alone: `images`, `characters`, "
        "`audio_seconds`, `searches` or `requests`.",
        price_fields()};
    return section;
}

const Section<OfferSettings>& offer_section() {
    static const Section<OfferSettings> section{
        "models.<name>.offers.<name>", "The model at one cloud.", kOfferFields};
    return section;
}

const Section<ModelSettings>& model_section() {
    static const Section<ModelSettings> section{"models.<name>",
        "The name is what clients ask for: printable, without spaces, at most 128 characters.",
        kModelFields};
    return section;
}

void read_cloud(Reader& reader, const Node::Member& member, CloudSettings& out) {
    check_name(reader, member);
    out.id = CloudId(member.key);
    out.at = member.key_at;
    reader.section(cloud_section(), member.value, out);
}

void read_model(Reader& reader, const Node::Member& member, ModelSettings& out) {
    const bool good = !member.key.empty() && member.key.size() <= 128 &&
        std::ranges::none_of(member.key, [](char c) {
            return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f ||
                c == '"' || c == '*';
        });
    if (!good)
        reader.error(member.key_at, reader.path(),
            fmt::format("'{}' cannot be a model's name", excerpt(member.key)),
            "use printable ASCII without spaces, '*' and quotes, at most 128 characters");
    out.id = ModelId(member.key);
    out.at = member.key_at;
    reader.section(model_section(), member.value, out);
}

}  // namespace entrepot::config
