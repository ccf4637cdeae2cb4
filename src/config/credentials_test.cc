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
        {"/home/x/.oci/config", std::string(crypto::testing::kOciConfig) + "[prod]\n"},
        {"/keys/oci.pem", std::string(crypto::testing::kPublishedKey)},
        {"/run/secrets/oci.pem", std::string(crypto::testing::kPublishedKey)},
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
    EXPECT_EQ(blocks, 4);
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

TEST_F(Credentials, OfOracleComeFromAProfileOrFromAKeyOfTheFile) {
    const std::string oci = "oci, region: eu-frankfurt-1, compartment: ocid1.compartment.oc1..c, ";
    EXPECT_THAT(problems(oci + "config_file: ~/.oci/config"),
        HasSubstr("config_file: cannot read '/home/x/.oci/config'"));
    files["/home/x/.oci/config"] = crypto::testing::kOciConfig;
    EXPECT_THAT(problems(oci + "config_file: ~/.oci/config"),
        HasSubstr("its 'key_file': cannot read '/keys/oci.pem'"));
    files["/keys/oci.pem"] = crypto::testing::kPublishedKey;
    EXPECT_EQ(problems(oci + "config_file: ~/.oci/config"), "");
    EXPECT_EQ(cloud().credentials.from, CredentialsFrom::kProfile);
    EXPECT_EQ(cloud().credentials.profile, "DEFAULT");
    EXPECT_EQ(problems(oci + "credentials: {from: profile}"), "");
    EXPECT_THAT(problems(oci + "credentials: {from: profile, profile: prod}"),
        HasSubstr("there is no profile [prod]"));
    EXPECT_THAT(problems(oci + "credentials: {from: profile, credentials_file: /x}"),
        HasSubstr("'credentials_file' means nothing to from: profile"));
    // What a profile leaves out is the default's.
    files["/home/x/.oci/config"] +=
        "[prod]\nfingerprint=00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff\n";
    EXPECT_THAT(problems(oci + "credentials: {from: profile, profile: prod}"),
        HasSubstr("its 'fingerprint' is not that of its key, which is 84:2f"));
    files["/home/x/.oci/config"] += "[away]\ndelegation_token_file=/x\n";
    EXPECT_THAT(problems(oci + "credentials: {from: profile, profile: away}"),
        HasSubstr("'delegation_token_file', which is not supported here"));
    files["/home/x/.oci/config"] += "[session]\nsecurity_token_file=/keys/token\n";
    EXPECT_THAT(problems(oci + "credentials: {from: profile, profile: session}"),
        HasSubstr("its 'security_token_file': cannot read '/keys/token'"));
    files["/keys/token"] = "a.b.c";
    EXPECT_EQ(problems(oci + "credentials: {from: profile, profile: session}"), "");
    // What is not absolute lies beside the profile, wherever the gateway was started.
    files["/home/x/.oci/config"] += "[near]\nkey_file=keys/near.pem\n";
    EXPECT_THAT(problems(oci + "credentials: {from: profile, profile: near}"),
        HasSubstr("its 'key_file': cannot read '/home/x/.oci/keys/near.pem'"));
    files["/home/x/.oci/config"] += "[home]\nkey_file=~/home.pem\n";
    EXPECT_THAT(problems(oci + "credentials: {from: profile, profile: home}"),
        HasSubstr("its 'key_file': cannot read '/home/x/home.pem'"));
}

