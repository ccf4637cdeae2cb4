#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "config/google_key.h"
#include "config/load.h"
#include "crypto/testing.h"
#include "json/writer.h"

namespace entrepot::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string key_file(std::string_view token_uri = "https://oauth2.googleapis.com/token",
    std::string_view type = "service_account") {
    std::string out;
    json::Writer(out)
        .begin_object()
        .member("type", type)
        .member("client_email", "a@b.iam.gserviceaccount.com")
        .member("private_key_id", "kid-1")
        .member("private_key", crypto::testing::kPublishedKey)
        .member("token_uri", token_uri)
        .end_object();
    return out;
}

class Credentials : public ::testing::Test {
protected:
    // The settings of the one cloud, or every problem.
    std::string problems(std::string_view kind_and_more) {
        return problems_of(fmt::format("clouds:\n  c: {{kind: {}}}\n", kind_and_more));
    }
    std::string problems_of(std::string_view text) {
        Environment environment;
        environment.variable = [this](const std::string& name) -> std::optional<std::string> {
            const auto found = variables.find(name);
            if (found == variables.end()) return std::nullopt;
            return found->second;
        };
        environment.file = [this](const std::string& path) -> Result<std::string> {
            const auto found = files.find(path);
            if (found == files.end()) return fail(ErrorCode::kIo, "cannot read '" + path + "'");
            return found->second;
        };
        environment.is_whole = is_whole;
        loaded = load_text(text, "t.yaml", environment);
        return format_problems(loaded.problems);
    }
    const CloudSettings& cloud() { return loaded.settings->clouds.front(); }

    std::map<std::string, std::string> variables{{"HOME", "/home/x"}};
    std::map<std::string, std::string> files;
    bool is_whole = true;
    Loaded loaded;
};

TEST_F(Credentials, OfTheEnvironmentAreConstantsAndNamedWhenMissing) {
    const std::string yaml = "bedrock, region: us-east-1, credentials: {from: environment}";
    EXPECT_THAT(problems(yaml), HasSubstr("'AWS_ACCESS_KEY_ID' is not set"));
    EXPECT_THAT(problems(yaml), HasSubstr("'AWS_SECRET_ACCESS_KEY' is not set"));
    variables["AWS_ACCESS_KEY_ID"] = "AKI";
    variables["AWS_SECRET_ACCESS_KEY"] = "hunter2\n";
    EXPECT_THAT(problems(yaml), HasSubstr("'AWS_SECRET_ACCESS_KEY' holds a blank"));
    EXPECT_THAT(problems(yaml), Not(HasSubstr("hunter2")));
    variables["AWS_SECRET_ACCESS_KEY"] = "hunter2";
    variables["AWS_SESSION_TOKEN"] = "tok";
    EXPECT_EQ(problems(yaml), "");
    EXPECT_EQ(cloud().access_key_id.reveal(), "AKI");
    EXPECT_EQ(cloud().secret_access_key.reveal(), "hunter2");
    EXPECT_EQ(cloud().session_token.reveal(), "tok");
}

TEST_F(Credentials, OfAProfileAreLookedForWhereAwsToolsDo) {
    const std::string yaml = "bedrock, region: us-east-1, credentials: {from: profile}";
    EXPECT_THAT(problems(yaml),
        HasSubstr("'/home/x/.aws/credentials' and '/home/x/.aws/config': there is no profile "
                  "'default'"));
    files["/home/x/.aws/credentials"] = "[default]\naws_access_key_id=A\naws_secret_access_key=B\n";
    EXPECT_EQ(problems(yaml), "");
    EXPECT_EQ(cloud().credentials.profile, "default");
    variables["AWS_PROFILE"] = "prod";
    EXPECT_THAT(problems(yaml), HasSubstr("there is no profile 'prod'"));
    EXPECT_THAT(problems("bedrock, region: r, credentials: {from: profile, profile: default, "
                         "credentials_file: /none}"),
        HasSubstr("credentials_file: cannot read '/none'"));
}

