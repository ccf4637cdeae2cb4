// AWS: profile files, web identity, instance metadata, container endpoint.
#include <array>

#include <fmt/format.h>

#include "base/text.h"
#include "config/aws_profile.h"
#include "upstream/credentials/replies.h"
#include "upstream/credentials/sources.h"

namespace entrepot::upstream {
namespace {

constexpr seconds kLookAgain{60};

/// `~/.aws/credentials` and `~/.aws/config`, which tools that sign on elsewhere write anew.
class ProfileSource final : public CredentialSource {
public:
    ProfileSource(const config::CredentialSettings& settings, std::string identity)
        : CredentialSource(std::move(identity)), settings_(settings) {}

    Task<Credential> fetch(Fetch& with) const override {
        config::AwsSharedFiles files;
        Result<std::string> credentials = co_await with.read_file(settings_.credentials_file);
        if (credentials) files.credentials = std::move(*credentials);
        Result<std::string> config = co_await with.read_file(settings_.config_file);
        if (config) files.config = std::move(*config);
        if (!credentials && !config) co_return std::unexpected(std::move(credentials).error());
        ENTREPOT_CO_TRY(config::AwsKeys keys, config::aws_profile_keys(files, settings_.profile));
        Credential credential;
        credential.access_key_id = std::move(keys.access_key_id);
        credential.secret_access_key = std::move(keys.secret_access_key);
        credential.session_token = std::move(keys.session_token);
        co_return credential;
    }
    std::optional<nanoseconds> look_again() const override { return kLookAgain; }

private:
    config::CredentialSettings settings_;
};

/// STS takes the platform's token for keys of a role. The request is not signed: the token is all.
class WebIdentitySource final : public CredentialSource {
public:
    WebIdentitySource(Asked asked, const config::CredentialSettings& settings, std::string identity)
        : CredentialSource(std::move(identity)), asked_(std::move(asked)), settings_(settings) {}

    Task<Credential> fetch(Fetch& with) const override {
        ENTREPOT_CO_TRY(const std::string token, co_await with.read_file(settings_.token_file));
        if (token.empty())
            co_return fail(ErrorCode::kIo, fmt::format("'{}' is empty", settings_.token_file));
        with.guard(token);
        const std::array<std::pair<std::string_view, std::string_view>, 5> fields{
            {{"Action", "AssumeRoleWithWebIdentity"}, {"Version", "2011-06-15"},
                {"RoleArn", settings_.role_arn}, {"RoleSessionName", settings_.session_name},
                {"WebIdentityToken", token}}};
        Fetch::Request request = form_request(asked_, asked_.path + "/", form_of(fields));
        Result<Fetch::Answer> answer = co_await with.send(std::move(request));
        if (!answer) co_return told(with, asked_.origin, std::move(answer).error());
        Result<Credential> read = read_sts_reply(answer->status, answer->body, with.wall());
        if (!read) co_return told(with, asked_.origin, std::move(read).error());
        co_return read;
    }

private:
    Asked asked_;
    config::CredentialSettings settings_;
};

/// Version 2: a session is opened first, by a PUT that no forwarded request can be. Version 1 is
/// never asked.
class InstanceSource final : public CredentialSource {
public:
    InstanceSource(Asked asked, std::string identity)
        : CredentialSource(std::move(identity)), asked_(std::move(asked)) {}

