// What becomes of every field of a client's request at a supplier of another dialect, asked of the
// code itself: docs/reference/carried.md is written from the answers, and a field that has no
// effect and is named nowhere is a failure. The fields are in probes/.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <map>

#include "corpus.h"
#include "dialect/registry.h"
#include "json/writer.h"

namespace entrepot::exchange {
namespace {

using json::Value;

struct Target {
    const char* dialect;
    const char* model;  ///< a usual one: some suppliers differ by model
};

constexpr std::array kTargets{Target{"openai-chat", "gpt-4.1"}, Target{"openai-responses", "gpt-5"},
    Target{"anthropic-messages", "claude-sonnet-4-5"},
    Target{"bedrock-converse", "anthropic.claude-sonnet-4-5-20250929-v1:0"},
    Target{"gemini", "gemini-2.5-pro"}, Target{"cohere", "command-a-03-2025"},
    Target{"oci", "xai.grok-4"}, Target{"oci-cohere", "cohere.command-r-08-2024"},
    Target{"oci-cohere-v2", "cohere.command-a-reasoning-08-2025"}};

constexpr std::array kClients{
    "openai-chat", "openai-responses", "anthropic-messages", "bedrock-converse", "gemini"};

constexpr std::array kVectorTargets{Target{"openai-embeddings", "text-embedding-3-small"},
    Target{"gemini-embed-batch", "gemini-embedding-001"},
    Target{"vertex-predict", "gemini-embedding-001"}, Target{"cohere-embed", "embed-v4.0"},
    Target{"bedrock-invoke", "amazon.titan-embed-text-v2:0"}};

/// Of `bedrock-invoke` with Titan's body; with Cohere's it is `cohere-embed`.
constexpr std::array kVectorClients{
    "openai-embeddings", "gemini-embed", "vertex-predict", "cohere-embed", "bedrock-invoke"};

/// The members of all of them; of those with one name the last.
std::string merged(std::initializer_list<const Value*> objects) {
    std::map<std::string_view, const Value*> members;
    for (const Value* object : objects)
        for (const json::Member& member : object->members()) members[member.key] = &member.value;
    std::string out;
    json::Writer writer(out);
    writer.begin_object();
    for (const auto& [key, value] : members) writer.member_raw(key, value->raw());
    writer.end_object();
    return out;
}

struct Sent {
    bool is_refused = false;
    std::string reason;  ///< of the refusal
    std::string field;   ///< likewise
    std::string bytes;   ///< headers and body
    std::vector<std::string> dropped;
};

Sent send(const dialect::Dialect& from, const Target& target, const std::string& body) {
    Sent sent;
    const auto refuse = [&](const Error& error) {
        sent.is_refused = true;
        sent.reason = error.message;
        sent.field = error.field;
        return sent;
    };
    dialect::RequestContext context;
    if (from.has_model_in_path) context.model = "m";
    const auto document = json::Document::parse(body);
    if (!document) return refuse(document.error());
    const auto request = from.decode_request(*document, context);
    if (!request) return refuse(request.error());
    dialect::EncodeTarget where;
    where.model_id = target.model;
    where.embed_purpose = canon::EmbedPurpose::kDocument;  // `input_type` of the offer
    const auto encoded = dialect::find_dialect(target.dialect)->encode_request(*request, where);
    if (!encoded) return refuse(encoded.error());
    for (const dialect::Header& header : encoded->headers)
        sent.bytes += header.name + ": " + header.value + "\n";
    sent.bytes += encoded->body;
    sent.dropped = encoded->dropped;
    return sent;
}

/// What became of the field: a cell of the table, or what is wrong.
std::string fate(const Sent& without, const Sent& with) {
    if (with.is_refused) return with.field.empty() ? "REFUSED WITHOUT A FIELD" : "refused";
    const bool is_named = std::ranges::any_of(with.dropped, [&](const std::string& name) {
        return std::ranges::find(without.dropped, name) == without.dropped.end();
    });
    if (is_named) return "named";
    return with.bytes == without.bytes ? "" : "yes";
}

class Table {
public:
    Table(const std::string& client, std::span<const Target> targets)
        : client_(client),
          targets_(targets),
          from_(*dialect::find_dialect(client)),
          probes_(json::Document::parse(read_file(
              fmt::format("{}/tests/exchange/probes/{}.json", ENTREPOT_SOURCE_DIR, client)))) {}

