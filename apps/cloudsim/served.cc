#include "cloudsim/served.h"

#include "json/writer.h"

namespace entrepot::cloudsim {
namespace {

constexpr std::size_t kServedMax = 1'000'000;

}  // namespace

std::shared_ptr<Served> ServedList::add(Served served) {
    if (list_.size() >= kServedMax) list_.erase(list_.begin(), list_.begin() + kServedMax / 2);
    served.n = ++n_;
    list_.push_back(std::make_shared<Served>(std::move(served)));
    return list_.back();
}

std::string ServedList::to_ndjson() const {
    std::string out;
    for (const auto& s : list_) {
        json::Writer writer(out);
        writer.begin_object().member("n", static_cast<std::int64_t>(s->n));
        writer.member("cloud", s->cloud).member("model", s->model).member("id", s->id);
        writer.member("exchange", s->exchange).member("idempotency_key", s->idempotency_key);
        writer.member("status", s->status).member_bool("stream", s->is_stream);
        writer.member("fault", s->fault).member_raw("usage", canon::to_json(s->usage));
        writer.member("thoughts", s->thoughts);
        writer.member_bool("reported", s->reported).member_bool("completed", s->completed);
        writer.member_bool("client_gone", s->client_gone).member("chunks", s->chunks);
        writer.end_object();
        out += '\n';
    }
    return out;
}

}  // namespace entrepot::cloudsim
