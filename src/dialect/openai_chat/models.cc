#include "dialect/openai_chat/models.h"

#include "json/writer.h"

namespace entrepot::dialect::openai_chat {
namespace {

void write_members(json::Writer& writer, const canon::ListedModel& model) {
    writer.member("id", model.name)
        .member("object", "model")
        .member("created", model.created_s)
        .member("owned_by", model.owner.empty() ? "entrepot" : std::string_view(model.owner));
    // OpenAI does not say how large its models are; these are the names that servers like it use.
    if (model.context_tokens > 0) writer.member("context_window", model.context_tokens);
    if (model.output_tokens_max > 0)
        writer.member("max_completion_tokens", model.output_tokens_max);
}

void write_plain(json::Writer& writer, const canon::ListedModel& model) {
    writer.begin_object();
    write_members(writer, model);
    writer.end_object();
}

// Azure's own client libraries read these beside OpenAI's.
void write_azure(json::Writer& writer, const canon::ListedModel& model) {
    writer.begin_object();
    write_members(writer, model);
    writer.member("created_at", model.created_s)
        .member("status", "succeeded")
        .key("capabilities")
        .begin_object()
        .member_bool("fine_tune", false)
        .member_bool("inference", true)
        .end_object()
        .end_object();
}

using WriteOne = void (*)(json::Writer&, const canon::ListedModel&);

std::string list_of(std::span<const canon::ListedModel> models, WriteOne write_one) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("object", "list").key("data").begin_array();
    for (const canon::ListedModel& model : models) write_one(writer, model);
    writer.end_array().end_object();
    return out;
}

std::string one_of(const canon::ListedModel& model, WriteOne write_one) {
    std::string out;
    json::Writer writer(out);
    write_one(writer, model);
    return out;
}

}  // namespace

Result<std::string> write_models(std::span<const canon::ListedModel> models, std::string_view) {
    return list_of(models, write_plain);
}
std::string write_model(const canon::ListedModel& model) { return one_of(model, write_plain); }

Result<std::string> write_azure_models(
    std::span<const canon::ListedModel> models, std::string_view) {
    return list_of(models, write_azure);
}
std::string write_azure_model(const canon::ListedModel& model) {
    return one_of(model, write_azure);
}

}  // namespace entrepot::dialect::openai_chat
