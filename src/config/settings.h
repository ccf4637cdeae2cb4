#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/credential.h"
#include "auth/policy.h"
#include "base/ids.h"
#include "base/money.h"
#include "base/secret.h"
#include "base/time.h"
#include "canon/embed.h"
#include "canon/usage.h"
#include "catalog/region.h"
#include "contracts/contract.h"
#include "contracts/own_rates.h"

namespace entrepot::config {

/// Where a value stands in the file; line and column count from 1, 0 is unknown.
struct Location {
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    friend bool operator==(const Location&, const Location&) = default;
};

/// What a file states, value by value: its path (`keys.search-prod.budgets[0].limit`) and the value
/// with its `${...}` replaced, a secret as `sha256:` and 8 hex digits. Sorted by path.
using Stated = std::vector<std::pair<std::string, std::string>>;

struct TlsSettings {
    std::string cert_file;
    std::string key_file;
    std::string client_ca_file;  ///< empty: clients present no certificate
};

struct ListenSettings {
    std::string address = "127.0.0.1";  ///< an IP address
    std::uint16_t port = 0;             ///< 0: the system chooses
    std::optional<TlsSettings> tls;
    std::vector<std::string> trusted_proxies;  ///< addresses or CIDR blocks
};

using catalog::cloud_kind_name;
using catalog::CloudKind;

/// Bounds of the phases of one attempt.
struct UpstreamTimeouts {
    std::int64_t connect_ms = 3'000;      ///< name, TCP and TLS
    std::int64_t first_byte_ms = 60'000;  ///< from the request's last byte to the answer's first
    std::int64_t idle_ms = 60'000;        ///< between two reads of the answer
    std::int64_t total_ms = 600'000;      ///< the whole attempt
};

/// Who issues a cloud's credentials, where they are no constants of the file.
enum class CredentialsFrom : std::uint8_t {
    kNowhere,            ///< constants: `api_key`, or an access key pair
    kEnvironment,        ///< AWS's variables, read with the file: they are constants by then
    kProfile,            ///< AWS's shared files, Oracle's config file
    kWebIdentity,        ///< AWS STS takes a token file's content
    kInstance,           ///< AWS's instance metadata, version 2; Oracle's, and its federation
    kContainer,          ///< AWS's endpoint within ECS and EKS
    kClientSecret,       ///< Entra takes a secret
    kClientCertificate,  ///< Entra takes a text signed with a certificate's key
    kManagedIdentity,    ///< Azure's instance metadata
    kWorkloadIdentity,   ///< Entra takes a token file's content
    kServiceAccount,     ///< Google takes a text signed with the account's key
    kMetadata,           ///< Google's metadata server
    kSigningKey,         ///< Oracle's API signing key, of this file
};

/// What is needed to fetch a cloud's credentials. What `from` does not need is empty; what the file
/// left to the platform's variables has been read from them.
struct CredentialSettings {
    CredentialsFrom from = CredentialsFrom::kNowhere;
    std::string endpoint;  ///< who is asked; empty: the address that the supplier documents
    std::string ca_file;
    std::string profile, credentials_file, config_file;  ///< AWS and OCI profile
    std::string home;                                    ///< OCI profile: what `~` stands for
    std::string role_arn, session_name;                  ///< web identity
    std::string token_file;  ///< its content is read at every fetch: the platform replaces it
    Secret authorization;    ///< AWS container, when it is no file's
    std::string tenant, client_id;  ///< Entra; a managed identity's may be absent
    Secret client_secret;
    Secret certificate;                      ///< PEM
    Secret private_key;                      ///< PEM; empty: it stands beside the certificate
    std::string tenancy, user, fingerprint;  ///< OCI signing key
    Secret pass_phrase;                      ///< of the signing key; may be empty
    std::string scope;                       ///< of an OAuth token; empty: the cloud's own
};

/// The HTTP version that a cloud is asked in: kAuto takes what TLS agrees on.
enum class CloudHttp : std::uint8_t { k1, k2, kAuto };

struct CloudSettings {
    CloudId id;
    CloudKind kind = CloudKind::kOpenai;
    std::string
        endpoint;  ///< `https://host[:port][/path]` without a trailing slash; empty: the kind's own
    std::string region;  ///< where requests are processed; empty: unknown, so only `*` reaches it
    Secret api_key;      ///< Bedrock: a bearer token
    Secret access_key_id, secret_access_key, session_token;  ///< Bedrock
    std::string service;                ///< Bedrock: `bedrock-mantle`; empty: as the endpoint says
    std::string organization, project;  ///< OpenAI headers; Vertex's project
    std::string api_version;            ///< Azure; empty: the v1 API
    Secret service_account;             ///< Google: the key file's content
    CredentialSettings credentials;
    std::string compartment;  ///< OCI: whose budget and policies a request falls under
    std::string config_file;  ///< OCI: short for credentials from its profile
    std::string ca_file;
    std::string client_cert_file, client_key_file;  ///< shown to who asks for a certificate
    std::string proxy;                              ///< `http://host:port`, reached by CONNECT
    CloudHttp http = CloudHttp::k1;
    UpstreamTimeouts timeouts;
    std::int64_t connections_max = 32'768;  ///< per core
    Location at;

