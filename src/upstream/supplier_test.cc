#include "upstream/supplier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "crypto/rsa.h"
#include "crypto/testing.h"

namespace entrepot::upstream {
namespace {

using config::CloudKind;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Suppliers : public ::testing::Test {
protected:
    Suppliers() {
        folder_ = std::filesystem::temp_directory_path() / fmt::format("entrepot-up-{}", getpid());
        std::filesystem::create_directories(folder_);
    }
    ~Suppliers() override { std::filesystem::remove_all(folder_); }

    std::string file(std::string_view name, std::string_view content) {
        const std::filesystem::path path = folder_ / name;
        std::ofstream(path) << content;
        return path.string();
    }
    static config::CloudSettings cloud_of(CloudKind kind) {
        config::CloudSettings cloud;
        cloud.id = CloudId("c");
        cloud.kind = kind;
        cloud.endpoint = "https://supplier.example.com";
        cloud.region = "eu-frankfurt-1";
        if (kind == CloudKind::kVertex) {
            cloud.project = "acme";
            cloud.credentials.from = config::CredentialsFrom::kMetadata;
        } else {
            cloud.api_key = Secret("sk-up");
        }
        return cloud;
    }

    static constexpr CloudKind kKinds[] = {CloudKind::kOpenai, CloudKind::kOpenaiCompatible,
        CloudKind::kAzure, CloudKind::kAnthropic, CloudKind::kBedrock, CloudKind::kVertex,
        CloudKind::kGemini, CloudKind::kOci, CloudKind::kCohere};

private:
    std::filesystem::path folder_;
};

// What every one of them does with these is one thing, seen in tests/e2e/egress.py.
TEST_F(Suppliers, AllGoTheWayThatTheConfigurationSays) {
    const std::string certificate = file("c.pem", crypto::testing::kPublishedKeysCertificate);
    const std::string key = file("k.pem", crypto::testing::kPublishedKey);
    for (const CloudKind kind : kKinds) {
        config::CloudSettings cloud = cloud_of(kind);
        cloud.proxy = "http://egress:3128";
        cloud.ca_file = cloud.client_cert_file = certificate;
        cloud.client_key_file = key;
        const auto supplier = make_supplier(cloud);
        ASSERT_TRUE(supplier) << supplier.error().message;
        const net::Origin& origin = (*supplier)->origin();
        EXPECT_EQ(origin.proxy, cloud.proxy) << config::cloud_kind_name(kind);
        EXPECT_EQ(origin.ca_file, certificate) << config::cloud_kind_name(kind);
        EXPECT_EQ(origin.client_cert_file, certificate) << config::cloud_kind_name(kind);
        EXPECT_EQ(origin.client_key_file, key) << config::cloud_kind_name(kind);
    }
}

// For what is no voice's business: what is kept, and what passes through.
TEST_F(Suppliers, AllShowTheirKeyWithoutABody) {
    for (const CloudKind kind : kKinds) {
        config::CloudSettings cloud = cloud_of(kind);
        if (kind == CloudKind::kVertex) {
            cloud.project.clear();
            cloud.credentials = {};
            cloud.api_key = Secret("sk-up");
        }
        const auto supplier = make_supplier(cloud);
        ASSERT_TRUE(supplier) << supplier.error().message;
        const std::string& lines = (*supplier)->access_lines();
        EXPECT_THAT(lines, HasSubstr("sk-up\r\n")) << config::cloud_kind_name(kind);
        EXPECT_THAT(lines, Not(HasSubstr("content-type"))) << config::cloud_kind_name(kind);
    }
}

// Ten thousand offers have a dozen voices each: their headers, with the key, exist once.
TEST_F(Suppliers, AllVoicesBorrowTheirHeadersFromTheCloud) {
    for (const CloudKind kind : kKinds) {
        const auto supplier = make_supplier(cloud_of(kind));
        ASSERT_TRUE(supplier) << supplier.error().message;
        const char* const first = (*supplier)->voices("a").front().header_lines.data();
        for (const char* const model : {"a", "b"})
            for (const Voice& voice : (*supplier)->voices(model)) {
                EXPECT_EQ(voice.header_lines.data(), first) << config::cloud_kind_name(kind);
                EXPECT_THAT(std::string(voice.header_lines),
                    AllOf(HasSubstr("content-type: application/json\r\n"),
                        HasSubstr("accept-encoding: identity\r\n")));
            }
    }
}

TEST_F(Suppliers, AllNameTheFileThatTlsCannotUse) {
    const std::string certificate = file("c.pem", crypto::testing::kPublishedKeysCertificate);
    const std::string stranger = file("k.pem", crypto::RsaPrivateKey::generate().to_pem().reveal());
    for (const CloudKind kind : kKinds) {
        config::CloudSettings cloud = cloud_of(kind);
        cloud.client_cert_file = certificate;
        cloud.client_key_file = stranger;
        EXPECT_THAT(make_supplier(cloud).error().message,
            HasSubstr(fmt::format("clouds.c: the private key '{}' does not belong to", stranger)));
        cloud.client_key_file = certificate;
        EXPECT_THAT(make_supplier(cloud).error().message, HasSubstr("cannot use the private key"));
    }
}

}  // namespace
}  // namespace entrepot::upstream
