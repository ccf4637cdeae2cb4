#include <gtest/gtest.h>

#include <set>

#include "crypto/hash.h"
#include "crypto/sigv4.h"

namespace entrepot::crypto {
namespace {

using sigv4::HeaderView;
using sigv4::Verdict;

// 2015-08-30T12:36:00Z, the moment of AWS's published test suite.
constexpr Instant kSuiteTime{1'440'938'160LL * 1'000'000'000};
constexpr std::string_view kSuiteSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

sigv4::Signer suite_signer() {
    return sigv4::Signer(
        {"AKIDEXAMPLE", Secret(std::string(kSuiteSecret)), Secret()}, "us-east-1", "service");
}

std::string signature(const std::vector<sigv4::Header>& headers) {
    const std::string& value = headers.back().value;
    return value.substr(value.find("Signature=") + 10);
}

std::string suite_signature(
    std::string_view path, std::string_view query, std::vector<HeaderView> more = {}) {
    std::vector<HeaderView> headers{{"Host", "example.amazonaws.com"}};
    headers.insert(headers.end(), more.begin(), more.end());
    sigv4::Signer signer = suite_signer();
    return signature(
        signer.sign({"GET", path, query, headers, sigv4::kEmptyBodySha256}, kSuiteTime));
}

TEST(Hash, KnowsThePublishedDigests) {
    EXPECT_EQ(hex(sha256("")), sigv4::kEmptyBodySha256);
    EXPECT_EQ(
        hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    // RFC 4231, cases 2 and 6 (a key longer than the block).
    EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(hex(hmac_sha256(std::string(131, '\xaa'),
                  "Test Using Larger Than Block-Size Key - Hash Key First")),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Hash, GivesTheSameForPieces) {
    Sha256Stream stream;
    stream.add("a");
    stream.add("");
    stream.add("bc");
    EXPECT_EQ(stream.finish(), sha256("abc"));
    EXPECT_EQ(stream.finish(), sha256(""));
}

TEST(Hash, ComputesCrcAsZlibDoes) {
    EXPECT_EQ(crc32("123456789"), 0xcbf43926U);
    EXPECT_EQ(crc32("6789", crc32("12345")), 0xcbf43926U);
}

TEST(Hash, ComparesAndDrawsBytes) {
    EXPECT_TRUE(constant_time_equal("same", "same"));
    EXPECT_FALSE(constant_time_equal("same", "sama"));
    EXPECT_FALSE(constant_time_equal("same", "sam"));
    std::set<std::array<std::uint8_t, 16>> seen;
    for (int i = 0; i < 64; ++i) {
        std::array<std::uint8_t, 16> bytes{};
        random_bytes(bytes);
        seen.insert(bytes);
    }
    EXPECT_EQ(seen.size(), 64U);
}

// From AWS's published Signature Version 4 test suite.
TEST(SigV4, SignsThePublishedVectors) {
    EXPECT_EQ(suite_signature("/", ""),  // get-vanilla
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    EXPECT_EQ(
        suite_signature("/", "Param2=value2&Param1=value1"),  // get-vanilla-query-order-key-case
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    EXPECT_EQ(suite_signature("/./", ""),  // get-slash-dot-slash
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    EXPECT_EQ(suite_signature("/example/..", ""),  // get-relative
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST(SigV4, WritesTheWholeHeader) {
    sigv4::Signer signer = suite_signer();
    const std::vector<HeaderView> headers{{"Host", "example.amazonaws.com"}};
    const auto added = signer.sign({"GET", "/", "", headers, sigv4::kEmptyBodySha256}, kSuiteTime);
    ASSERT_EQ(added.size(), 2U);
    EXPECT_EQ(added[0].name, "x-amz-date");
    EXPECT_EQ(added[0].value, "20150830T123600Z");
    EXPECT_EQ(added[1].value,
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature="
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

// A model id holds `:`; clients send it raw or as %3A, and the signature has it encoded once more.
TEST(SigV4, EncodesThePathAsSentOnceMore) {
    const std::vector<HeaderView> headers{{"host", "h"}};
    const std::vector<std::string> names{"host"};
    const auto path_of = [&](std::string_view path) {
        const std::string canonical =
            sigv4::canonical_request({"POST", path, "", headers, "x"}, names);
        const std::size_t begin = canonical.find('\n') + 1;
        return canonical.substr(begin, canonical.find('\n', begin) - begin);
    };
    EXPECT_EQ(path_of("/model/amazon.nova-lite-v1%3A0/converse"),
        "/model/amazon.nova-lite-v1%253A0/converse");
    EXPECT_EQ(path_of("/model/amazon.nova-lite-v1:0/converse"),
        "/model/amazon.nova-lite-v1%3A0/converse");
    EXPECT_EQ(path_of("/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ap%2Fx/converse"),
        "/model/arn%253Aaws%253Abedrock%253Aus-east-1%253A1%253Ap%252Fx/converse");
    EXPECT_EQ(path_of("//example//"), "/example/");
    EXPECT_EQ(path_of("/a/../.."), "/");
    EXPECT_EQ(path_of("/-._~0AZaz"), "/-._~0AZaz");
    EXPECT_EQ(path_of(""), "/");
}

TEST(SigV4, FoldsHeadersAndSortsTheQuery) {
    const std::vector<HeaderView> headers{
        {"My-Header", "  a   b "}, {"my-header", "c"}, {"Host", "h"}};
    const std::vector<std::string> names{"host", "my-header"};
    EXPECT_EQ(sigv4::canonical_request({"GET", "/", "b=2&a=%7e&a=1&c", headers, "x"}, names),
        "GET\n/\na=1&a=~&b=2&c=\nhost:h\nmy-header:a b,c\n\nhost;my-header\nx");
}

class Verifying : public testing::Test {
protected:
    // A signed request as a server sees it.
    Verdict verdict(const std::string& path = "/model/m%3A0/converse", Instant now = kSuiteTime,
        std::string_view secret = kSuiteSecret) {
        const auto claim = sigv4::parse_authorization(authorization_);
        if (!claim) return Verdict::kBadDate;
        std::vector<HeaderView> headers;
        for (const auto& [name, value] : headers_) headers.push_back({name, value});
        const std::string body = hex(sha256(body_));
        return sigv4::verify(
            *claim, Secret(std::string(secret)), {"POST", path, "", headers, body}, now, keys_);
    }

    void SetUp() override {
        sigv4::Signer signer({"AKIDEXAMPLE", Secret(std::string(kSuiteSecret)), Secret("token")},
            "us-east-1", "bedrock");
        const std::vector<HeaderView> headers{{"host", "h"}, {"content-type", "application/json"}};
        const std::string body = hex(sha256(body_));
        const auto added =
            signer.sign({"POST", "/model/m%3A0/converse", "", headers, body}, kSuiteTime);
        headers_ = {{"Host", "h"}, {"Content-Type", "application/json"}, {"User-Agent", "x"}};
        for (const sigv4::Header& header : added) {
            if (header.name == "authorization") {
                authorization_ = header.value;
            } else {
                headers_.emplace_back(header.name, header.value);
            }
        }
    }

    std::vector<std::pair<std::string, std::string>> headers_;
    std::string authorization_;
    std::string body_ = R"({"messages":[]})";
    sigv4::KeyCache keys_;
};

TEST_F(Verifying, AcceptsWhatTheSignerWrote) {
    EXPECT_EQ(verdict(), Verdict::kValid);
    EXPECT_EQ(verdict(), Verdict::kValid);  // from the key cache
}

TEST_F(Verifying, RefusesAnotherSecretAlsoAfterTheKeyWasCached) {
    ASSERT_EQ(verdict(), Verdict::kValid);
    EXPECT_EQ(verdict("/model/m%3A0/converse", kSuiteTime, "other"), Verdict::kSignatureMismatch);
}

TEST_F(Verifying, RefusesAnotherBodyPathOrHeader) {
    EXPECT_EQ(verdict("/model/m:0/converse"), Verdict::kSignatureMismatch);
    headers_[1].second = "text/plain";
    EXPECT_EQ(verdict(), Verdict::kSignatureMismatch);
    headers_[1].second = "application/json";
    body_ = "{}";
    EXPECT_EQ(verdict(), Verdict::kSignatureMismatch);
}

// The AWS SDK for JavaScript signs so over HTTP/2; what it signed comes as the host header.
TEST_F(Verifying, TakesASignedAuthorityForTheHost) {
    sigv4::Signer signer(
        {"AKIDEXAMPLE", Secret(std::string(kSuiteSecret)), Secret()}, "us-east-1", "bedrock");
    const std::vector<HeaderView> headers{{":authority", "h"}};
    const std::string body = hex(sha256(body_));
    const auto added =
        signer.sign({"POST", "/model/m%3A0/converse", "", headers, body}, kSuiteTime);
    headers_ = {{"host", "h"}, {added[0].name, added[0].value}};
    authorization_ = added[1].value;
    EXPECT_EQ(verdict(), Verdict::kValid);
    headers_[0].second = "other";
    EXPECT_EQ(verdict(), Verdict::kSignatureMismatch);
}

TEST_F(Verifying, HoldsTheClockToFiveMinutes) {
    EXPECT_EQ(verdict("/model/m%3A0/converse", kSuiteTime + seconds(300)), Verdict::kValid);
    EXPECT_EQ(verdict("/model/m%3A0/converse", kSuiteTime + seconds(301)), Verdict::kClockSkew);
    EXPECT_EQ(verdict("/model/m%3A0/converse", kSuiteTime - seconds(301)), Verdict::kClockSkew);
}

TEST_F(Verifying, WantsEveryAmazonHeaderSigned) {
    headers_.emplace_back("x-amz-content-sha256", hex(sha256(body_)));
    EXPECT_EQ(verdict(), Verdict::kHeaderMissing);
    headers_.pop_back();
    headers_.erase(headers_.begin());  // host
    EXPECT_EQ(verdict(), Verdict::kHeaderMissing);
}

TEST_F(Verifying, RefusesABodyHashThatIsNotTheBodys) {
    sigv4::Signer signer(
        {"AKIDEXAMPLE", Secret(std::string(kSuiteSecret)), Secret()}, "us-east-1", "bedrock");
    const std::string stated = hex(sha256("another body"));
    const std::vector<HeaderView> headers{{"host", "h"}, {"x-amz-content-sha256", stated}};
    const auto added =
        signer.sign({"POST", "/model/m%3A0/converse", "", headers, stated}, kSuiteTime);
    headers_ = {{"host", "h"}, {"x-amz-content-sha256", stated}, {added[0].name, added[0].value}};
    authorization_ = added[1].value;
    EXPECT_EQ(verdict(), Verdict::kBodyMismatch);
}

TEST(SigV4, ParsesOnlyCompleteAuthorizations) {
    const auto claim = sigv4::parse_authorization(
        "AWS4-HMAC-SHA256 Credential=AK/20150830/eu-north-1/bedrock/aws4_request,"
        "SignedHeaders=host;x-amz-date,Signature=ab");
    ASSERT_TRUE(claim);
    EXPECT_EQ(claim->region, "eu-north-1");
    EXPECT_EQ(claim->signed_headers, (std::vector<std::string>{"host", "x-amz-date"}));
    for (const std::string_view bad : {"", "Bearer x", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 a=b",
             "AWS4-HMAC-SHA256 Credential=AK/1/2/aws4_request, SignedHeaders=host, Signature=a",
             "AWS4-HMAC-SHA256 Credential=AK/1/2/3/aws4_request, Signature=a",
             "AWS4-HMAC-SHA256 Credential=AK/1/2/3/aws4_request, SignedHeaders=host"})
        EXPECT_FALSE(sigv4::parse_authorization(bad)) << bad;
}

}  // namespace
}  // namespace entrepot::crypto
