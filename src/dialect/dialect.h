#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "canon/listed_model.h"
#include "canon/reply.h"
#include "canon/request.h"
#include "json/value.h"

namespace entrepot::dialect {

/// What to do with what the target cannot carry: `on_lossy` of the key's policy.
enum class OnLossy : std::uint8_t { kRefuse, kMeaning, kName };

struct Header {
    std::string name;  ///< lower case
    std::string value;
};

/// What a request says beside its body; dialects differ in what stands where.
struct RequestContext {
    /// From the path, decoded. Given, a body that names no model is complete, and a name that is
    /// not empty stands above the body's. Absent: the body must name it.
    std::optional<std::string_view> model;
    std::optional<bool> is_stream;    ///< what the path says; absent: the body says it
    std::span<const Header> headers;  ///< those of the dialect (`anthropic-beta`), no credentials
    std::string_view query;           ///< without the question mark
    /// The body as it came and its media type, for dialects that read more than JSON
    /// (`Dialect::reads_raw_body`).
    std::string_view raw_body;
    std::string_view content_type;
};

/// Where a request is going.
struct EncodeTarget {
    std::string_view
        model_id;  ///< the offer's own id; written into the body where the dialect has a place
    OnLossy on_lossy = OnLossy::kMeaning;
    /// Whose account a body has to name, where a dialect has that in it (OCI's compartment).
    std::string_view account = {};
    /// The cap to state when the client gave none and the dialect demands one (Anthropic's
    /// `max_tokens`).
    std::int64_t output_tokens_default = 4096;
    /// Where the client gave no cap, state that one also in a dialect that demands none: a hold
    /// rests on it, and the supplier would not stop there by itself.
    bool states_output_cap = false;
    bool can_ask_stream_usage =
        true;  ///< the server takes `stream_options` (old Azure versions do not)
    bool takes_max_completion_tokens = true;  ///< else the cap is written as `max_tokens`
    /// What vectors are for where the request does not say: of the offer's configuration.
    canon::EmbedPurpose embed_purpose = canon::EmbedPurpose::kUnsaid;
};

/// A request in its target's dialect. `dropped` names what was left behind, as fields of the
/// origin.
struct EncodedRequest {
    std::string body;
    std::vector<Header>
        headers;  ///< what the dialect itself needs (`anthropic-beta`), never credentials
    std::vector<std::string> dropped;
    /// Of a body that is no JSON.
    std::string content_type = {};
};

enum class ReplyForm : std::uint8_t { kWhole, kStream };

/// Supplier bytes to events. Bytes may be split anywhere: feeding them whole or one by one gives
/// the same events. Buffers at most one event or frame (`event_bytes_max`), or the whole body when
/// the form is kWhole.
class ReplyDecoder {
public:
    virtual ~ReplyDecoder() = default;
    /// The headers of the reply, before its first byte, for dialects that count tokens in them
    /// (bedrock-invoke). Without them a decoder reports what the body states.
    virtual void take_headers(std::span<const Header>) {}
    /// Appends what `bytes` complete to `events`. Errors: kUpstreamProtocol, after which the
    /// decoder is done; events appended before the error stand. A supplier's own error is no error
    /// here but a canon::Failed event.
    [[nodiscard]] virtual Status feed(
        std::string_view bytes, std::vector<canon::Event>& events) = 0;
    /// The body has ended. Appends what was waiting for the end. Errors: kUpstreamProtocol when the
    /// reply is incomplete (a stream without its end, half an event, half a body).
    [[nodiscard]] virtual Status finish(std::vector<canon::Event>& events) = 0;
    /// The answer is whole, and though something about it may still come (its usage), the supplier
    /// may as well say nothing more and keep the connection: wait briefly, then `finish`.
    [[nodiscard]] virtual bool may_end_here() const { return false; }
};

/// How the client asked, as far as its reply depends on it.
struct ReplyContext {
    std::string model;           ///< the name the client used, shown back
    std::string id;              ///< used when the supplier gave none
    std::int64_t created_s = 0;  ///< likewise
    bool wants_usage = true;     ///< a stream with a usage chunk
    /// canon::Request::uses_functions: calls go back in OpenAI's old form.
    bool wants_function_call = false;
    /// A stream goes out as one JSON array, piece by piece (Google's, without `alt=sse`).
    bool wants_json_array = false;
    std::string family = {};  ///< canon::Request::family: the body's shape, where there are many
    /// Dialect::echo_of the request that is answered; empty: the reply repeats defaults.
    std::string echo = {};
    /// Of the prompt, for replies that must state it where the supplier does not.
    std::int64_t prompt_tokens_estimate = 0;
};

/// Events to client bytes. A whole reply is written at the end, a stream as it comes.
class ReplyEncoder {
public:
    virtual ~ReplyEncoder() = default;
    /// Appends to `out` what the client may see now.
    virtual void add(const canon::Event& event, std::string& out) = 0;
    /// Things of the reply that the client's dialect has no place for, so far: names for
    /// `x-entrepot-dropped`.
    [[nodiscard]] virtual const std::vector<std::string>& dropped() const = 0;
    /// What a stream says while its supplier is silent, for clients that take a long silence for a
    /// broken connection. Empty: the dialect has no word that its clients would pass over.
    [[nodiscard]] virtual std::string keep_alive() { return {}; }
    /// What the dialect says of a whole reply in its headers, once the reply is written.
    [[nodiscard]] virtual std::vector<Header> headers() const { return {}; }
    /// Of a whole reply, once it is written.
    [[nodiscard]] virtual std::string content_type() const { return "application/json"; }
};

struct OwnHeader {
    std::string_view name;      ///< lower case
    std::string_view fallback;  ///< sent when nobody says otherwise; empty: nothing is
};

/// One wire format, both ways. Values of this type are static; see registry.h.
struct Dialect {
    std::string_view name;
    /// What can be asked in it. A path may serve several (bedrock-invoke): the request says which.
    canon::Tasks tasks = canon::task_bit(canon::Task::kConverse);
    std::string_view
        stream_content_type;  ///< `text/event-stream`, `application/vnd.amazon.eventstream`
    /// The path names the model, not (only) the body: RequestContext::model is given.
    bool has_model_in_path = false;
    /// Where a request's body names the model, at its top; empty: nowhere.
    std::string_view model_field = "model";
    /// Headers of requests that belong to this dialect. They go from its clients to its suppliers.
    std::span<const OwnHeader> own_headers;
    /// Fields of requests that name what a supplier keeps (stored conversations, files): no bound
    /// for a hold, and nothing for another supplier.
    std::span<const std::string_view> stateful_fields;
    /// How the headers of a whole reply begin that are the dialect's own, and pass with its bytes;
    /// empty: none are.
    std::string_view reply_header_prefix;
    /// Where its clients look for the id of an exchange.
    std::string_view request_id_header = "x-request-id";
    bool reads_reply_headers = false;  ///< ReplyDecoder::take_headers has to be called
    /// A stream states its usage only when asked (`stream_options`): for a client that did not ask,
    /// a request is encoded anew and the report kept from it.
    bool asks_stream_usage = false;
    /// Bodies may be other than JSON: `decode_request` gets them in its context, and as a null
    /// document.
    bool reads_raw_body = false;
    /// Whole replies may be other than JSON: the supplier's content type goes with their bytes.
    bool passes_reply_type = false;
    /// A stream that cannot begin because the context is full is answered by a stream that says so:
    /// its clients shorten their history on that, and take an error status as final.
    bool tells_full_context_in_stream = false;
    std::string_view reply_id_prefix;  ///< of ids that we make for replies: `chatcmpl-`
    /// Client request to canon. Errors: kInvalidField, kBadRequest, kUnsupported, with the field.
    Result<canon::Request> (*decode_request)(
        const json::Document& body, const RequestContext& context) = nullptr;
    /// Canon to supplier request. Errors: kUnsupported naming the field, as `on_lossy` says.
    Result<EncodedRequest> (*encode_request)(
        const canon::Request& request, const EncodeTarget& target) = nullptr;
    /// What a reply of this dialect repeats of its request (tools, instructions), as a JSON object:
    /// ReplyContext::echo. Null: nothing is repeated.
    std::string (*echo_of)(const canon::Request& request) = nullptr;
    /// Whether a client's body of that family (canon::Request::family) is one for the model; null:
    /// every body is one for every model.
    bool (*takes_family)(std::string_view model_id, std::string_view family) = nullptr;
    /// A client's body with the model's name in it replaced, where it stands elsewhere than in
    /// `model_field`. Null: it does not. Errors: kBadRequest.
    Result<std::string> (*rename_model)(
        std::string_view body, std::string_view content_type, std::string_view model) = nullptr;
    /// Whether a supplier's whole reply in this dialect has the form that the client asked for
    /// (canon::Request::family), so that it may pass as it is; its beginning decides. Null: always.
    bool (*passes_reply)(std::string_view body, std::string_view family) = nullptr;
    /// The usage that the end of a whole reply states, for replies too large to be kept; nothing
    /// where it states none. Null: it stands elsewhere.
    std::optional<canon::Usage> (*usage_of_tail)(std::string_view tail) = nullptr;
    std::unique_ptr<ReplyDecoder> (*reply_decoder)(ReplyForm form) = nullptr;
    std::unique_ptr<ReplyEncoder> (*reply_encoder)(
        ReplyForm form, const ReplyContext& context) = nullptr;
    /// A supplier's error answer (status >= 400) to canon; never fails: an unreadable body gives a
    /// general failure.
    canon::Failure (*decode_failure)(
        int status, std::span<const Header> headers, std::string_view body) = nullptr;
    /// An error as a whole body of this dialect.
    std::string (*encode_failure)(const canon::Failure& failure) = nullptr;
    /// Whether a stream with this query goes out as one JSON array instead of events
    /// (ReplyContext::wants_json_array, under `application/json`); null: never.
    bool (*wants_json_array)(std::string_view query) = nullptr;
    /// Models (sorted by name) as this dialect lists them: the page that `query` asks for. Errors:
    /// kInvalidField for a page that cannot be. Null, as `write_model`: it has no such list.
    Result<std::string> (*write_models)(
        std::span<const canon::ListedModel> models, std::string_view query) = nullptr;
    std::string (*write_model)(const canon::ListedModel& model) = nullptr;
    /// Makes of a failure that came from elsewhere one that this dialect's clients know and act
    /// on: its status, which is canon::status_of_kind's so far, and the words they look for. Null:
    /// nothing has to change.
    void (*adopt_failure)(canon::Failure& failure) = nullptr;
    /// The headers by which this dialect's clients know an error, beside the body; null: none.
    std::vector<Header> (*failure_headers)(const canon::Failure& failure) = nullptr;
};

/// The events of bytes that are all at hand: tests, `translate`, `meter`.
[[nodiscard]] Result<std::vector<canon::Event>> decode_all(
    const Dialect& dialect, ReplyForm form, std::string_view bytes);

}  // namespace entrepot::dialect