    /// Appends the client's table to `out`; what is wrong, one sentence each, to `wrong`.
    void write(std::string& out, std::vector<std::string>& wrong) {
        ASSERT_TRUE(probes_) << client_ << ": " << probes_.error().message;
        const Value& root = probes_->root();
        out += fmt::format("\n## Clients of {}\n\n| field |", client_);
        for (const Target& target : targets_) out += fmt::format(" {} |", target.dialect);
        out += "\n| --- |";
        for (std::size_t i = 0; i < targets_.size(); ++i) out += " --- |";
        out += '\n';
        for (const Value& probe : root["probes"].items()) {
            const auto parts = probe.items();
            const std::string field(parts[0].string());
            static const json::Document kNothing = json::Document::parse("{}").value();
            const Value* given = &kNothing.root();
            if (parts.size() > 2) given = parts[2].is_string() ? &root["with_tool"] : &parts[2];
            const std::string without = merged({&root["base"], given});
            const std::string with = merged({&root["base"], given, &parts[1]});
            out += fmt::format("| {} |", field);
            for (const Target& target : targets_) {
                const Sent base = send(from_, target, without);
                // What the field belongs to is refused there.
                if (base.is_refused && root["refused_with"][field][target.dialect].is_string()) {
                    out += " refused |";
                    continue;
                }
                if (base.is_refused) {
                    wrong.push_back(fmt::format("{} to {}: without '{}' it is refused: {}", client_,
                        target.dialect, field, base.reason));
                    continue;
                }
                std::string cell = fate(base, send(from_, target, with));
                const bool is_excused = root["asks_nothing"][field][target.dialect].is_string();
                if (cell.empty() && is_excused) cell = "nothing to do";
                if (cell.empty())
                    wrong.push_back(fmt::format("{} to {}: '{}' is neither carried nor named",
                        client_, target.dialect, field));
                if (cell.starts_with("REFUSED"))
                    wrong.push_back(fmt::format("{} to {}: '{}' is refused, and no field named",
                        client_, target.dialect, field));
                out += fmt::format(" {} |", cell);
            }
            out += '\n';
        }
        write_reasons(out);
    }

private:
    void write_reasons(std::string& out) const {
        const Value& reasons = probes_->root()["asks_nothing"];
        if (reasons.members().empty()) return;
        out += "\nNothing to do:\n";
        for (const json::Member& field : reasons.members())
            for (const json::Member& target : field.value.members())
                out +=
                    fmt::format("- {} at {}: {}\n", field.key, target.key, target.value.string());
    }

    std::string client_;
    std::span<const Target> targets_;
    const dialect::Dialect& from_;
    Result<json::Document> probes_;
};

constexpr std::string_view kHead = R"(# What is carried, and what is not

Generated by the tests from the code itself: do not edit. `ENTREPOT_WRITE_DOCS=1` and the test
`Carried.*` write it anew; the fields are in `tests/exchange/probes/`.

A row is a field of a client's request, a column the dialect of the supplier that answers. At a
supplier of the client's own dialect a request goes on as it came, byte for byte (the column is then
what becomes of it where it must be written anew). Under the default policy, `on_lossy: meaning`:

- **yes**: carried, in the supplier's own form.
- **named**: left behind, and named in `x-entrepot-dropped`; `on_lossy: refuse` refuses it.
- **refused**: leaving it out would change the answer; 400, naming the field. `on_lossy: name` leaves it
  behind and names it where the request makes sense without it.
- **nothing to do**: the supplier does so by itself, as said below the table.

`azure-openai` is `openai-chat`; `vertex` is `gemini`; `vertex-anthropic`, and `bedrock-invoke` with
Anthropic's body, are `anthropic-messages`. What suppliers keep (stored conversations, files, caches) stays
with the supplier that keeps it, and server tools of its own making with a supplier that has them.
)";

constexpr std::string_view kVectorHead = R"(
# Embeddings

Of an offer whose `input_type` is `document`. `bedrock-invoke` is Titan's body; Cohere's is `cohere-embed`.
`gemini-embed-batch` is a list of what `gemini-embed` asks once.
)";

TEST(Carried, NoFieldDisappearsSilentlyAndThePageSaysWhatBecomesOfEach) {
    std::string page(kHead);
    std::vector<std::string> wrong;
    for (const char* client : kClients) Table(client, kTargets).write(page, wrong);
    page += kVectorHead;
    for (const char* client : kVectorClients) Table(client, kVectorTargets).write(page, wrong);
    for (const std::string& sentence : wrong) ADD_FAILURE() << sentence;
    const std::string path = std::string(ENTREPOT_SOURCE_DIR) + "/docs/reference/carried.md";
    if (std::getenv("ENTREPOT_WRITE_DOCS") != nullptr) {
        std::ofstream(path) << page;
        return;
    }
    EXPECT_EQ(read_file(path), page)
        << "docs/reference/carried.md is not what the code does; ENTREPOT_WRITE_DOCS=1 writes it";
}

}  // namespace
}  // namespace entrepot::exchange
