#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/aws_profile.h"

namespace entrepot::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string keys_of(std::string_view credentials, std::string_view config = "",
    std::string_view profile = "default") {
    AwsSharedFiles files;
    files.credentials = std::string(credentials);
    if (!config.empty()) files.config = std::string(config);
    const auto keys = aws_profile_keys(files, profile);
    if (!keys) return keys.error().message;
    return std::string(keys->access_key_id.reveal()) + "|" +
        std::string(keys->secret_access_key.reveal()) + "|" +
        std::string(keys->session_token.reveal());
}

constexpr std::string_view kCommon =
    "# made by hand\n"
    "[default]\n"
    "aws_access_key_id = AKIDEFAULT\r\n"
    "AWS_SECRET_ACCESS_KEY=abc/+=def ; a comment\n"
    "\n"
    "[ prod ]   # another\n"
    "aws_access_key_id=AKIPROD\n"
    "aws_secret_access_key = se;cr#et\n"
    "aws_session_token = tok==\n"
    "region = us-east-1\n"
    "s3 =\n"
    "  max_concurrent_requests = 20\n";

TEST(AwsProfile, ReadsWhatAwsToolsWrite) {
    EXPECT_EQ(keys_of(kCommon), "AKIDEFAULT|abc/+=def|");
    EXPECT_EQ(keys_of(kCommon, "", "prod"), "AKIPROD|se;cr#et|tok==");
}

TEST(AwsProfile, TheCredentialsFileIsBeforeTheConfigFileAndPairsAreNotMixed) {
    constexpr std::string_view kConfig =
        "[default]\naws_access_key_id = CONFIG\naws_secret_access_key = c\n"
        "[profile \"two words\"]\naws_access_key_id = TWO\naws_secret_access_key = w\n"
        "[sso-session x]\nsso_region = eu\n"
        "[prod]\naws_access_key_id = NOTAPROFILE\naws_secret_access_key = n\n";
    EXPECT_EQ(keys_of(kCommon, kConfig), "AKIDEFAULT|abc/+=def|");
    EXPECT_EQ(keys_of("[other]\n", kConfig), "CONFIG|c|");
    EXPECT_EQ(keys_of("[other]\n", kConfig, "two words"), "TWO|w|");
    EXPECT_THAT(keys_of("[other]\n", kConfig, "prod"), HasSubstr("there is no profile 'prod'"));
    EXPECT_THAT(keys_of("[default]\naws_access_key_id = A\n", kConfig),
        HasSubstr("no 'aws_secret_access_key' in the credentials file"));
}

// A section twice is one profile; AWS's own tools write it so when they are interrupted.
TEST(AwsProfile, SectionsOfOneNameAreJoinedAndKeysAreNot) {
    EXPECT_EQ(keys_of("[default]\naws_access_key_id=A\n[x]\n[default]\naws_secret_access_key=B\n"),
        "A|B|");
    EXPECT_THAT(keys_of("[default]\naws_access_key_id=A\n[default]\naws_access_key_id=SECRET\n"),
        HasSubstr("line 4: 'aws_access_key_id' stands in line 2 already"));
}

TEST(AwsProfile, RefusesByNameWhatItDoesNotDo) {
    const auto with = [](std::string_view line) {
        return keys_of("[default]\n" + std::string(line) + "\n");
    };
    EXPECT_THAT(with("credential_process = /bin/x"), HasSubstr("'credential_process': it runs"));
    EXPECT_THAT(with("role_arn = a\nsource_profile = b"), HasSubstr("'source_profile'"));
    EXPECT_THAT(with("role_arn = a\nweb_identity_token_file = b"), HasSubstr("from: web_identity"));
    EXPECT_THAT(with("role_arn = a\ncredential_source = Ec2InstanceMetadata"),
        HasSubstr("'credential_source'"));
    EXPECT_THAT(with("sso_session = s"), HasSubstr("'sso_session'"));
    // Where AWS's tools would assume a role although there is a key, so must nobody sign with it.
    EXPECT_THAT(with("aws_access_key_id=A\naws_secret_access_key=B\nrole_arn=r\nsource_profile=s"),
        HasSubstr("'source_profile'"));
    EXPECT_EQ(with("aws_access_key_id=A\naws_secret_access_key=B\ncredential_process=p"), "A|B|");
    EXPECT_THAT(with("region = x"), HasSubstr("has no 'aws_access_key_id'"));
}

TEST(AwsProfile, NamesTheLineOfWhatIsMalformedAndShowsNoValue) {
    const std::pair<std::string_view, std::string_view> cases[] = {
        {"key = 1\n", "line 1: it stands before the first [profile]"},
        {"[default\n", "line 1: ']' is missing"},
        {"[]\n", "line 1: the section has no name"},
        {"[default] x\n", "line 1: something follows ']'"},
        {"[default]\n\nhunter2\n", "line 3: it is neither"},
        {"[default]\nhunter 2 = x\n", "line 2: the key is not made of"},
        {"[default]\n  hunter2 = x\n", "line 2: it is indented, and continues no setting"},
        {"[default]\na = \x01\n", "line 2: it holds a control character"},
        {"[default]\naws_access_key_id = A\naws_secret_access_key = hunter2\n  more\n",
            "line 3: 'aws_secret_access_key' goes on over a further line"},
        {"[default]\naws_access_key_id = A B\naws_secret_access_key = x\n",
            "line 2: 'aws_access_key_id' holds a blank"},
        {"[default]\naws_access_key_id = A\naws_secret_access_key =\n",
            "has no 'aws_secret_access_key'"},
    };
    for (const auto& [text, why] : cases) {
        EXPECT_THAT(keys_of(text), HasSubstr(why));
        EXPECT_THAT(keys_of(text), Not(HasSubstr("hunter2")));
    }
}

}  // namespace
}  // namespace entrepot::config
