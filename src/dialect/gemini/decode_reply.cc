#include <fmt/format.h>

#include <map>
#include <optional>

#include "base/text.h"
#include "base/time.h"
#include "dialect/gemini/arguments.h"
#include "dialect/gemini/chunks.h"
#include "dialect/gemini/gemini.h"
#include "dialect/gemini/parts.h"

namespace entrepot::dialect::gemini {
namespace {

using canon::Event;
using canon::PartKind;
using json::Value;
using Events = std::vector<Event>;

constexpr std::size_t kBodyBytesMax = std::size_t{64} << 20;  // pictures in base64
constexpr std::int64_t kChoicesMax = 128;

std::unexpected<Error> malformed(std::string_view what) {
    return fail(ErrorCode::kUpstreamProtocol, fmt::format("the supplier's reply {}", what));
}

bool is_rider(std::string_view key) {
    return spells(key, "thought") || spells(key, "thoughtSignature") ||
        spells(key, "partMetadata") || spells(key, "videoMetadata");
}

std::uint64_t hash_of(std::string_view bytes) {
    std::uint64_t hash = 14695981039346656037U;  // FNV-1a
    for (const char c : bytes) hash = (hash ^ static_cast<std::uint8_t>(c)) * 1099511628211U;
    return hash;
}

/// One reply, whole or as the chunks of a stream: each is a response object with new parts.
class ReplyReader {
public:
    explicit ReplyReader(Service service) : service_(service) {}

    [[nodiscard]] bool is_over() const { return is_over_; }

    Status read(const Value& root, Events& events) {
        if (!root.is_object()) return malformed("holds a chunk that is no object");
        events_ = &events;
        if (const Value& error = root["error"]; error.is_object()) {
            is_over_ = true;
            emit(canon::Failed{failure_of(error)});
            return {};
        }
        start(root);
        if (const Value* feedback = find(root, "promptFeedback")) {
            has_feedback_ = true;
            aside("promptFeedback", feedback->raw(), {});
            if (const Value& reason = get(*feedback, "blockReason"); !reason.is_null())
                block_word_ = block_word(reason, service_);
            else if (find(*feedback, "blockReasonMessage") != nullptr)
                block_word_ = "OTHER";
        }
        const std::span<const Value> candidates = items_of(get(root, "candidates"));
        for (std::size_t i = 0; i < candidates.size(); ++i)
            ENTREPOT_TRY_DO(read_candidate(candidates[i], static_cast<std::int64_t>(i)));
        for (const json::Member& member : root.members()) note_top_level(member);
        if (const Value* usage = find(root, "usageMetadata")) {
            has_usage_ = usage_.lay_over(*usage) || has_usage_;
            stated_ = usage->raw();
        }
        report_usage();
        return {};
    }

    Status finish(ReplyForm form, Events& events) {
        if (is_over_) return {};
        events_ = &events;
        if (!has_started_) return malformed("is empty");
        for (auto& [index, choice] : choices_) {
            end_call(index, choice, true);
            end_open(index, choice);
        }
        const bool is_blocked = choices_.empty() && !block_word_.empty();
        if (form == ReplyForm::kStream) {
            // Of a prompt that was judged and not answered there is nothing more to come.
            bool is_complete = has_feedback_ || !choices_.empty();
            for (const auto& [index, choice] : choices_)
                is_complete = is_complete && !choice.finish_word.empty();
            if (!is_complete) return malformed("ended before its finishReason");
        }
        if (is_blocked)
            emit(canon::Finished{0, canon::StopReason::kContentFilter, block_word_, {}});
        // Some streams name a reason with every chunk; the last one is meant.
        for (const auto& [index, choice] : choices_) {
            if (choice.finish_word.empty()) continue;
            canon::StopReason reason = stop_reason(choice.finish_word);
            if (reason == canon::StopReason::kStop && choice.has_calls)
                reason = canon::StopReason::kToolCalls;
            emit(canon::Finished{index, reason, choice.finish_word, {}});
        }
        report_usage();
        emit(canon::Ended{});
        is_over_ = true;
        return {};
    }

private:
    struct Choice {
        std::uint32_t next_part = 0;
        std::optional<std::uint32_t> open;  ///< a text or a thought that may go on
        PartKind open_kind = PartKind::kText;
        std::optional<std::uint32_t> call;  ///< whose arguments come in pieces
        bool call_has_args = false;
        ArgumentsWriter arguments;
        bool has_calls = false;
        std::string finish_word;
        std::int64_t searches = 0;
    };

