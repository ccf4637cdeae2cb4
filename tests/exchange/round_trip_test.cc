// Every recorded request and reply comes home: decoded to canon and written back in its own
// dialect it means what it meant. What does not is in the table of homes.cc, counted and with its
// reason; anything else fails, and so does a line of the table that no longer holds.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "corpus.h"
#include "dialect/registry.h"
#include "homes.h"
#include "json/writer.h"
#include "meaning.h"

namespace entrepot::exchange {
namespace {

using canon::Event;
using Events = std::vector<Event>;
using dialect::Dialect;
using dialect::ReplyForm;

/// What was lost, by side and path, with the exchanges that show it.
class Findings {
public:
    explicit Findings(const Home& home) : home_(home) {}

    void note(Side side, const std::string& path, const std::string& id, std::string example) {
        Found& found = found_[{side, path}];
        if (found.ids.insert(id).second && found.examples.size() < 3)
            found.examples.push_back(id + ": " + std::move(example));
    }

    void note(Side side, const std::vector<Difference>& differences, const std::string& id) {
        for (const Difference& d : differences)
            note(side, d.path, id,
                fmt::format("{} -> {}", d.before.substr(0, 160), d.after.substr(0, 160)));
    }

    /// Holds what was found against the table, and prints it.
    void judge(Side side) const {
        std::map<const Exception*, std::set<std::string>> excused;
        for (const auto& [where, found] : found_) {
            if (where.first != side) continue;
            const std::string& path = where.second;
            const auto row = std::ranges::find_if(exceptions(), [&](const Exception& e) {
                return e.home == home_.name && e.side == side && matches(e.path, path);
            });
            if (row != exceptions().end()) {
                excused[&*row].insert(found.ids.begin(), found.ids.end());
                continue;
            }
            ADD_FAILURE() << home_.name << " " << side_name(side) << " '" << path << "' in "
                          << found.ids.size() << " exchanges:\n  "
                          << fmt::format("{}", fmt::join(found.examples, "\n  "));
        }
        for (const Exception& row : exceptions()) {
            if (row.home != home_.name || row.side != side) continue;
            const std::size_t seen = excused[&row].size();
            EXPECT_EQ(seen, row.exchanges) << home_.name << " " << side_name(row.side) << " '"
                                           << row.path << "': " << row.reason;
            std::printf("  %3zu %s %s: %s\n", seen, std::string(side_name(row.side)).c_str(),
                std::string(row.path).c_str(), std::string(row.reason).c_str());
        }
    }

private:
    struct Found {
        std::set<std::string> ids;
        std::vector<std::string> examples;
    };
    const Home& home_;
    std::map<std::pair<Side, std::string>, Found> found_;
};

/// An event in words: what it is called where it is lost, and all of it.
struct Told {
    std::string kind;
    std::string text;
};

std::string kind_of(const Event& event) {
    if (const auto* aside = std::get_if<canon::Aside>(&event)) return "aside " + aside->key;
    const std::string text = describe(event);
    return text.substr(0, text.find(' '));
}

/// JSON by its meaning: members without order. What is no JSON stays as it is.
std::string sorted(const std::string& json) {
    const auto document = json::Document::parse(json);
    return document ? Tree(document->root(), {}).root().json() : json;
}

/// Whether nothing at all stands in the value, however deep its brackets go.
bool is_nothing(const Tree::Node& node) {
    const auto is_empty = [](const auto& member) { return is_nothing(member.second); };
    switch (node.kind) {
        case json::Kind::kNull: return true;
        case json::Kind::kArray: return std::ranges::all_of(node.items, is_nothing);
        case json::Kind::kObject: return std::ranges::all_of(node.members, is_empty);
        default: return false;
    }
}

bool is_nothing(const std::string& json) {
    const auto document = json::Document::parse(json);
    return document && is_nothing(Tree(document->root(), {}).root());
}

constexpr std::string_view kInvokeMetrics = "amazon-bedrock-invocationMetrics";

/// Bedrock's metrics without what the usage says as well.
std::string without_counts(const std::string& metrics) {
    const auto document = json::Document::parse(metrics);
    Tree::Node node = Tree(document->root(), {}).root();
    std::erase_if(node.members, [](const auto& m) { return m.first.ends_with("TokenCount"); });
    return node.json();
}

/// What is compared of an event: JSON by its meaning, and of the usage what has meters. Nothing
/// where the event says nothing.
std::optional<Event> normal(Event event) {
    if (auto* aside = std::get_if<canon::Aside>(&event)) {
        aside->json = sorted(aside->json);
        if (aside->key == kInvokeMetrics) aside->json = without_counts(aside->json);
        if (is_nothing(aside->json)) return std::nullopt;
    } else if (auto* usage = std::get_if<canon::UsageReported>(&event)) {
        usage->stated.reset();
        if (usage->usage.is_zero()) return std::nullopt;
    } else if (auto* started = std::get_if<canon::PartStarted>(&event)) {
        if (started->opaque) started->opaque->json = sorted(started->opaque->json);
        std::ranges::sort(started->marks, {}, &canon::Extra::path);
    }
    return event;
}

/// Usage without the tier that served, and the tier by itself.
void add_usage(const canon::UsageReported& report, std::vector<Told>& out) {
    if (!report.usage.is_zero()) out.push_back({"usage", canon::to_json(report.usage)});
    if (!report.service_tier.empty()) out.push_back({"tier", report.service_tier});
}

/// The events with what may be cut anywhere in one piece. What stands beside the whole reply has no
/// place in its order, so that comes first, with the last report of the usage.
std::vector<Told> told(const Events& events) {
    Events merged;
    std::vector<Told> out;
    canon::UsageReported usage;
    for (const Event& given : events) {
        const std::optional<Event> kept = normal(given);
        if (!kept) continue;
        const Event& event = *kept;
        if (const auto* report = std::get_if<canon::UsageReported>(&event)) {
            usage = *report;
            continue;
        }
        if (const auto* aside = std::get_if<canon::Aside>(&event); aside && !aside->choice) {
            out.push_back({kind_of(event), describe(event)});
            continue;
        }
        const auto* delta = std::get_if<canon::PartDelta>(&event);
        auto* last = merged.empty() ? nullptr : std::get_if<canon::PartDelta>(&merged.back());
        if (delta != nullptr && last != nullptr && delta->choice == last->choice &&
            delta->part == last->part) {
            last->text += delta->text;
        } else {
            merged.push_back(event);
        }
    }
    add_usage(usage, out);
    std::ranges::stable_sort(out, {}, &Told::kind);
    for (const Event& event : merged) out.push_back({kind_of(event), describe(event)});
    return out;
}

/// What a stream brings in pieces, put together: lists of log probabilities and citations are
/// joined, filter results laid over each other.
void join(Tree::Node& whole, const Tree::Node& more, bool joins_members) {
    if (whole.kind == json::Kind::kArray && more.kind == json::Kind::kArray) {
        whole.items.insert(whole.items.end(), more.items.begin(), more.items.end());
    } else if (whole.kind == json::Kind::kObject && more.kind == json::Kind::kObject) {
        for (const auto& [key, member] : more.members) {
            const auto [at, is_new] = whole.members.try_emplace(key, member);
            if (is_new) continue;
            if (joins_members)
                join(at->second, member, true);
            else
                at->second = member;
        }
    } else {
        whole = more;
    }
}

std::vector<Told> told(const std::vector<canon::Aside>& asides) {
    std::map<std::string, Tree::Node> by_place;
    for (const canon::Aside& aside : asides) {
        const std::optional<Event> kept = normal(aside);
        if (!kept) continue;
        auto place = std::get<canon::Aside>(*kept);
        const auto document = json::Document::parse(place.json);
        const Tree::Node node = Tree(document->root(), {}).root();
        place.json.clear();
        const auto [at, is_new] = by_place.try_emplace(describe(place), node);
        if (!is_new) join(at->second, node, aside.key == "logprobs");
    }
    std::vector<Told> out;
    for (const auto& [place, node] : by_place) {
        std::string kind = place.substr(place.find(' ', place.find(' ') + 1) + 1);
        out.push_back({"aside " + kind.substr(0, kind.find(' ')), place + node.json()});
    }
    return out;
}

/// The fold, field by field, in words.
std::vector<Told> told(const canon::Reply& reply) {
    std::vector<Told> out;
    const auto add = [&](const Event& event) {
        out.push_back({kind_of(event), describe(*normal(event))});
    };
    const auto add_all = [&](std::vector<canon::Aside> asides) {
        for (Told& line : told(asides)) out.push_back(std::move(line));
    };
    add(reply.started);
    for (std::uint32_t c = 0; c < reply.choices.size(); ++c) {
        const canon::Reply::Choice& choice = reply.choices[c];
        std::uint32_t place = 0;
        std::map<std::uint32_t, std::uint32_t> places;  // parts by number: forms may count apart
        for (const canon::Reply::Part& part : choice.parts) {
            places[part.start.part] = place;
            canon::PartStarted start = part.start;
            start.part = place++;
            // A stream says how an item begins, a whole reply how it ended.
            std::erase_if(start.marks, [](const canon::Extra& mark) {
                return mark.path == "status" &&
                    (mark.json == R"("in_progress")" || mark.json == R"("completed")");
            });
            add(start);
            if (!part.text.empty()) add(canon::PartDelta{c, start.part, part.text});
            if (part.signature) add(canon::PartSignature{c, start.part, *part.signature});
        }
        std::vector<canon::Aside> asides = choice.asides;
        for (canon::Aside& aside : asides)
            if (aside.part) aside.part = places[*aside.part];
        add_all(std::move(asides));
        if (choice.finished) add(*choice.finished);
    }
    add_all(reply.asides);
    add_usage({reply.usage, reply.service_tier}, out);
    if (reply.failure) add(canon::Failed{*reply.failure});
    if (reply.has_ended) add(canon::Ended{});
    return out;
}

canon::Reply fold(const Events& events) {
    canon::Reply reply;
    for (const Event& event : events) reply.add(event);
    return reply;
}

/// Lines that only one of both has, the longest common run of the rest left aside.
std::vector<Difference> differences(
    const std::vector<Told>& before, const std::vector<Told>& after) {
    const std::size_t n = before.size();
    const std::size_t m = after.size();
    std::vector<std::vector<std::uint32_t>> common(n + 1, std::vector<std::uint32_t>(m + 1));
    for (std::size_t i = n; i-- > 0;)
        for (std::size_t j = m; j-- > 0;)
            common[i][j] = before[i].text == after[j].text
                ? common[i + 1][j + 1] + 1
                : std::max(common[i + 1][j], common[i][j + 1]);
    std::vector<Difference> out;
    for (std::size_t i = 0, j = 0; i < n || j < m;) {
        if (i < n && j < m && before[i].text == after[j].text) {
            ++i;
            ++j;
        } else if (j == m || (i < n && common[i + 1][j] >= common[i][j + 1])) {
            out.push_back({"lost " + before[i].kind, before[i].text, {}});
            ++i;
        } else {
            out.push_back({"new " + after[j].kind, {}, after[j].text});
            ++j;
        }
    }
    return out;
}

class RoundTrip : public testing::TestWithParam<const Home*> {
protected:
    void SetUp() override {
        if (corpus_folder().empty())
            GTEST_SKIP()
                << "the recorded exchanges are not beside the project; set ENTREPOT_SHARED";
        ASSERT_NE(dialect(), nullptr);
    }
    static const Home& home() { return *GetParam(); }
    static const Dialect* dialect() { return dialect::find_dialect(home().dialect); }
    static std::vector<Exchange> exchanges() {
        return read_corpus(home().file, [](std::string_view operation) {
            return std::ranges::find(home().operations, operation) != home().operations.end();
        });
    }
    static Tree tree(const json::Document& document, void (*spell)(Tree&)) {
        Tree made(document.root(), home().verbatim);
        spell(made);
        return made;
    }
    static std::string model_of(const Exchange& exchange) {
        std::string model = home().model_of ? home().model_of(exchange) : exchange.model;
        return model.empty() ? "a-model" : model;
    }
    struct Written {
        std::string bytes;
        std::vector<dialect::Header> headers;
    };
    static Written written(const Exchange& asked, const Events& events, ReplyForm form) {
        dialect::ReplyContext context;
        context.wants_function_call = asked.request.find("\"functions\":") != std::string::npos;
        if (home().family_of) context.family = home().family_of(asked);
        const auto encoder = dialect()->reply_encoder(form, context);
        Written out;
        for (const Event& event : events) encoder->add(event, out.bytes);
        out.headers = encoder->headers();
        return out;
    }
    static Result<Events> read(
        ReplyForm form, std::string_view bytes, const std::vector<dialect::Header>& headers) {
        const auto decoder = dialect()->reply_decoder(form);
        decoder->take_headers(headers);
        Events events;
        ENTREPOT_TRY_DO(decoder->feed(bytes, events));
        ENTREPOT_TRY_DO(decoder->finish(events));
        return events;
    }
    /// Of the request's headers those that are the dialect's own and that somebody has to say.
    static std::vector<dialect::Header> own_headers(const Exchange& exchange) {
        std::vector<dialect::Header> own;
        for (const dialect::OwnHeader& wanted : dialect()->own_headers)
            for (const dialect::Header& header : exchange.headers)
                if (header.name == wanted.name && wanted.fallback.empty()) own.push_back(header);
        return own;
    }
};

TEST_P(RoundTrip, EveryRequestComesHome) {
    Findings findings(home());
    std::size_t carried = 0;
    for (const Exchange& exchange : exchanges()) {
        if (exchange.request.empty()) continue;
        const auto document = json::Document::parse(exchange.request);
        ASSERT_TRUE(document) << exchange.id;
        dialect::RequestContext context;
        const std::string model = model_of(exchange);
        if (dialect()->has_model_in_path) context.model = model;
        if (home().is_stream_in_path) context.is_stream = exchange.is_stream;
        const std::vector<dialect::Header> headers = own_headers(exchange);
        context.headers = headers;
        const auto request = dialect()->decode_request(*document, context);
        if (!request) {
            findings.note(Side::kRequest, "refused " + request.error().field, exchange.id,
                request.error().message);
            continue;
        }
        if (exchange.status < 400) {
            EXPECT_EQ(request->is_stream, exchange.is_stream) << exchange.id;
        }
        dialect::EncodeTarget target;
        target.model_id = request->model;
        target.on_lossy = dialect::OnLossy::kRefuse;
        const auto encoded = dialect()->encode_request(*request, target);
        if (!encoded) {
            findings.note(Side::kRequest, "refused " + encoded.error().field, exchange.id,
                encoded.error().message);
            continue;
        }
        const auto back = json::Document::parse(encoded->body);
        ASSERT_TRUE(back) << exchange.id << encoded->body;
        findings.note(Side::kRequest,
            exchange::differences(
                tree(*document, home().spell_request), tree(*back, home().spell_request)),
            exchange.id);
        for (const std::string& name : encoded->dropped)
            findings.note(Side::kRequest, "dropped " + name, exchange.id, name);
        for (const dialect::Header& header : headers) {
            const auto found =
                std::ranges::find(encoded->headers, header.name, &dialect::Header::name);
            const std::string value =
                found == encoded->headers.end() ? std::string() : found->value;
            if (value != header.value)
                findings.note(Side::kRequest, "header " + header.name, exchange.id,
                    header.value + " -> " + value);
        }
        ++carried;
    }
    std::printf("%s: %zu requests came home\n", std::string(home().name).c_str(), carried);
    EXPECT_EQ(carried, home().requests);
    findings.judge(Side::kRequest);
}

TEST_P(RoundTrip, EveryReplyComesHomeWholeAndStreamed) {
    Findings findings(home());
    std::map<std::string, std::size_t> count;
    for (const Exchange& exchange : exchanges()) {
        if (exchange.status >= 400) continue;
        const ReplyForm form = exchange.is_stream ? ReplyForm::kStream : ReplyForm::kWhole;
        const ReplyForm other = exchange.is_stream ? ReplyForm::kWhole : ReplyForm::kStream;
        const auto events = read(form, exchange.response, exchange.reply_headers);
        if (!events) {
            findings.note(form == ReplyForm::kWhole ? Side::kReply : Side::kStream, "unreadable",
                exchange.id, events.error().message);
            continue;
        }
        const auto [bytes, headers] = written(exchange, *events, form);
        const auto back = read(form, bytes, headers);
        ASSERT_TRUE(back) << exchange.id << " " << back.error().message << bytes.substr(0, 400);
        if (form == ReplyForm::kWhole) {
            const auto before = json::Document::parse(exchange.response);
            const auto after = json::Document::parse(bytes);
            ASSERT_TRUE(before && after) << exchange.id;
            findings.note(Side::kReply,
                exchange::differences(
                    tree(*before, home().spell_reply), tree(*after, home().spell_reply)),
                exchange.id);
        }
        findings.note(form == ReplyForm::kWhole ? Side::kReply : Side::kStream,
            differences(told(*events), told(*back)), exchange.id);
        ++count[form == ReplyForm::kWhole ? "whole" : "streamed"];
        // Vectors are told in one form alone.
        if (std::ranges::any_of(*events,
                [](const canon::Event& e) { return std::holds_alternative<canon::Outcome>(e); }))
            continue;
        const auto [turned_bytes, turned_headers] = written(exchange, *events, other);
        const auto turned = read(other, turned_bytes, turned_headers);
        ASSERT_TRUE(turned) << exchange.id << " " << turned.error().message;
        findings.note(
            Side::kForms, differences(told(fold(*events)), told(fold(*turned))), exchange.id);
    }
    std::printf("%s: %zu whole replies and %zu streams came home\n",
        std::string(home().name).c_str(), count["whole"], count["streamed"]);
    EXPECT_EQ(count["whole"] + count["streamed"], home().replies);
    findings.judge(Side::kReply);
    findings.judge(Side::kStream);
    findings.judge(Side::kForms);
}

TEST_P(RoundTrip, EveryErrorComesHome) {
    Findings findings(home());
    std::size_t errors = 0;
    for (const Exchange& exchange : exchanges()) {
        if (exchange.status < 400) continue;
        const auto before = json::Document::parse(exchange.response);
        if (!before || !before->root().is_object()) {
            findings.note(Side::kError, "no JSON", exchange.id, exchange.response.substr(0, 100));
            continue;
        }
        const canon::Failure failure =
            dialect()->decode_failure(exchange.status, {}, exchange.response);
        EXPECT_EQ(failure.status, exchange.status) << exchange.id;
        const auto after = json::Document::parse(dialect()->encode_failure(failure));
        ASSERT_TRUE(after) << exchange.id;
        findings.note(Side::kError,
            exchange::differences(
                tree(*before, home().spell_error), tree(*after, home().spell_error)),
            exchange.id);
        ++errors;
    }
    std::printf("%s: %zu errors came home\n", std::string(home().name).c_str(), errors);
    EXPECT_EQ(errors, home().errors);
    findings.judge(Side::kError);
}

std::vector<const Home*> rows() {
    std::vector<const Home*> out;
    for (const Home& home : homes()) out.push_back(&home);
    return out;
}

INSTANTIATE_TEST_SUITE_P(Corpus, RoundTrip, testing::ValuesIn(rows()),
    [](const testing::TestParamInfo<const Home*>& row) {
        std::string name(row.param->name);
        std::ranges::replace(name, '-', '_');
        return name;
    });

}  // namespace
}  // namespace entrepot::exchange