    /// Whether something has to be fetched before the cloud can be called.
    [[nodiscard]] bool fetches_credentials() const {
        return credentials.from != CredentialsFrom::kNowhere &&
            credentials.from != CredentialsFrom::kEnvironment;
    }
};

/// The wire format in which an offer is asked, where a cloud has several.
enum class ApiFormat : std::uint8_t {
    kByModel,   ///< the kind knows by the model's id
    kOpenai,    ///< OpenAI's own, at an endpoint that copies it
    kGeneric,   ///< OCI: native chat for all makers but Cohere
    kCohere,    ///< OCI: native chat after Cohere's first version
    kCohereV2,  ///< OCI: native chat after Cohere's second version
};
[[nodiscard]] std::string_view api_format_name(ApiFormat format);
/// How OCI is asked for a model: as stated, else by its id. Cohere's are not served in OpenAI's
/// format; an OCID hides its maker, and native chat takes all but Cohere's.
[[nodiscard]] ApiFormat oci_format(ApiFormat stated, std::string_view model_at_cloud);

/// Prices of one offer that take the place of the price book's.
struct PriceOverride {
    std::array<std::optional<UnitPrice>, canon::kMeterCount> per_unit{};  ///< by canon::Meter
    Currency currency;
};

struct OfferSettings {
    OfferId id;  ///< `model/name`
    std::string name;
    CloudId cloud;
    std::string model_at_cloud;  ///< `id` in the file; the model's own name when absent
    std::string region;          ///< overrides the cloud's
    ApiFormat api_format = ApiFormat::kByModel;
    std::string catalog;  ///< catalogue model (`author/model`) or offer id; empty: by the id
    std::int64_t context_tokens = 0;     ///< 0: the catalogue's
    std::int64_t max_output_tokens = 0;  ///< 0: the catalogue's
    canon::EmbedPurpose input_type = canon::EmbedPurpose::kUnsaid;
    std::optional<PriceOverride> price;
    Location at;
};

struct ModelSettings {
    ModelId id;
    std::vector<OfferSettings> offers;  ///< at least one
    Location at;
};

/// When somebody is told what a budget stands at, once a period for each share.
struct NotifySettings {
    std::vector<std::int64_t> at{50, 80, 100};  ///< percent of the limit, spent; ascending
    std::string webhook;                        ///< who is told
    friend bool operator==(const NotifySettings&, const NotifySettings&) = default;
};

struct BudgetSettings {
    Money limit;    ///< >= 0
    Money raise{};  ///< on top, for what is dispatched before `raise_until`; never of the file
    Instant raise_until{};
    Currency currency;
    PeriodKind period = PeriodKind::kMonth;
    TimeZone zone = TimeZone::utc();
    std::optional<NotifySettings> notify;
    Location at;
};

struct OrgSettings {
    OrgId id;
    std::vector<BudgetSettings> budgets;
    auth::Limits limits;  ///< of all its keys together
    Location at;
};

struct TeamSettings {
    TeamId id;
    OrgId org;
    std::vector<BudgetSettings> budgets;
    auth::Limits limits;  ///< of all its keys together
    auth::NameSet models = auth::NameSet::all();
    auth::NameSet clouds = auth::NameSet::all();
    auth::RegionSet regions = auth::RegionSet::all();
    Location at;
};

/// A part of a team's work, with budgets and limits of its own.
struct ProjectSettings {
    ProjectId id;
    TeamId team;
    std::vector<BudgetSettings> budgets;
    auth::Limits limits;
    Location at;
};

/// Who stands behind a key's requests, as its client says.
struct EndUserSettings {
    std::string header;       ///< of the request; lower case; may be empty
    bool is_in_body = false;  ///< the request's own field is read, where the header says nothing
    bool is_required = false;
    std::vector<BudgetSettings> budgets;  ///< of each of them
};

/// Calls of a cloud's API that the gateway has no words of its own for and lets through.
struct PassRule {
    CloudId cloud;
    std::vector<std::string> methods;
    std::string path;  ///< below the cloud's endpoint; `*`: a segment, `**` at the end: the rest
    Money ceiling;     ///< what one call may cost, and is booked at unless the answer says
    Location at;
};

struct KeySettings {
    KeyId id;
    TeamId team;
    ProjectId project;                              ///< may be empty
    std::vector<auth::Digest> digests;              ///< of its live secrets, one or two
    std::optional<auth::AccessKeyPair> access_key;  ///< for clients that sign (AWS SigV4)
    std::optional<Instant> expires;
    bool disabled = false;
    auth::NameSet models = auth::NameSet::all();
    auth::NameSet clouds = auth::NameSet::all();
    auth::RegionSet regions = auth::RegionSet::all();
    std::vector<BudgetSettings> budgets;
    auth::Limits limits;
    auth::Policy policy;
    std::map<std::string, std::string> tags;
    std::map<std::string, std::string> tag_headers;  ///< tag to request header, lower case
    EndUserSettings end_users;
    std::vector<PassRule> passthrough;
    Location at;
};

enum class Durability : std::uint8_t {
    kProcess,  ///< holds survive kill -9
    kPower,    ///< and a power cut
};

/// Bounds of the client's side.
struct ClientTimeouts {
    std::int64_t header_ms = 10'000;  ///< from the first byte of a request to the end of its head
    std::int64_t body_ms = 60'000;    ///< the whole body
    std::int64_t keep_alive_ms = 75'000;  ///< an idle connection
    std::int64_t write_ms = 60'000;       ///< one write that the client does not read
    std::int64_t drain_ms = 30'000;       ///< open exchanges after SIGTERM
    friend bool operator==(const ClientTimeouts&, const ClientTimeouts&) = default;
};

/// Bounds of a client's HTTP/2 connection.
struct ClientHttp2 {
    bool is_enabled = true;
    std::int64_t streams_max = 128;      ///< requests at once
    std::int64_t requests_max = 10'000;  ///< then it is retired
    std::int64_t age_ms = 600'000;       ///< then too
    friend bool operator==(const ClientHttp2&, const ClientHttp2&) = default;
};

/// Where notices are posted.
struct WebhookSettings {
    std::string name;
    Secret url;     ///< may hold what lets one post there
    Secret secret;  ///< signs them
    std::string ca_file;
    std::string proxy;
    Location at;