    void emit(Event event) { events_->push_back(std::move(event)); }

    void aside(std::string_view key, std::string_view json, std::optional<std::uint32_t> choice) {
        emit(canon::Aside{
            std::string(kOrigin), std::string(key), std::string(json), choice, std::nullopt});
    }

    void start(const Value& root) {
        if (has_started_) return;
        has_started_ = true;
        canon::Started started;
        started.id = get(root, "responseId").string();
        // Ids that we make up differ from reply to reply, however it is told.
        id_seed_ = hash_of(started.id.empty() ? root.raw() : std::string_view(started.id));
        started.model = get(root, "modelVersion").string();
        started.origin = kOrigin;
        if (const Value& time = get(root, "createTime"); time.is_string()) {
            if (const auto at = parse_instant(time.string()); at && at->ns > 0)
                started.created_s = at->ns / 1'000'000'000;
            started.echo.push_back({"createTime", std::string(time.raw())});
        }
        emit(std::move(started));
    }

    /// What stands beside the candidates comes with every chunk; it is said when it changes.
    void note_top_level(const json::Member& member) {
        const std::string key = camel_of(member.key);
        for (const std::string_view known : {"candidates", "usageMetadata", "promptFeedback",
                 "modelVersion", "responseId", "createTime"})
            if (key == known) return;
        if (member.value.is_null()) return;
        std::string& last = top_level_[key];
        if (last == member.value.raw()) return;
        last = member.value.raw();
        aside(key, last, {});
    }

    void report_usage() {
        if (!has_usage_) return;
        canon::UsageReported report{usage_.usage(), std::string(usage_.tier())};
        for (const auto& [index, choice] : choices_)
            report.usage[canon::Meter::kSearches] += choice.searches;
        report.usage[canon::Meter::kToolCalls] = tool_calls_;
        if (reported_ == report) return;
        reported_ = report;
        report.stated = canon::Opaque{std::string(kOrigin), "usageMetadata", stated_};
        emit(std::move(report));
    }

    Status read_candidate(const Value& candidate, std::int64_t position) {
        if (!candidate.is_object()) return malformed("holds a candidate that is no object");
        const std::int64_t stated = get(candidate, "index").as_int().value_or(position);
        if (stated < 0 || stated >= kChoicesMax)
            return malformed(fmt::format("has a candidate of index {}", stated));
        const auto index = static_cast<std::uint32_t>(stated);
        Choice& choice = choices_[index];
        // What stands beside the new parts goes before them, so that it is told with them again.
        for (const json::Member& member : candidate.members()) {
            const std::string key = camel_of(member.key);
            if (key == "content" || key == "index" || key == "finishReason" ||
                member.value.is_null())
                continue;
            if (key == "groundingMetadata") count_searches(member.value, choice);
            aside(key, member.value.raw(), index);
        }
        bool continues = true;
        for (const Value& part : items_of(get(get(candidate, "content"), "parts"))) {
            if (!part.is_object()) return malformed("holds a part that is no object");
            ENTREPOT_TRY_DO(read_part(part, index, choice, continues));
            continues = false;
        }
        if (const Value& reason = get(candidate, "finishReason"); !reason.is_null()) {
            std::string word = finish_word(reason, service_);
            if (word != "FINISH_REASON_UNSPECIFIED" && word != "0" && !word.empty())
                choice.finish_word = std::move(word);
        }
        return {};
    }

    /// Queries that Google made, which it sells apart; the last chunk knows all of them.
    static void count_searches(const Value& grounding, Choice& choice) {
        std::int64_t queries = 0;
        for (const std::string_view list : {"webSearchQueries", "imageSearchQueries"})
            queries += static_cast<std::int64_t>(items_of(get(grounding, list)).size());
        // Maps and one's own data name no queries, but what they found.
        if (queries == 0 && !items_of(get(grounding, "groundingChunks")).empty()) queries = 1;
        choice.searches = std::max(choice.searches, queries);
    }

