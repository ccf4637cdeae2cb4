// `clouds.<name>.credentials`: what is written, and what has to be.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/aws_profile.h"
#include "config/google_key.h"
#include "config/oci_profile.h"
#include "config/schema.h"
#include "config/sections.h"
#include "crypto/rsa.h"

namespace entrepot::config {
namespace {

/// One value of `from`: the kinds of clouds that take it, and its other keys.
struct Origin {
    std::string_view name;
    std::vector<CloudKind> kinds;
    std::vector<std::string_view> needs;
    std::vector<std::string_view> takes;
};

const std::array<Origin, 13>& origins() {
    using enum CloudKind;
    static const std::vector<CloudKind> aws{kBedrock};
    static const std::vector<CloudKind> entra{kAzure, kOpenaiCompatible};
    static const std::vector<CloudKind> google{kVertex, kOpenaiCompatible};
    // In the order of CredentialsFrom.
    static const std::array<Origin, 13> rows{
        Origin{"", {}, {}, {}},
        Origin{"environment", aws, {}, {}},
        Origin{"profile", {kBedrock, kOci}, {}, {"profile", "credentials_file", "config_file"}},
        Origin{"web_identity", aws, {"role_arn", "token_file"},
            {"session_name", "endpoint", "ca_file"}},
        Origin{"instance", {kBedrock, kOci}, {}, {"endpoint"}},
        Origin{"container", aws, {"endpoint"}, {"token_file", "ca_file"}},
        Origin{"client_secret", entra, {"tenant", "client_id", "client_secret"},
            {"scope", "endpoint", "ca_file"}},
        Origin{"client_certificate", entra, {"tenant", "client_id", "certificate"},
            {"private_key", "scope", "endpoint", "ca_file"}},
        Origin{"managed_identity", entra, {}, {"client_id", "scope", "endpoint"}},
        Origin{"workload_identity", entra, {"tenant", "client_id", "token_file"},
            {"scope", "endpoint", "ca_file"}},
        Origin{"service_account", google, {}, {"scope", "endpoint", "ca_file"}},
        Origin{"metadata", google, {}, {"scope", "endpoint"}},
        Origin{"signing_key", {kOci}, {"tenancy", "user", "fingerprint", "private_key"},
            {"pass_phrase"}},
    };
    return rows;
}

void read_from(Reader& reader, const Node& node, CredentialSettings& out) {
    std::vector<std::string> names;
    for (std::size_t i = 1; i < origins().size(); ++i) names.emplace_back(origins()[i].name);
    if (const auto index = reader.choice(node, names))
        out.from = static_cast<CredentialsFrom>(*index + 1);
}

template <std::string CredentialSettings::* Member>
void read_path(Reader& reader, const Node& node, CredentialSettings& out) {
    auto value = reader.text(node);
    if (!value) return;
    if (value->empty()) {
        reader.error(node, "the path is empty", "give it a value, or remove the key");
        return;
    }
    out.*Member = std::move(*value);
}

// What goes into a path, a form or a JSON text; never a line break.
template <std::string CredentialSettings::* Member>
void read_name(Reader& reader, const Node& node, CredentialSettings& out) {
    auto value = reader.text(node);
    if (!value) return;
    if (value->empty() || std::ranges::any_of(*value, [](char c) {
            return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f;
        })) {
        reader.error(node, "it is empty, or holds a blank or a character that is not ASCII",
            "write it as the supplier's console shows it");
        return;
    }
    out.*Member = std::move(*value);
}

template <Secret CredentialSettings::* Member>
void read_material(Reader& reader, const Node& node, CredentialSettings& out) {
    if (auto value = reader.secret(node)) out.*Member = std::move(*value);
}

void read_endpoint(Reader& reader, const Node& node, CredentialSettings& out) {
    auto value = reader.text(node);
    if (!value) return;
    if (const std::string fault = endpoint_fault(*value, true); !fault.empty()) {
        reader.error(node, fmt::format("'{}' is not an address: {}", excerpt(node.text, 80), fault),
            "write https://host[:port][/path]");
        return;
    }
    while (value->ends_with('/')) value->pop_back();
    out.endpoint = std::move(*value);
}

constexpr Field<CredentialSettings> kFields[] = {
    {"from",
        "environment, profile, web_identity, instance, container (AWS); client_secret, "
        "client_certificate, managed_identity, workload_identity (Entra); service_account, "
        "metadata (Google); profile, signing_key, instance (Oracle)",
        "required", "Who issues them. [Cloud credentials](credentials.md) tells each.", read_from},
    {"endpoint", "URL", "the address that the supplier documents; for container required",
        "Who is asked: a private link, another national cloud, a test. Plain http only to this "
        "machine and to metadata addresses.",
        read_endpoint},
    {"ca_file", "path", "the system's authorities", "Authorities that sign `endpoint`, PEM.",
        read_path<&CredentialSettings::ca_file>},
    {"profile", "text", "$AWS_PROFILE, else default; for oci DEFAULT", "profile: its name.",
        read_name<&CredentialSettings::profile>},
    {"credentials_file", "path", "$AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials",
        "profile: AWS's credentials file. Read again every minute.",
        read_path<&CredentialSettings::credentials_file>},
    {"config_file", "path",
        "$AWS_CONFIG_FILE, else ~/.aws/config; for oci $OCI_CONFIG_FILE, else ~/.oci/config",
        "profile: AWS's config file; Oracle's, read again every minute with its key and token.",
        read_path<&CredentialSettings::config_file>},
    {"role_arn", "text", "$AWS_ROLE_ARN", "web_identity: the role to assume.",
        read_name<&CredentialSettings::role_arn>},
    {"session_name", "text", "$AWS_ROLE_SESSION_NAME, else entrepot",
        "web_identity: how the session is called in AWS's own logs.",
        read_name<&CredentialSettings::session_name>},
    {"token_file", "path",
        "$AWS_WEB_IDENTITY_TOKEN_FILE, $AZURE_FEDERATED_TOKEN_FILE or "
        "$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, by `from`",
        "web_identity, workload_identity, container: the file in which the platform leaves its "
        "token. Read at every fetch.",
        read_path<&CredentialSettings::token_file>},
    {"tenant", "text", "for workload_identity $AZURE_TENANT_ID", "Entra: the directory.",
        read_name<&CredentialSettings::tenant>},
    {"client_id", "text", "for workload_identity $AZURE_CLIENT_ID",
        "Entra: the application; for managed_identity, which of the machine's identities.",
        read_name<&CredentialSettings::client_id>},
    {"client_secret", "secret", "none", "client_secret: the secret.",
        read_material<&CredentialSettings::client_secret>},
    {"certificate", "secret", "none",
        "client_certificate: the certificate, PEM; may hold the private key as well.",
        read_material<&CredentialSettings::certificate>},
    {"private_key", "secret", "beside the certificate; for signing_key required",
        "client_certificate: its RSA key, PEM, without a passphrase; signing_key: the key, PEM.",
        read_material<&CredentialSettings::private_key>},
    {"tenancy", "text", "required for signing_key", "signing_key: the tenancy's OCID.",
        read_name<&CredentialSettings::tenancy>},
    {"user", "text", "required for signing_key", "signing_key: the user's OCID.",
        read_name<&CredentialSettings::user>},
    {"fingerprint", "text", "required for signing_key",
        "signing_key: of the key, as the console shows it.",
        read_name<&CredentialSettings::fingerprint>},
    {"pass_phrase", "secret", "none", "signing_key: of the key, when it is encrypted.",
        read_material<&CredentialSettings::pass_phrase>},
    {"scope", "text",
        "https://cognitiveservices.azure.com/.default, or "
        "https://www.googleapis.com/auth/cloud-platform",
        "Entra, Google: what the token is for.", read_name<&CredentialSettings::scope>},
};

std::string_view host_of(std::string_view url) {
    url.remove_prefix(std::min(url.size(), url.find("://") + 3));
    url = url.substr(0, url.find('/'));
    if (url.starts_with('[')) return url.substr(1, url.find(']') - 1);
    return url.substr(0, url.find(':'));
}

bool is_made_of(std::string_view text, std::string_view letters) {
    return text.find_first_not_of(letters) == std::string_view::npos;
}

// Where nobody on the way can listen. A name may begin as an address does, so the whole counts.
bool is_near(std::string_view host) {
    if (host == "localhost" || host == "::1" || host == "metadata.google.internal") return true;
    if (host.starts_with("127.") || host.starts_with("169.254."))
        return is_made_of(host, "0123456789.");
    return host.starts_with("fd00:ec2::") && is_made_of(host, "0123456789abcdef:");
}

class Check {
public:
    Check(Reader& reader, CloudSettings& cloud)
        : reader_(reader),
          cloud_(cloud),
          out_(cloud.credentials),
          cloud_path_(fmt::format("clouds.{}", excerpt(cloud.id.view()))),
          path_(cloud_path_ + ".credentials") {}