TEST_F(Credentials, OfAWebIdentityNeedRoleAndFileOrTheVariablesOfThePlatform) {
    const std::string yaml = "bedrock, region: us-east-1, credentials: {from: web_identity}";
    EXPECT_THAT(problems(yaml), HasSubstr("'role_arn' is missing"));
    EXPECT_THAT(problems(yaml), HasSubstr("let the platform set $AWS_WEB_IDENTITY_TOKEN_FILE"));
    variables["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/r";
    variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/var/token";
    EXPECT_THAT(problems(yaml), HasSubstr("cannot read '/var/token'"));
    files["/var/token"] = "jwt";
    EXPECT_EQ(problems(yaml), "");
    EXPECT_EQ(cloud().credentials.session_name, "entrepot");
}

TEST_F(Credentials, OfAContainerComeFromTheAddressThatThePlatformNames) {
    const std::string yaml = "bedrock, region: us-east-1, credentials: {from: container}";
    EXPECT_THAT(problems(yaml), HasSubstr("'endpoint' is missing"));
    variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/credentials/x?id=1";
    EXPECT_EQ(problems(yaml), "");
    EXPECT_EQ(cloud().credentials.endpoint, "http://169.254.170.2/v2/credentials/x?id=1");
    variables.erase("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://evil.example/creds";
    EXPECT_THAT(problems(yaml), HasSubstr("would carry credentials in the clear"));
    variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://169.254.170.23/v1/credentials";
    variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "pod";
    EXPECT_EQ(problems(yaml), "");
    EXPECT_EQ(cloud().credentials.authorization.reveal(), "pod");
}

TEST_F(Credentials, OfEntraNameEverythingThatIsMissing) {
    const std::string azure = "azure, endpoint: \"https://a.openai.azure.com\", credentials: ";
    const std::string said = problems(azure + "{from: client_secret}");
    for (const char* name : {"tenant", "client_id", "client_secret"})
        EXPECT_THAT(said, HasSubstr(fmt::format("'{}' is missing", name)));
    EXPECT_EQ(
        problems(azure + "{from: client_secret, tenant: t, client_id: c, client_secret: s}"), "");
    EXPECT_EQ(problems(azure + "{from: managed_identity}"), "");
    EXPECT_THAT(problems(azure + "{from: managed_identity, tenant: t}"),
        HasSubstr("'tenant' means nothing to from: managed_identity"));
    EXPECT_THAT(problems(azure + "{from: profile}"),
        HasSubstr("'profile' is not for clouds of kind azure"));
    EXPECT_THAT(
        problems("azure, endpoint: \"https://a.openai.azure.com\", api_key: k, credentials: "
                 "{from: managed_identity}"),
        HasSubstr("both 'api_key' and `credentials` are given"));
    EXPECT_THAT(problems("anthropic, credentials: {from: metadata}"),
        HasSubstr("remove `credentials` and give api_key"));
    EXPECT_THAT(
        problems(azure + "{from: manged_identity}"), HasSubstr("did you mean 'managed_identity'?"));
}

TEST_F(Credentials, OfACertificateTakeItsOwnKeyAndNoOther) {
    const std::string azure =
        "azure, endpoint: \"https://a.openai.azure.com\", credentials: {from: client_certificate, "
        "tenant: t, client_id: c, certificate: \"${file:/c.pem}\"";
    files["/c.pem"] = crypto::testing::kPublishedKeysCertificate;
    EXPECT_THAT(problems(azure + "}"), HasSubstr("no private key in PEM"));
    files["/c.pem"] += crypto::testing::kPublishedKey;
    EXPECT_EQ(problems(azure + "}"), "");
    files["/k.pem"] = crypto::RsaPrivateKey::generate().to_pem().reveal();
    EXPECT_THAT(problems(azure + ", private_key: \"${file:/k.pem}\"}"),
        HasSubstr("the private key is not that of the certificate"));
    files["/k.pem"] = crypto::testing::kPublishedKey;
    EXPECT_EQ(problems(azure + ", private_key: \"${file:/k.pem}\"}"), "");
}

TEST_F(Credentials, OfAServiceAccountGoToGoogleUnlessTheFileSaysOtherwise) {
    const std::string cloud_of =
        "openai_compatible, endpoint: \"https://g.example/v1\", service_account: "
        "\"${file:/gcp.json}\"";
    files["/gcp.json"] = key_file();
    EXPECT_EQ(problems(cloud_of), "");
    EXPECT_EQ(cloud().credentials.from, CredentialsFrom::kServiceAccount);
    files["/gcp.json"] = key_file("https://evil.example/token");
    EXPECT_THAT(problems(cloud_of), HasSubstr("none that Google documents"));
    files["/gcp.json"] = key_file("https://oauth2.googleapis.com.evil.example/token");
    EXPECT_THAT(problems(cloud_of), HasSubstr("none that Google documents"));
    EXPECT_EQ(problems(cloud_of +
                  ", credentials: {from: service_account, endpoint: "
                  "\"http://127.0.0.1:1/token\"}"),
        "");
    files["/gcp.json"] = key_file("", "authorized_user");
    EXPECT_THAT(problems(cloud_of), HasSubstr("its 'type' is 'authorized_user'"));
    files["/gcp.json"] = "{\"type\":\"service_account\",\"client_email\":\"a\"}";
    EXPECT_THAT(problems(cloud_of), HasSubstr("it has no 'private_key'"));
    EXPECT_THAT(problems("openai_compatible, endpoint: \"https://g.example/v1\", credentials: "
                         "{from: service_account}"),
        HasSubstr("'service_account' is missing"));
}

// What the page for people shows is read as it stands.
TEST_F(Credentials, OfTheReferencePageAreValid) {
    variables = {{"HOME", "/home/x"}, {"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "S"},
        {"AWS_ROLE_ARN", "arn:aws:iam::1:role/r"}, {"AWS_WEB_IDENTITY_TOKEN_FILE", "/t"},
        {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"}, {"ENTRA_SECRET", "s"},
        {"AZURE_TENANT_ID", "t"}, {"AZURE_CLIENT_ID", "c"}, {"AZURE_FEDERATED_TOKEN_FILE", "/t"},
        {"AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"}};
    files = {{"/t", "jwt"}, {"/var/run/token", "jwt"}, {"/run/secrets/gcp.json", key_file()},
        {"/home/x/.aws/config", "[profile prod]\naws_access_key_id=A\naws_secret_access_key=B\n"},
        {"/run/secrets/entra.pem",
            std::string(crypto::testing::kPublishedKeysCertificate) +
                std::string(crypto::testing::kPublishedKey)}};
    std::ifstream page(std::string(ENTREPOT_SOURCE_DIR) + "/docs/reference/credentials.md");
    int blocks = 0;
    std::string block;
    bool in_block = false;
    for (std::string line; std::getline(page, line);) {
        if (line == "```yaml") {
            in_block = true;
            block.clear();
        } else if (in_block && line == "```") {
            in_block = false;
            ++blocks;
            EXPECT_EQ(problems_of(block), "") << block;
            for (const CloudSettings& cloud : loaded.settings->clouds)
                EXPECT_NE(cloud.credentials.from, CredentialsFrom::kNowhere) << cloud.id.view();
        } else if (in_block) {
            block += line + "\n";
        }
    }
    EXPECT_EQ(blocks, 3);
}

// Commands that only look need no secrets: something stands in for them.
TEST_F(Credentials, AreNotJudgedWhereSomethingStandsInForThem) {
    is_whole = false;
    EXPECT_EQ(problems("azure, endpoint: \"https://a.openai.azure.com\", credentials: {from: "
                       "client_certificate, certificate: unread}"),
        "");
    EXPECT_EQ(problems("bedrock, region: r, credentials: {from: profile}"), "");
    EXPECT_THAT(problems("bedrock, region: r, credentials: {from: metadata}"),
        HasSubstr("'metadata' is not for clouds of kind bedrock"));
}

TEST_F(Credentials, NeverGoInTheClearBeyondThisMachine) {
    const std::string azure =
        "azure, endpoint: \"https://a.openai.azure.com\", credentials: {from: "
        "client_secret, tenant: t, client_id: c, client_secret: s, endpoint: ";
    EXPECT_THAT(problems(azure + "\"http://login.example\"}"), HasSubstr("in the clear"));
    EXPECT_THAT(problems(azure + "\"http://127.0.0.1.example\"}"), HasSubstr("in the clear"));
    EXPECT_THAT(problems(azure + "\"http://localhost.example\"}"), HasSubstr("in the clear"));
    EXPECT_EQ(problems(azure + "\"http://127.0.0.1:9\"}"), "");
    EXPECT_EQ(problems(azure + "\"http://[::1]:9\"}"), "");
    EXPECT_EQ(problems(azure + "\"https://login.microsoftonline.us\"}"), "");
}

}  // namespace
}  // namespace entrepot::config
