// Any text as either of AWS's shared files: refused with a line, or read; never a crash.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "config/aws_profile.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace entrepot::config;  // tidy: a program of one page
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    AwsSharedFiles files;
    files.credentials = std::string(text.substr(0, size / 2));
    files.config = std::string(text);
    const auto keys = aws_profile_keys(files, "default");
    if (keys) {
        ENTREPOT_CHECK(!keys->access_key_id.empty() && !keys->secret_access_key.empty());
        // What is read on its own is read the same way when the other file is silent.
        files.config.reset();
        if (const auto alone = aws_profile_keys(files, "default"))
            ENTREPOT_CHECK(alone->access_key_id.reveal() == keys->access_key_id.reveal());
    }
    return 0;
}