    void run() {
        if (!reader_.was_given(path_)) return check_short_forms();
        if (out_.from == CredentialsFrom::kNowhere) return;  // told already
        const Origin& origin = origins()[static_cast<std::size_t>(out_.from)];
        if (std::ranges::find(origin.kinds, cloud_.kind) == origin.kinds.end()) {
            reader_.error_at(path_ + ".from",
                fmt::format(
                    "'{}' is not for clouds of kind {}", origin.name, cloud_kind_name(cloud_.kind)),
                choices());
            return;
        }
        for (const std::string_view constant :
            {"api_key", "access_key_id", "secret_access_key", "session_token"})
            if (reader_.was_given(fmt::format("{}.{}", cloud_path_, constant)))
                reader_.error_at(fmt::format("{}.{}", cloud_path_, constant),
                    fmt::format("both '{}' and `credentials` are given", constant),
                    "keep one of them");
        for (const Field<CredentialSettings>& field : credentials_section().fields)
            if (field.name != "from" && given(field.name) && !takes(origin, field.name))
                reader_.error_at(fmt::format("{}.{}", path_, field.name),
                    fmt::format("'{}' means nothing to from: {}", field.name, origin.name),
                    "remove it, or choose another `from`");
        if (!reader_.environment().is_whole) return;
        take_from_platform();
        for (const std::string_view name : origin.needs)
            if (!given(name) && is_empty(name))
                reader_.error_at(fmt::format("{}.{}", path_, name),
                    fmt::format(
                        "'{}' is missing: from: {} cannot do without it", name, origin.name),
                    remedy_of(name));
        check_endpoint();
        check_material();
    }

private:
    [[nodiscard]] bool given(std::string_view name) const {
        return reader_.was_given(fmt::format("{}.{}", path_, name));
    }