    Status read_part(const Value& part, std::uint32_t index, Choice& choice, bool continues) {
        const json::Member* kind = nullptr;
        for (const json::Member& member : part.members())
            if (kind == nullptr && !member.value.is_null() && !is_rider(member.key)) kind = &member;
        const std::string_view signature = get(part, "thoughtSignature").string();
        const std::string name = kind == nullptr ? "text" : camel_of(kind->key);
        if (name != "functionCall") end_call(index, choice, true);
        if (name == "text") {
            const bool is_thought = get(part, "thought").as_bool().value_or(false);
            read_text(kind == nullptr ? std::string_view() : kind->value.string(),
                is_thought ? PartKind::kThought : PartKind::kText, signature, index, choice,
                continues);
            return {};
        }
        end_open(index, choice);
        if (name == "functionCall") return read_call(kind->value, signature, index, choice);
        canon::PartStarted started;
        if (name == "inlineData" && get(kind->value, "data").is_string()) {
            started.kind = PartKind::kMedia;
            canon::Media media;
            media.media_type = get(kind->value, "mimeType").string();
            media.kind = media_kind(media.media_type);
            media.data = get(kind->value, "data").string();
            media.name = get(kind->value, "displayName").string();
            started.media = std::move(media);
        } else {
            started.kind = PartKind::kOpaque;
            std::string json;
            json::Writer writer(json);
            writer.begin_object();
            for (const json::Member& member : part.members())
                if (!member.value.is_null() && !spells(member.key, "thoughtSignature"))
                    writer.member_raw(camel_of(member.key), member.value.raw());
            writer.end_object();
            started.opaque = canon::Opaque{std::string(kOrigin), name, std::move(json)};
            if (name == "executableCode") ++tool_calls_;
        }
        const std::uint32_t number = begin(std::move(started), index, choice);
        sign(signature, index, number);
        emit(canon::PartEnded{index, number});
        return {};
    }

    std::uint32_t begin(canon::PartStarted started, std::uint32_t index, Choice& choice) {
        started.choice = index;
        started.part = choice.next_part++;
        const std::uint32_t number = started.part;
        emit(std::move(started));
        return number;
    }

    void sign(std::string_view data, std::uint32_t index, std::uint32_t part) {
        if (data.empty()) return;
        emit(canon::PartSignature{
            index, part, canon::Signature{std::string(kOrigin), std::string(data)}});
    }

    void end_open(std::uint32_t index, Choice& choice) {
        if (choice.open) emit(canon::PartEnded{index, *choice.open});
        choice.open.reset();
    }

    /// Text goes on from chunk to chunk. What is signed is a part of its own, since its signature
    /// covers it as it stands.
    void read_text(std::string_view text, PartKind kind, std::string_view signature,
        std::uint32_t index, Choice& choice, bool continues) {
        if (text.empty() && signature.empty()) return;
        const bool goes_on =
            choice.open && choice.open_kind == kind && continues && signature.empty();
        if (!goes_on) {
            end_open(index, choice);
            canon::PartStarted started;
            started.kind = kind;
            started.is_summary = kind == PartKind::kThought;
            choice.open = begin(std::move(started), index, choice);
            choice.open_kind = kind;
        }
        // The signature goes first, so that the two can be told as one part again.
        sign(signature, index, *choice.open);
        if (!text.empty()) emit(canon::PartDelta{index, *choice.open, std::string(text)});
        if (!signature.empty()) end_open(index, choice);
    }

    // ---- calls

    Status read_call(
        const Value& call, std::string_view signature, std::uint32_t index, Choice& choice) {
        const std::string_view name = get(call, "name").string();
        if (choice.call && !name.empty()) end_call(index, choice, true);
        if (!choice.call) {
            if (name.empty()) return {};  // the end of none
            canon::PartStarted started;
            started.kind = PartKind::kToolCall;
            started.name = name;
            started.call_id = get(call, "id").string();
            if (started.call_id.empty())
                started.call_id = fmt::format("{}{:016x}_{}", kMadeUpId, id_seed_, made_up_ids_++);
            if (!signature.empty())
                started.signature = canon::Signature{std::string(kOrigin), std::string(signature)};
            choice.call = begin(std::move(started), index, choice);
            choice.has_calls = true;
            choice.call_has_args = false;
            choice.arguments = ArgumentsWriter();
        }
        sign(signature, index, *choice.call);
        if (const Value* args = find(call, "args"); args != nullptr && !choice.call_has_args) {
            emit(canon::PartDelta{index, *choice.call, std::string(args->raw())});
            choice.call_has_args = true;
        }
        std::string delta;
        Status added;
        if (!choice.call_has_args)
            for (const Value& partial : items_of(get(call, "partialArgs")))
                if (added) added = choice.arguments.add(partial, delta);
        if (!delta.empty()) emit(canon::PartDelta{index, *choice.call, std::move(delta)});
        ENTREPOT_TRY_DO(added);
        if (!get(call, "willContinue").as_bool().value_or(false)) end_call(index, choice, false);
        return {};
    }

