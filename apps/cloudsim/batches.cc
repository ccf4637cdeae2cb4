#include "cloudsim/batches.h"

#include <fmt/format.h>

#include <charconv>
#include <vector>

#include "base/text.h"
#include "cloudsim/brain.h"
#include "framing/multipart.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::cloudsim {
namespace {

using json::Value;
using json::Writer;

std::int64_t seconds_of(Instant at) { return at.ns / 1'000'000'000; }

Batches::Reply refusal(int status, std::string_view message, std::string_view param = {}) {
    std::string out;
    Writer writer(out);
    writer.begin_object().key("error").begin_object().member("message", message);
    writer.member("type", "invalid_request_error");
    param.empty() ? writer.member_null("param") : writer.member("param", param);
    writer.member_null("code").end_object().end_object();
    return {status, std::move(out)};
}

Batches::Reply anthropic_refusal(int status, std::string_view type, std::string_view message) {
    std::string out;
    Writer writer(out);
    writer.begin_object().member("type", "error").key("error").begin_object();
    writer.member("type", type).member("message", message).end_object().end_object();
    return {status, std::move(out)};
}

/// `/files/x/content` behind the collection: id and rest.
struct Place {
    std::string id;
    std::string_view rest;
};
std::optional<Place> place_in(std::string_view path, std::string_view collection) {
    const auto at = path.rfind(collection);
    if (at == std::string_view::npos) return std::nullopt;
    std::string_view rest = path.substr(at + collection.size());
    if (!rest.empty() && rest.front() != '/') return std::nullopt;
    if (!rest.empty()) rest.remove_prefix(1);
    Place place;
    place.id = rest.substr(0, rest.find('/'));
    rest.remove_prefix(place.id.size());
    place.rest = rest;
    return place;
}

Instant ready_at(const Value& metadata, Instant now) {
    std::int64_t ms = 300;
    const std::string_view text = metadata["sim_ms"].string();
    (void)std::from_chars(text.data(), text.data() + text.size(), ms);
    return now + milliseconds(ms);
}

std::string list_of(const std::vector<std::string>& objects) {
    return fmt::format(
        R"({{"object":"list","data":[{}],"has_more":false}})", fmt::join(objects, ","));
}

}  // namespace

std::string Batches::file_object(const std::string& id, const File& file) {
    std::string out;
    Writer writer(out);
    writer.begin_object().member("id", id).member("object", "file");
    writer.member("bytes", static_cast<std::int64_t>(file.bytes.size()));
    writer.member("created_at", seconds_of(file.made)).member("filename", file.name);
    writer.member("purpose", file.purpose).member("status", "processed").end_object();
    return out;
}

std::string Batches::batch_object(const std::string& id, const Batch& batch) {
    std::string out;
    Writer writer(out);
    writer.begin_object().member("id", id).member("object", "batch");
    writer.member("endpoint", batch.endpoint).member_null("errors");
    writer.member("input_file_id", batch.input).member("completion_window", "24h");
    writer.member("status",
        batch.is_cancelled  ? "cancelled"
            : batch.is_over ? "completed"
                            : "in_progress");
    const auto name = [&](std::string_view key, const std::string& value) {
        value.empty() ? writer.member_null(key) : writer.member(key, value);
    };
    name("output_file_id", batch.output_file);
    name("error_file_id", batch.error_file);
    writer.member("created_at", seconds_of(batch.made));
    writer.key("request_counts").begin_object().member("total", batch.total);
    writer.member("completed", batch.done).member("failed", batch.failed).end_object();
    writer.member_raw("metadata", batch.metadata).end_object();
    return out;
}

std::string Batches::anthropic_object(const std::string& id, const Batch& batch) {
    const bool is_ended = batch.is_over || batch.is_cancelled;
    std::string out;
    Writer writer(out);
    writer.begin_object().member("id", id).member("type", "message_batch");
    writer.member("processing_status", is_ended ? "ended" : "in_progress");
    writer.key("request_counts").begin_object();
    writer.member("processing", is_ended ? std::int64_t{0} : batch.total);
    writer.member("succeeded", batch.done).member("errored", batch.failed);
    writer.member("canceled", batch.is_cancelled ? batch.total : std::int64_t{0});
    writer.member("expired", std::int64_t{0}).end_object();
    writer.member("created_at", to_rfc3339(batch.made));
    writer.member("expires_at", to_rfc3339(batch.made + std::chrono::hours(24)));
    is_ended ? writer.member("ended_at", to_rfc3339(batch.ready)) : writer.member_null("ended_at");
    writer.member_null("archived_at").member_null("cancel_initiated_at");
    is_ended ? writer.member("results_url",
                   fmt::format("https://api.anthropic.com/v1/messages/batches/{}/results", id))
             : writer.member_null("results_url");
    writer.end_object();
    return out;
}

Batches::Reply Batches::upload(std::string_view content_type, std::string_view body, Instant now) {
    const auto form = framing::read_form(body, content_type);
    if (!form) return refusal(400, form.error().message);
    const framing::FormPart* file = form->find("file");
    const framing::FormPart* purpose = form->find("purpose");
    if (file == nullptr) return refusal(400, "'file' is a required property", "file");
    if (purpose == nullptr) return refusal(400, "'purpose' is a required property", "purpose");
    File made;
    made.name = file->file_name;
    made.purpose = purpose->data;
    made.bytes = file->data;
    made.made = now;
    const std::string id = id_of("file-", ++serial_);
    Reply reply{200, file_object(id, made)};
    files_[id] = std::move(made);
    return reply;
}

Batches::Reply Batches::serve_files(
    std::string_view method, const std::string& id, std::string_view rest) {
    if (id.empty()) {
        std::vector<std::string> objects;
        for (const auto& [name, file] : files_) objects.push_back(file_object(name, file));
        return {200, list_of(objects)};
    }
    const auto found = files_.find(id);
    if (found == files_.end()) return refusal(404, "No such File object: " + id, "id");
    if (rest == "/content") return {200, found->second.bytes, "application/octet-stream"};
    if (method == "DELETE") {
        files_.erase(found);
        return {200, fmt::format(R"({{"object":"file","deleted":true,"id":"{}"}})", id)};
    }
    return {200, file_object(id, found->second)};
}

Batches::Reply Batches::start(std::string_view body, Instant now) {
    const auto document = json::Document::parse(std::string(body));
    if (!document) return refusal(400, "We could not parse the JSON body of your request.");
    const Value& root = document->root();
    Batch batch;
    batch.input = root["input_file_id"].string();
    batch.endpoint = root["endpoint"].string();
    const auto file = files_.find(batch.input);
    if (file == files_.end())
        return refusal(400, "Invalid file id: " + batch.input, "input_file_id");
    if (file->second.purpose != "batch")
        return refusal(400, "The file's purpose must be 'batch'.", "input_file_id");
    if (root["completion_window"].string() != "24h")
        return refusal(400, "Invalid value: 'completion_window'.", "completion_window");
    batch.made = now;
    batch.ready = ready_at(root["metadata"], now);
    if (root["metadata"].is_object()) batch.metadata = root["metadata"].raw();
    const std::string id = id_of("batch_", ++serial_);
    Reply reply{200, batch_object(id, batch)};
    batches_[id] = std::move(batch);
    return reply;
}

void Batches::work_off(Batch& batch, Instant now, const AnswerOne& answer) {
    if (batch.is_over || batch.is_cancelled || now < batch.ready) return;
    batch.is_over = true;
    const auto input = files_.find(batch.input);
    if (input == files_.end()) return;
    std::string done, failed;
    for (const std::string_view line : split(input->second.bytes, '\n')) {
        const auto document = json::Document::parse(std::string(line));
        if (!document || !document->root().is_object()) continue;
        const Value& root = document->root();
        ++batch.total;
        const Reply one = answer(root["url"].string(), root["body"].raw());
        const bool is_good = one.status == 200;
        is_good ? ++batch.done : ++batch.failed;
        std::string& out = is_good ? done : failed;
        Writer writer(out);
        writer.begin_object().member("id", id_of("batch_req_", ++serial_));
        writer.member("custom_id", root["custom_id"].string()).key("response").begin_object();
        writer.member("status_code", std::int64_t{one.status});
        writer.member("request_id", id_of("req_", serial_)).member_raw("body", one.body);
        writer.end_object().member_null("error").end_object();
        out += '\n';
    }
    const auto keep = [&](std::string bytes, std::string_view name) {
        if (bytes.empty()) return std::string();
        const std::string id = id_of("file-", ++serial_);
        files_[id] = {std::string(name), "batch_output", std::move(bytes), now};
        return id;
    };
    batch.output_file = keep(std::move(done), "output.jsonl");
    batch.error_file = keep(std::move(failed), "errors.jsonl");
}

std::optional<Batches::Reply> Batches::serve_openai(std::string_view method, std::string_view path,
    std::string_view content_type, std::string_view body, Instant now, const AnswerOne& answer) {
    if (const auto place = place_in(path, "/files")) {
        if (place->id.empty() && method == "POST") return upload(content_type, body, now);
        return serve_files(method, place->id, place->rest);
    }
    const auto place = place_in(path, "/batches");
    if (!place) return std::nullopt;
    if (place->id.empty() && method == "POST") return start(body, now);
    for (auto& [id, batch] : batches_) work_off(batch, now, answer);
    if (place->id.empty()) {
        std::vector<std::string> objects;
        for (const auto& [id, batch] : batches_) objects.push_back(batch_object(id, batch));
        return Reply{200, list_of(objects)};
    }
    const auto found = batches_.find(place->id);
    if (found == batches_.end())
        return refusal(404, fmt::format("No batch found with id '{}'.", place->id));
    if (place->rest == "/cancel" && !found->second.is_over) found->second.is_cancelled = true;
    return Reply{200, batch_object(place->id, found->second)};
}

void Batches::work_off_anthropic(Batch& batch, Instant now, const AnswerOne& answer) const {
    if (batch.is_over || batch.is_cancelled || now < batch.ready) return;
    batch.is_over = true;
    const auto document = json::Document::parse(batch.input);
    for (const Value& request : document->root()["requests"].items()) {
        const Reply one = answer("/v1/messages", request["params"].raw());
        const bool is_good = one.status == 200;
        is_good ? ++batch.done : ++batch.failed;
        Writer writer(batch.results);
        writer.begin_object().member("custom_id", request["custom_id"].string());
        writer.key("result").begin_object().member("type", is_good ? "succeeded" : "errored");
        writer.member_raw(is_good ? "message" : "error", one.body).end_object().end_object();
        batch.results += '\n';
    }
}

std::optional<Batches::Reply> Batches::serve_anthropic(std::string_view method,
    std::string_view path, std::string_view body, Instant now, const AnswerOne& answer) {
    const auto place = place_in(path, "/messages/batches");
    if (!place) return std::nullopt;
    if (place->id.empty() && method == "POST") {
        const auto document = json::Document::parse(std::string(body));
        if (!document || document->root()["requests"].items().empty())
            return anthropic_refusal(400, "invalid_request_error", "requests: Field required");
        Batch batch;
        batch.input = body;
        batch.total = static_cast<std::int64_t>(document->root()["requests"].items().size());
        batch.made = now;
        batch.ready = now + milliseconds(300);
        const std::string id = id_of("msgbatch_", ++serial_);
        Reply reply{200, anthropic_object(id, batch)};
        batches_[id] = std::move(batch);
        return reply;
    }
    for (auto& [id, batch] : batches_) work_off_anthropic(batch, now, answer);
    if (place->id.empty()) {
        std::vector<std::string> objects;
        for (const auto& [id, batch] : batches_) objects.push_back(anthropic_object(id, batch));
        return Reply{
            200, fmt::format(R"({{"data":[{}],"has_more":false}})", fmt::join(objects, ","))};
    }
    const auto found = batches_.find(place->id);
    if (found == batches_.end())
        return anthropic_refusal(404, "not_found_error", "Message batch not found");
    Batch& batch = found->second;
    if (place->rest == "/results") {
        if (!batch.is_over && !batch.is_cancelled)
            return anthropic_refusal(
                400, "invalid_request_error", "the batch has not ended; it has no results yet");
        return Reply{200, batch.results, "application/x-jsonl"};
    }
    if (place->rest == "/cancel" && !batch.is_over) batch.is_cancelled = true;
    if (method == "DELETE") {
        if (!batch.is_over && !batch.is_cancelled)
            return anthropic_refusal(400, "invalid_request_error", "cancel the batch first");
        const std::string id = place->id;
        batches_.erase(found);
        return Reply{200, fmt::format(R"({{"id":"{}","type":"message_batch_deleted"}})", id)};
    }
    return Reply{200, anthropic_object(place->id, batch)};
}

}  // namespace entrepot::cloudsim