    static bool is_of(const Origin& origin, std::string_view name) {
        return std::ranges::find(origin.needs, name) != origin.needs.end() ||
            std::ranges::find(origin.takes, name) != origin.takes.end();
    }

    // Oracle keeps everything in one file.
    [[nodiscard]] bool takes(const Origin& origin, std::string_view name) const {
        return is_of(origin, name) &&
            !(cloud_.kind == CloudKind::kOci && name == "credentials_file");
    }

    [[nodiscard]] std::string choices() const {
        std::vector<std::string_view> names;
        for (const Origin& origin : origins())
            if (std::ranges::find(origin.kinds, cloud_.kind) != origin.kinds.end())
                names.push_back(origin.name);
        if (names.empty()) return "remove `credentials` and give api_key";
        return fmt::format("write one of {}", fmt::join(names, ", "));
    }

    [[nodiscard]] bool is_empty(std::string_view name) const {
        if (name == "role_arn") return out_.role_arn.empty();
        if (name == "token_file") return out_.token_file.empty();
        if (name == "endpoint") return out_.endpoint.empty();
        if (name == "tenant") return out_.tenant.empty();
        if (name == "client_id") return out_.client_id.empty();
        if (name == "client_secret") return out_.client_secret.empty();
        if (name == "tenancy") return out_.tenancy.empty();
        if (name == "user") return out_.user.empty();
        if (name == "fingerprint") return out_.fingerprint.empty();
        if (name == "private_key") return out_.private_key.empty();
        return out_.certificate.empty();
    }

    [[nodiscard]] std::string remedy_of(std::string_view name) const {
        using enum CredentialsFrom;
        std::string_view variable;
        if (out_.from == kWebIdentity)
            variable = name == "role_arn" ? "AWS_ROLE_ARN" : "AWS_WEB_IDENTITY_TOKEN_FILE";
        if (out_.from == kContainer) variable = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
        if (out_.from == kWorkloadIdentity)
            variable = name == "tenant" ? "AZURE_TENANT_ID"
                : name == "client_id"   ? "AZURE_CLIENT_ID"
                                        : "AZURE_FEDERATED_TOKEN_FILE";
        const bool is_secret =
            name == "client_secret" || name == "certificate" || name == "private_key";
        std::string text = fmt::format(
            "add {}: {}", name, is_secret ? "\"${env:NAME}\" or \"${file:/path}\"" : "<value>");
        if (!variable.empty()) text += fmt::format(", or let the platform set ${}", variable);
        return text;
    }