    /// The bytes that sign: of `whsec_` and base64 what that stands for, else the text's own.
    [[nodiscard]] Secret signing_key() const;
};

/// The whole file as plain values, checked: every name refers to something that exists.
struct Settings {
    std::string file;  ///< as given; empty when it came from memory
    ListenSettings listen{.address = "127.0.0.1", .port = 4100};
    ListenSettings admin{.address = "127.0.0.1", .port = 4101};
    std::string data =
        "./var/entrepot";      ///< relative to the file's folder, made absolute by `load_file`
    std::int64_t threads = 0;  ///< 0: one per CPU the process may use
    Durability durability = Durability::kProcess;
    Currency currency;
    std::vector<CloudSettings> clouds;  ///< in the file's order, as are the lists below
    std::vector<ModelSettings> models;
    std::vector<OrgSettings> orgs;
    std::vector<TeamSettings> teams;
    std::vector<ProjectSettings> projects;
    std::vector<KeySettings> keys;
    std::vector<contracts::Contract> contracts;
    /// Of the store, never of the file: those that are known and not taken back.
    std::vector<contracts::OwnRate> own_rates;
    std::vector<WebhookSettings> webhooks;
    ClientTimeouts timeouts;
    ClientHttp2 http2;
    std::vector<std::string> cors_origins;  ///< of web pages: `https://app.example`, or `*`
    std::int64_t reply_buffer_bytes = 1 << 20;
    std::int64_t body_bytes_max = 32 << 20;
    std::int64_t header_bytes_max = 32 << 10;
    std::int64_t connections_max = 16'384;  ///< open client connections per core
    std::string access_log;                 ///< empty: off; `stderr`; or a path
    std::string log_level = "info";
    std::shared_ptr<const Stated> stated;  ///< what of all this the file says; null: no file does

    [[nodiscard]] const CloudSettings* find_cloud(std::string_view id) const;
    [[nodiscard]] const ModelSettings* find_model(std::string_view id) const;
    [[nodiscard]] const TeamSettings* find_team(std::string_view id) const;
    [[nodiscard]] const ProjectSettings* find_project(std::string_view id) const;
    [[nodiscard]] const OrgSettings* find_org(std::string_view id) const;
    [[nodiscard]] const KeySettings* find_key(std::string_view id) const;
    [[nodiscard]] const WebhookSettings* find_webhook(std::string_view name) const;
};

/// The keys of `changed` that a running process cannot take over, by name: what its listeners,
/// event loops, books and access log were made with at its start. Empty when a reload can apply
/// `changed`.
[[nodiscard]] std::vector<std::string> needs_restart(
    const Settings& running, const Settings& changed);

}  // namespace entrepot::config