    Task<Credential> fetch(Fetch& with) const override {
        Fetch::Request opening = request("PUT", "/latest/api/token");
        opening.headers.add("x-aws-ec2-metadata-token-ttl-seconds", "300");
        Result<Fetch::Answer> session = co_await with.send(std::move(opening));
        if (!session) co_return told(with, asked_.origin, std::move(session).error());
        const std::string token(trim(session->body));
        if (session->status != 200 || token.empty())
            co_return told(with, asked_.origin,
                refusal(session->status >= 500
                        ? "instance metadata fails"
                        : "instance metadata gave no session; version 2 (IMDSv2) is needed",
                    session->status));
        with.guard(token);

        constexpr std::string_view kRoles = "/latest/meta-data/iam/security-credentials/";
        Fetch::Request asking = request("GET", std::string(kRoles));
        asking.headers.add("x-aws-ec2-metadata-token", token);
        Result<Fetch::Answer> roles = co_await with.send(std::move(asking));
        if (!roles) co_return told(with, asked_.origin, std::move(roles).error());
        const std::string_view listed = trim(roles->body);
        const std::string role(trim(listed.substr(0, listed.find('\n'))));
        if (roles->status != 200 || role.empty())
            co_return told(with, asked_.origin,
                refusal("this instance has no role; attach an instance profile", roles->status));

        Fetch::Request taking = request("GET", std::string(kRoles) + percent_encode(role));
        taking.headers.add("x-aws-ec2-metadata-token", token);
        Result<Fetch::Answer> answer = co_await with.send(std::move(taking));
        if (!answer) co_return told(with, asked_.origin, std::move(answer).error());
        Result<Credential> read = read_aws_keys(answer->status, answer->body, with.wall());
        if (!read) co_return told(with, asked_.origin, std::move(read).error());
        co_return read;
    }

private:
    [[nodiscard]] Fetch::Request request(std::string_view method, std::string path) const {
        Fetch::Request made;
        made.origin = &asked_.origin;
        made.method = method;
        made.target = asked_.path + std::move(path);
        return made;
    }
    static Error refusal(std::string_view what, int status) {
        return Error{
            ErrorCode::kUpstreamAuth, fmt::format("{} (it answered {})", what, status), {}, {}};
    }
    Asked asked_;
};

/// ECS and EKS tell a container by variables where its keys are.
class ContainerSource final : public CredentialSource {
public:
    ContainerSource(Asked asked, std::string query, const config::CredentialSettings& settings,
        std::string identity)
        : CredentialSource(std::move(identity)),
          asked_(std::move(asked)),
          target_(asked_.path.empty() ? "/" : asked_.path),
          token_file_(settings.token_file),
          authorization_(settings.authorization) {
        if (!query.empty()) target_ += "?" + query;
    }

    Task<Credential> fetch(Fetch& with) const override {
        Secret token = authorization_;
        if (!token_file_.empty()) {
            Result<std::string> read = co_await with.read_file(token_file_);
            if (!read) co_return std::unexpected(std::move(read).error());
            token = Secret(std::move(*read));
        }
        with.guard(token.reveal());
        Fetch::Request request;
        request.origin = &asked_.origin;
        request.target = target_;
        request.headers.add("accept", "application/json");
        if (!token.empty()) request.headers.add("authorization", token.reveal());
        Result<Fetch::Answer> answer = co_await with.send(std::move(request));
        if (!answer) co_return told(with, asked_.origin, std::move(answer).error());
        Result<Credential> read = read_aws_keys(answer->status, answer->body, with.wall());
        if (!read) co_return told(with, asked_.origin, std::move(read).error());
        co_return read;
    }

private:
    Asked asked_;
    std::string target_;
    std::string token_file_;
    Secret authorization_;
};

std::string sts_of(std::string_view region) {
    return fmt::format(
        "https://sts.{}.amazonaws.com{}", region, region.starts_with("cn-") ? ".cn" : "");
}

}  // namespace

Result<std::shared_ptr<const CredentialSource>> make_aws_source(
    const config::CloudSettings& cloud, std::string identity) {
    const config::CredentialSettings& settings = cloud.credentials;
    switch (settings.from) {
        case config::CredentialsFrom::kProfile:
            return std::make_shared<ProfileSource>(settings, std::move(identity));
        case config::CredentialsFrom::kWebIdentity: {
            ENTREPOT_TRY(Asked asked, asked_of(cloud, sts_of(cloud.region)));
            return std::make_shared<WebIdentitySource>(
                std::move(asked), settings, std::move(identity));
        }
        case config::CredentialsFrom::kInstance: {
            ENTREPOT_TRY(Asked asked, asked_nearby(cloud, "http://169.254.169.254"));
            return std::make_shared<InstanceSource>(std::move(asked), std::move(identity));
        }
        default: break;
    }
    // ECS's relative address has a query.
    config::CloudSettings without_query = cloud;
    std::string& endpoint = without_query.credentials.endpoint;
    std::string query;
    if (const std::size_t mark = endpoint.find('?'); mark != std::string::npos) {
        query = endpoint.substr(mark + 1);
        endpoint.resize(mark);
    }
    ENTREPOT_TRY(Asked asked, asked_nearby(without_query, ""));
    return std::make_shared<ContainerSource>(
        std::move(asked), std::move(query), settings, std::move(identity));
}

}  // namespace entrepot::upstream