    [[nodiscard]] std::string variable(const std::string& name) const {
        return reader_.environment().variable(name).value_or("");
    }

    void take(std::string& member, const std::string& name) const {
        if (member.empty()) member = variable(name);
    }

    void take_from_platform() {
        switch (out_.from) {
            case CredentialsFrom::kEnvironment: take_environment(); break;
            case CredentialsFrom::kProfile:
                if (cloud_.kind == CloudKind::kOci) return take_oci_profile();
                take(out_.profile, "AWS_PROFILE");
                if (out_.profile.empty()) out_.profile = "default";
                take(out_.credentials_file, "AWS_SHARED_CREDENTIALS_FILE");
                take(out_.config_file, "AWS_CONFIG_FILE");
                if (out_.credentials_file.empty()) out_.credentials_file = "~/.aws/credentials";
                if (out_.config_file.empty()) out_.config_file = "~/.aws/config";
                for (std::string* file : {&out_.credentials_file, &out_.config_file})
                    if (file->starts_with("~/")) *file = variable("HOME") + file->substr(1);
                break;
            case CredentialsFrom::kWebIdentity:
                take(out_.role_arn, "AWS_ROLE_ARN");
                take(out_.token_file, "AWS_WEB_IDENTITY_TOKEN_FILE");
                take(out_.session_name, "AWS_ROLE_SESSION_NAME");
                if (out_.session_name.empty()) out_.session_name = "entrepot";
                break;
            case CredentialsFrom::kContainer: take_container(); break;
            case CredentialsFrom::kWorkloadIdentity:
                take(out_.tenant, "AZURE_TENANT_ID");
                take(out_.client_id, "AZURE_CLIENT_ID");
                take(out_.token_file, "AZURE_FEDERATED_TOKEN_FILE");
                take(out_.endpoint, "AZURE_AUTHORITY_HOST");
                while (out_.endpoint.ends_with('/')) out_.endpoint.pop_back();
                break;
            default: break;
        }
    }

    void take_oci_profile() {
        if (out_.profile.empty()) out_.profile = "DEFAULT";
        take(out_.config_file, "OCI_CONFIG_FILE");
        if (out_.config_file.empty()) out_.config_file = "~/.oci/config";
        out_.home = variable("HOME");
        out_.config_file = expand_home(out_.config_file, out_.home);
    }

    // They cannot change while the process runs, so they are constants from here on.
    void take_environment() {
        const auto secret = [&](Secret& member, const std::string& name, bool is_needed) {
            std::string value = variable(name);
            if (value.empty()) {
                if (is_needed)
                    reader_.error_at(path_ + ".from",
                        fmt::format("the environment variable '{}' is not set", name),
                        fmt::format("set {} before starting, or choose another `from`", name));
                return;
            }
            if (std::ranges::any_of(value, [](char c) {
                    return static_cast<unsigned char>(c) <= 0x20 ||
                        static_cast<unsigned char>(c) >= 0x7f;
                }))
                reader_.error_at(path_ + ".from",
                    fmt::format("the environment variable '{}' holds a blank or a character that "
                                "is not ASCII",
                        name),
                    "check for a line break or a blank at either end");
            member = Secret(std::move(value));
        };
        secret(cloud_.access_key_id, "AWS_ACCESS_KEY_ID", true);
        secret(cloud_.secret_access_key, "AWS_SECRET_ACCESS_KEY", true);
        secret(cloud_.session_token, "AWS_SESSION_TOKEN", false);
    }