    /// `is_cut`: something else came before the call said that it was whole.
    void end_call(std::uint32_t index, Choice& choice, bool is_cut) {
        if (!choice.call) return;
        if (!choice.call_has_args) {
            std::string rest;
            choice.arguments.finish(rest);
            // What the output cap has cut stays cut: closed, it would pass for what was meant.
            if (!is_cut || rest == "{}")
                emit(canon::PartDelta{index, *choice.call, std::move(rest)});
        }
        emit(canon::PartEnded{index, *choice.call});
        choice.call.reset();
    }

    Service service_;
    Events* events_ = nullptr;
    std::uint64_t id_seed_ = 0;
    std::map<std::uint32_t, Choice> choices_;
    std::map<std::string, std::string> top_level_;
    UsageReader usage_;
    canon::UsageReported reported_;
    std::string stated_;  // the last account as it stood
    std::string block_word_;
    std::int64_t tool_calls_ = 0;
    std::uint64_t made_up_ids_ = 0;
    bool has_started_ = false;
    bool has_usage_ = false;
    bool has_feedback_ = false;
    bool is_over_ = false;
};

class WholeDecoder final : public ReplyDecoder {
public:
    explicit WholeDecoder(Service service) : reader_(service) {}

    Status feed(std::string_view bytes, Events&) override {
        if (body_.size() + bytes.size() > kBodyBytesMax)
            return malformed(fmt::format("is larger than {} bytes", kBodyBytesMax));
        body_ += bytes;
        return {};
    }

    Status finish(Events& events) override {
        const auto parsed = json::Document::parse(std::move(body_));
        if (!parsed) return malformed("is no JSON: " + parsed.error().message);
        const Value& root = parsed->root();
        // A stream that was asked for as an array and stored whole is the same reply.
        for (const Value& chunk : items_of(root)) {
            if (!is_reply(chunk))
                return malformed("has neither candidates nor a promptFeedback nor an error");
            ENTREPOT_TRY_DO(reader_.read(chunk, events));
        }
        return reader_.finish(ReplyForm::kWhole, events);
    }

private:
    static bool is_reply(const Value& root) {
        for (const std::string_view key :
            {"candidates", "promptFeedback", "usageMetadata", "error"})
            if (find(root, key) != nullptr) return true;
        return false;
    }

    std::string body_;
    ReplyReader reader_;
};

class StreamDecoder final : public ReplyDecoder {
public:
    explicit StreamDecoder(Service service) : reader_(service) {}

    Status feed(std::string_view bytes, Events& events) override {
        if (reader_.is_over()) return {};
        chunks_.clear();
        return read(splitter_.feed(bytes, chunks_), events);
    }

    Status finish(Events& events) override {
        if (reader_.is_over()) return {};
        chunks_.clear();
        ENTREPOT_TRY_DO(read(splitter_.finish(chunks_), events));
        return reader_.finish(ReplyForm::kStream, events);
    }

private:
    Status read(const Status& split, Events& events) {
        for (std::string& chunk : chunks_) {
            const auto parsed = json::Document::parse(std::move(chunk));
            if (!parsed) return malformed("holds a chunk that is no JSON");
            const Value& root = parsed->root();
            // An error without its `data:` may stand in a list.
            for (const Value& object : items_of(root)) {
                ENTREPOT_TRY_DO(reader_.read(object, events));
                if (reader_.is_over()) return {};
            }
        }
        return split;
    }

    ChunkSplitter splitter_;
    std::vector<std::string> chunks_;
    ReplyReader reader_;
};

}  // namespace

std::unique_ptr<ReplyDecoder> reply_decoder(ReplyForm form, Service service) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeDecoder>(service);
    return std::make_unique<StreamDecoder>(service);
}

}  // namespace entrepot::dialect::gemini
