#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "corpus.h"
#include "dialect/registry.h"

namespace entrepot::exchange {
namespace {

namespace fs = std::filesystem;
using dialect::ReplyForm;

std::vector<fs::path> cases() {
    std::vector<fs::path> found;
    const fs::path root = fs::path(ENTREPOT_SOURCE_DIR) / "tests/exchange";
    for (const auto& entry : fs::recursive_directory_iterator(root))
        if (entry.path().filename() == "usage.json") found.push_back(entry.path().parent_path());
    std::sort(found.begin(), found.end());
    return found;
}

/// What a client of chat completions is shown for these upstream bytes, cut into pieces.
std::string shown(
    const dialect::Dialect& from, ReplyForm form, std::string_view bytes, std::size_t piece) {
    const auto decoder = from.reply_decoder(form);
    const auto encoder =
        dialect::find_dialect("openai-chat")
            ->reply_encoder(form, {.model = "the-model", .id = "x", .created_s = 1});
    std::string out;
    std::vector<canon::Event> events;
    const auto pass = [&](const Status& status) {
        EXPECT_TRUE(status) << status.error().message;
        for (const canon::Event& event : events) encoder->add(event, out);
        events.clear();
    };
    for (std::size_t at = 0; at < bytes.size(); at += piece)
        pass(decoder->feed(bytes.substr(at, piece), events));
    pass(decoder->finish(events));
    return out;
}

// A folder a case: upstream.sse or upstream.json in the dialect that its parent folder names, what
// a chat client sees of it, and its usage. ENTREPOT_ACCEPT=1 writes `expected` anew, to be read
// before it is committed.
TEST(Cases, AChatClientSeesWhatTheCaseExpectsHoweverTheBytesAreCut) {
    ASSERT_GE(cases().size(), 6u);
    for (const fs::path& folder : cases()) {
        SCOPED_TRACE(folder.string());
        const bool is_stream = fs::exists(folder / "upstream.sse");
        const ReplyForm form = is_stream ? ReplyForm::kStream : ReplyForm::kWhole;
        const std::string suffix = is_stream ? ".sse" : ".json";
        const std::string upstream = read_file((folder / ("upstream" + suffix)).string());
        ASSERT_FALSE(upstream.empty());
        const auto* from = dialect::find_dialect(folder.parent_path().filename().string());
        ASSERT_NE(from, nullptr);
        const std::string whole = shown(*from, form, upstream, upstream.size());
        const fs::path expected = folder / ("expected" + suffix);
        if (std::getenv("ENTREPOT_ACCEPT") != nullptr)
            std::ofstream(expected, std::ios::binary) << whole;
        EXPECT_EQ(whole, read_file(expected.string()));
        for (std::size_t piece = 1; piece < 60; ++piece)
            ASSERT_EQ(shown(*from, form, upstream, piece), whole) << piece;
        const auto usage = dialect::meter(
            *from, is_stream ? dialect::BodyKind::kStream : dialect::BodyKind::kResponse, upstream);
        ASSERT_TRUE(usage);
        EXPECT_EQ(
            canon::to_json(*usage), std::string(trim(read_file((folder / "usage.json").string()))));
    }
}

TEST(Registry, NamesWhatItKnowsAndWhatIsNotBuiltInYet) {
    for (const std::string_view name : dialect::dialect_names()) {
        const auto found = dialect::require_dialect(name);
        if (found)
            EXPECT_EQ((*found)->name, name);
        else
            EXPECT_NE(found.error().message.find("not supported yet"), std::string::npos) << name;
    }
    const auto unknown = dialect::require_dialect("openai-chatt");
    ASSERT_FALSE(unknown);
    EXPECT_NE(unknown.error().message.find("did you mean 'openai-chat'"), std::string::npos)
        << unknown.error().message;
    EXPECT_FALSE(
        dialect::meter(*dialect::find_dialect("openai-chat"), dialect::BodyKind::kRequest, "{}"));
}

}  // namespace
}  // namespace entrepot::exchange