    void take_container() {
        if (out_.endpoint.empty()) {
            const std::string relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
            if (!relative.empty())
                out_.endpoint = "http://169.254.170.2" + relative;
            else
                out_.endpoint = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        }
        if (!out_.token_file.empty()) return;
        out_.token_file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        if (out_.token_file.empty())
            out_.authorization = Secret(variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
    }

    void check_endpoint() {
        if (out_.endpoint.empty()) return;
        const std::string where = path_ + ".endpoint";
        // A variable's content has not been looked at yet; ECS puts a query into it.
        const std::string plain = out_.from == CredentialsFrom::kContainer
            ? out_.endpoint.substr(0, out_.endpoint.find('?'))
            : out_.endpoint;
        if (const std::string fault = endpoint_fault(plain, true); !fault.empty()) {
            if (!given("endpoint"))
                reader_.error_at(where,
                    fmt::format("'{}', from the platform's variable, is not an address: {}",
                        excerpt(out_.endpoint), fault),
                    "add endpoint: https://host[:port][/path]");
            return;
        }
        if (out_.endpoint.starts_with("http://") && !is_near(host_of(out_.endpoint)))
            reader_.error_at(where,
                fmt::format("'{}' would carry credentials in the clear", excerpt(out_.endpoint)),
                "write https://; plain http is for this machine and for metadata addresses");
    }

    void check_material() {
        switch (out_.from) {
            case CredentialsFrom::kProfile:
                return cloud_.kind == CloudKind::kOci ? check_oci_profile() : check_profile();
            case CredentialsFrom::kSigningKey: return check_signing_key();
            case CredentialsFrom::kClientCertificate: return check_certificate();
            case CredentialsFrom::kServiceAccount: return check_service_account(true);
            case CredentialsFrom::kMetadata:
                if (reader_.was_given(cloud_path_ + ".service_account"))
                    reader_.error_at(cloud_path_ + ".service_account",
                        "both a key file and from: metadata are given", "keep one of them");
                return;
            default: break;
        }
        if (out_.token_file.empty()) return;
        if (const auto token = reader_.environment().file(out_.token_file); !token)
            reader_.error_at(path_ + ".token_file", token.error().message,
                "check the path and that this user may read the file");
    }

    void check_profile() {
        AwsSharedFiles files;
        if (auto text = reader_.environment().file(out_.credentials_file))
            files.credentials = std::move(*text);
        else if (given("credentials_file"))
            reader_.error_at(path_ + ".credentials_file", text.error().message,
                "check the path and that this user may read the file");
        if (auto text = reader_.environment().file(out_.config_file))
            files.config = std::move(*text);
        else if (given("config_file"))
            reader_.error_at(path_ + ".config_file", text.error().message,
                "check the path and that this user may read the file");
        const auto keys = aws_profile_keys(files, out_.profile);
        if (!keys)
            reader_.error_at(path_ + (given("profile") ? ".profile" : ""),
                fmt::format("'{}' and '{}': {}", excerpt(out_.credentials_file),
                    excerpt(out_.config_file), keys.error().message),
                "check the profile, or choose another `from`");
    }

    void check_oci_profile() {
        const bool is_short = !reader_.was_given(path_);
        const std::string place = is_short ? cloud_path_ + ".config_file"
            : given("config_file")         ? path_ + ".config_file"
                                           : path_ + ".from";
        const auto text = reader_.environment().file(out_.config_file);
        if (!text)
            return reader_.error_at(
                place, text.error().message, "check the path and that this user may read the file");
        const auto wrong = [&](const std::string& why) {
            reader_.error_at(given("profile") ? path_ + ".profile" : place,
                fmt::format("'{}' [{}]: {}", excerpt(out_.config_file), excerpt(out_.profile), why),
                "check the profile, or choose another `from`");
        };
        const auto profile = parse_oci_profile(*text, out_.profile);
        if (!profile) return wrong(profile.error().message);
        const auto pem = reader_.environment().file(file_of_profile(out_, profile->key_file));
        if (!pem) return wrong(fmt::format("its 'key_file': {}", pem.error().message));
        const auto key = crypto::RsaPrivateKey::parse(*pem, profile->pass_phrase.reveal());
        if (!key) return wrong(fmt::format("its 'key_file': {}", key.error().message));
        if (!profile->security_token_file.empty()) {
            const auto token =
                reader_.environment().file(file_of_profile(out_, profile->security_token_file));
            if (!token) wrong(fmt::format("its 'security_token_file': {}", token.error().message));
            return;
        }
        if (key->public_key().md5_fingerprint() != profile->fingerprint)
            wrong(fmt::format("its 'fingerprint' is not that of its key, which is {}",
                key->public_key().md5_fingerprint()));
    }

    void check_signing_key() {
        const auto check_ocid = [&](std::string_view name, std::string_view text) {
            const std::string fault = text.empty() ? "" : ocid_fault(text, name);
            if (!fault.empty())
                reader_.error_at(fmt::format("{}.{}", path_, name),
                    fmt::format("'{}' is no OCID of a {}: {}", excerpt(text), name, fault),
                    "write it as Oracle's console shows it");
        };
        check_ocid("tenancy", out_.tenancy);
        check_ocid("user", out_.user);
        if (out_.private_key.empty()) return;
        const auto key =
            crypto::RsaPrivateKey::parse(out_.private_key.reveal(), out_.pass_phrase.reveal());
        if (!key) {
            reader_.error_at(path_ + ".private_key", key.error().message,
                "give the PEM of the API signing key: \"${file:/path/to/key.pem}\"");
        } else if (!out_.fingerprint.empty() &&
            key->public_key().md5_fingerprint() != out_.fingerprint) {
            reader_.error_at(path_ + ".fingerprint",
                fmt::format("'{}' is not the fingerprint of the private key, which is {}",
                    excerpt(out_.fingerprint), key->public_key().md5_fingerprint()),
                "give the key and the fingerprint of one API key");
        }
    }

    void check_certificate() {
        if (out_.certificate.empty()) return;
        const auto certificate = crypto::Certificate::parse(out_.certificate.reveal());
        if (!certificate)
            reader_.error_at(path_ + ".certificate", certificate.error().message,
                "give the PEM of the certificate that is registered with the application");
        if (out_.private_key.empty()) out_.private_key = out_.certificate;
        const auto key = crypto::RsaPrivateKey::parse(out_.private_key.reveal());
        const std::string where = path_ + (given("private_key") ? ".private_key" : ".certificate");
        if (!key) {
            reader_.error_at(where, key.error().message,
                "give private_key, or a PEM that holds the certificate and its key");
        } else if (certificate && !(key->public_key() == certificate->public_key())) {
            reader_.error_at(where, "the private key is not that of the certificate",
                "give the key that the certificate was made for");
        }
    }

    void check_service_account(bool is_needed) {
        const std::string where = cloud_path_ + ".service_account";
        if (cloud_.service_account.empty()) {
            if (is_needed && !reader_.was_given(where))
                reader_.error_at(where, "'service_account' is missing: tokens are made from it",
                    "add service_account: \"${file:/path/to/key.json}\"");
            return;
        }
        const auto key = parse_google_key(cloud_.service_account.reveal(), !out_.endpoint.empty());
        if (!key)
            reader_.error_at(where, fmt::format("the key file: {}", key.error().message),
                "give the JSON file that Google made for the account");
    }

    // A key file, and Oracle's config file, say by themselves what is to be done with them.
    void check_short_forms() {
        if (cloud_.kind == CloudKind::kOci && !cloud_.config_file.empty()) {
            out_.from = CredentialsFrom::kProfile;
            out_.config_file = cloud_.config_file;
            if (!reader_.environment().is_whole) return;
            take_oci_profile();
            check_oci_profile();
            return;
        }
        if (cloud_.service_account.empty()) return;
        const bool is_ours =
            cloud_.kind == CloudKind::kVertex || cloud_.kind == CloudKind::kOpenaiCompatible;
        if (!is_ours) {
            reader_.error_at(cloud_path_ + ".service_account",
                fmt::format(
                    "'service_account' means nothing to kind {}", cloud_kind_name(cloud_.kind)),
                "remove it");
            return;
        }
        if (!cloud_.api_key.empty())
            reader_.error_at(cloud_path_ + ".service_account",
                "both 'api_key' and 'service_account' are given", "keep one of them");
        out_.from = CredentialsFrom::kServiceAccount;
        if (reader_.environment().is_whole) check_service_account(true);
    }

    Reader& reader_;
    CloudSettings& cloud_;
    CredentialSettings& out_;
    std::string cloud_path_, path_;
};

}  // namespace

const Section<CredentialSettings>& credentials_section() {
    static const Section<CredentialSettings> section{"clouds.<name>.credentials",
        "Which of the other keys belong to which `from`: [Cloud credentials](credentials.md). A "
        "key "
        "that means nothing to the `from` chosen is an error.",
        kFields};
    return section;
}

void resolve_credentials(Reader& reader, CloudSettings& cloud) { Check(reader, cloud).run(); }

}  // namespace entrepot::config