TEST_F(Credentials, OfOraclesSigningKeyAreJudgedWhenTheFileIsRead) {
    files["/keys/oci.pem"] = crypto::testing::kPublishedKey;
    const auto with = [&](std::string_view more) {
        return problems(fmt::format(
            "oci, region: eu-frankfurt-1, compartment: ocid1.compartment.oc1..c, credentials: "
            "{{from: signing_key, tenancy: ocid1.tenancy.oc1..a, user: ocid1.user.oc1..b{}}}",
            more));
    };
    EXPECT_THAT(with(""), HasSubstr("'fingerprint' is missing"));
    EXPECT_THAT(with(""), HasSubstr("'private_key' is missing"));
    const std::string fingerprint =
        fmt::format(", fingerprint: \"{}\"", crypto::testing::kPublishedFingerprint);
    EXPECT_EQ(with(fingerprint + ", private_key: \"${file:/keys/oci.pem}\""), "");
    EXPECT_THAT(with(", fingerprint: \"00:11\", private_key: \"${file:/keys/oci.pem}\""),
        HasSubstr("'00:11' is not the fingerprint of the private key, which is 84:2f"));
    EXPECT_THAT(with(fingerprint + ", private_key: hush"), HasSubstr("no private key in PEM form"));
    EXPECT_THAT(problems("oci, region: r, compartment: c, credentials: {from: signing_key, "
                         "tenancy: t, user: ocid1.tenancy.oc1..b, fingerprint: f, private_key: k}"),
        HasSubstr("'t' is no OCID of a tenancy"));
}

TEST_F(Credentials, OfAnInstanceAreForAwsAndOracle) {
    EXPECT_EQ(problems("oci, region: r, compartment: ocid1.compartment.oc1..c, credentials: {from: "
                       "instance}"),
        "");
    EXPECT_EQ(cloud().credentials.from, CredentialsFrom::kInstance);
    EXPECT_THAT(problems("azure, endpoint: \"https://x.openai.azure.com\", credentials: {from: "
                         "instance}"),
        HasSubstr("'instance' is not for clouds of kind azure"));
}

TEST_F(Credentials, OracleNeedsARegionACompartmentAndOneWayIn) {
    EXPECT_THAT(problems("oci"), HasSubstr("'region' is missing"));
    EXPECT_THAT(problems("oci, region: r"), HasSubstr("'config_file' is missing"));
    EXPECT_THAT(problems("oci, region: r"), HasSubstr("'compartment' is missing"));
    EXPECT_EQ(problems("oci, region: r, api_key: k"), "");
    EXPECT_THAT(problems("oci, region: r, api_key: k, config_file: /c"),
        HasSubstr("both 'config_file' and 'api_key' are given"));
    // Native chat names the compartment in its body.
    const std::string models =
        "models: {m: {offers: {a: {cloud: c, id: cohere.command-r-08-2024}, b: {cloud: c, id: "
        "xai.grok-4}, d: {cloud: c, id: xai.grok-4, api_format: generic}}}}\n";
    const std::string said =
        problems_of("clouds: {c: {kind: oci, region: r, api_key: k}}\n" + models);
    EXPECT_THAT(said, HasSubstr("models.m.offers.a.cloud: native chat of oci names a compartment"));
    EXPECT_THAT(said, Not(HasSubstr("offers.b")));
    EXPECT_THAT(said, HasSubstr("models.m.offers.d.cloud: native chat"));
    EXPECT_EQ(problems_of("clouds: {c: {kind: oci, region: r, api_key: k, compartment: "
                          "ocid1.compartment.oc1..c}}\n" +
                  models),
        "");
    EXPECT_THAT(problems_of("clouds: {c: {kind: openai, api_key: k}}\nmodels: {m: {offers: {a: "
                            "{cloud: c, api_format: generic}}}}\n"),
        HasSubstr("'generic' means nothing to kind openai"));
    EXPECT_EQ(oci_format(ApiFormat::kByModel, "cohere.command-a-vision"), ApiFormat::kCohereV2);
    EXPECT_EQ(oci_format(ApiFormat::kByModel, "cohere.command-r-plus"), ApiFormat::kCohere);
    EXPECT_EQ(
        oci_format(ApiFormat::kByModel, "ocid1.generativeaiendpoint.oc1.x"), ApiFormat::kGeneric);
    EXPECT_EQ(oci_format(ApiFormat::kByModel, "meta.llama-3.3-70b-instruct"), ApiFormat::kOpenai);
    EXPECT_EQ(
        oci_format(ApiFormat::kCohere, "ocid1.generativeaiendpoint.oc1.x"), ApiFormat::kCohere);
}

}  // namespace
}  // namespace entrepot::config
