#include "target.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/text.h"
#include "config/load.h"
#include "control/socket_client.h"
#include "control/stored_entries.h"
#include "control/stored_keys.h"
#include "control/stored_rates.h"
#include "gateway/state.h"

namespace entrepot::cli {
namespace {

// Looking needs no credentials: a variable that is not set here stands for itself.
config::Environment lenient_environment() {
    config::Environment environment = config::Environment::of_process();
    const auto variable = environment.variable;
    environment.variable = [variable](const std::string& name) -> std::optional<std::string> {
        const auto value = variable(name);
        return value ? value : std::optional("unset:" + name);
    };
    const auto file = environment.file;
    environment.file = [file](const std::string& path) -> Result<std::string> {
        auto content = file(path);
        return content ? content : Result<std::string>("unread:" + path);
    };
    environment.is_whole = false;
    return environment;
}

/// The API's answers without a running gateway: under the lock, for one command.
class LocalBackend final : public control::Backend {
public:
    static Result<std::unique_ptr<LocalBackend>> open(const Target& target) {
        auto backend = std::unique_ptr<LocalBackend>(new LocalBackend(target));
        store::BooksOptions options;
        options.data = target.data;
        ENTREPOT_TRY(backend->books_, store::Books::open(options, wall_now()));
        // After the books: what was put in their place is there by then.
        ENTREPOT_TRY(backend->store_, store::SettingsStore::open(target.data));
        ENTREPOT_TRY_DO(backend->take_rates());
        return backend;
    }

    const config::Settings& settings() override { return settings_; }
    const config::Settings& file_settings() override { return target_.file_settings; }
    const routing::OfferTable& offers() override { return offers_; }
    void with_books(const std::function<void(store::Books&)>& work) override { work(*books_); }
    store::SettingsStore& store() override { return *store_; }
    Result<routing::OfferTable> offers_with(
        std::span<const contracts::OwnRate> rates, Instant known) override {
        config::Settings settings = settings_;
        settings.own_rates.assign(rates.begin(), rates.end());
        return gateway::compile_offers(settings, known);
    }
    Status apply_stored() override {
        if (target_.has_settings) {
            ENTREPOT_TRY(settings_, control::with_stored_entries(*store_, target_.file_settings));
        }
        return take_rates();
    }
    std::string metrics() override { return {}; }
    bool draining() override { return false; }
    Instant now() override { return wall_now(); }

private:
    Status take_rates() {
        ENTREPOT_TRY(const auto rates, control::load_own_rates(*store_));
        settings_.own_rates = contracts::known_at(rates, now());
        ENTREPOT_TRY(offers_, gateway::compile_offers(settings_));
        return {};
    }
    explicit LocalBackend(const Target& target) : target_(target), settings_(target.settings) {}
    const Target& target_;
    config::Settings settings_;
    routing::OfferTable offers_;
    std::unique_ptr<store::SettingsStore> store_;
    std::unique_ptr<store::Books> books_;
};

Result<config::Settings> load_for_looking(const std::filesystem::path& file) {
    config::Loaded loaded = config::load_file(file.string(), lenient_environment());
    if (loaded.ok()) return std::move(*loaded.settings);
    return fail(ErrorCode::kBadConfiguration,
        fmt::format(
            "'{}' is not valid:\n{}", file.string(), config::format_problems(loaded.problems)));
}

/// Adds what the data folder's store has. What does not fit the file is told and left out: it must
/// be possible to look, and to mend it.
Status add_stored(Target& target) {
    target.file_settings = target.settings;
    if (!target.has_settings || !std::filesystem::exists(target.data / "books.db")) return {};
    ENTREPOT_TRY(const auto store, store::SettingsStore::open(target.data));
    auto whole = control::with_stored_entries(*store, target.settings);
    if (whole) {
        target.settings = std::move(*whole);
    } else {
        fmt::print(stderr, "warning: {}\n", whole.error().message);
    }
    ENTREPOT_TRY(const auto rates, control::load_own_rates(*store));
    target.settings.own_rates = contracts::known_at(rates, wall_now());
    return {};
}

}  // namespace

std::filesystem::path config_note(const std::filesystem::path& data) {
    return data / "config.path";
}

std::vector<Option> target_options(std::vector<Option> own) {
    own.push_back({"--config", "FILE", "The configuration; its data folder holds the books."});
    own.push_back({"--data", "DIR", "The data folder of a gateway."});
    return own;
}

Result<Target> open_target(const Arguments& arguments) {
    Target target;
    if (arguments.has("--config")) {
        ENTREPOT_TRY(target.settings, load_for_looking(arguments.get("--config")));
        target.data = arguments.has("--data") ? std::filesystem::path(arguments.get("--data"))
                                              : std::filesystem::path(target.settings.data);
        target.has_settings = true;
        ENTREPOT_TRY_DO(add_stored(target));
        return target;
    }
    if (!arguments.has("--data"))
        return fail(ErrorCode::kInvalidField,
            "say what to look at: --config FILE, or --data DIR of a gateway");
    target.data = arguments.get("--data");
    std::ifstream note(config_note(target.data));
    std::string file;
    if (std::getline(note, file) && std::filesystem::exists(file)) {
        ENTREPOT_TRY(target.settings, load_for_looking(file));
        target.has_settings = true;
    }
    target.settings.data = target.data;
    ENTREPOT_TRY_DO(add_stored(target));
    return target;
}

namespace {

/// The API's answers in this process, under the books' lock.
Result<std::unique_ptr<LocalBackend>> open_locally(const Target& target) {
    if (!std::filesystem::is_directory(target.data))
        return fail(ErrorCode::kNotFound,
            fmt::format(
                "there are no books at '{}'; start 'entrepot serve' or 'entrepot dev' first, or "
                "name another folder",
                target.data.string()));
    return LocalBackend::open(target);
}

control::AdminResponse handle_locally(control::Backend& backend, std::string_view method,
    const std::string& path, std::string_view body) {
    const auto question = path.find('?');
    control::AdminRequest request;
    request.method = method;
    request.path = std::string_view(path).substr(0, question);
    if (question != std::string::npos) request.query = std::string_view(path).substr(question + 1);
    request.body = body;
    request.is_trusted = true;
    const std::string peer = fmt::format("unix:{}", ::getuid());
    request.peer = peer;
    return control::handle(backend, Secret(), request);
}

}  // namespace

Conversation::Conversation(const Target& target) : target_(target) {}
Conversation::~Conversation() = default;

Result<json::Document> Conversation::ask(
    std::string_view method, const std::string& path, std::string_view body) {
    if (!own_) {
        ENTREPOT_TRY(auto running, control::ask_running_gateway(target_.data, method, path, body));
        if (running) return control::document_of(running->status, std::move(running->body));
        ENTREPOT_TRY(own_, open_locally(target_));
    }
    control::AdminResponse answer = handle_locally(*own_, method, path, body);
    return control::document_of(answer.status, std::move(answer.body));
}

Result<json::Document> ask(
    const Target& target, std::string_view method, const std::string& path, std::string_view body) {
    return Conversation(target).ask(method, path, body);
}

Status fetch(const Target& target, const std::string& path,
    const std::function<bool(std::string_view part)>& sink) {
    const auto refused = [](int status, std::string body) -> Status {
        const auto answer = control::document_of(status, std::move(body));
        return answer ? Status() : std::unexpected(answer.error());
    };
    ENTREPOT_TRY(auto running, control::ask_running_gateway(target.data, "GET", path, {}, sink));
    if (running)
        return running->status < 300 ? Status()
                                     : refused(running->status, std::move(running->body));
    ENTREPOT_TRY(const auto backend, open_locally(target));
    control::AdminResponse response = handle_locally(*backend, "GET", path, {});
    if (response.status >= 300) return refused(response.status, std::move(response.body));
    const auto nobody = [] { return fail(ErrorCode::kCancelled, "nobody takes the answer"); };
    if (!response.body.empty() && !sink(response.body)) return nobody();
    for (std::string part; response.more;) {
        part.clear();
        ENTREPOT_TRY(const bool more, response.more(part));
        if (!part.empty() && !sink(part)) return nobody();
        if (!more) break;
    }
    return {};
}

int fetch_to_output(const Arguments& arguments, const Target& target, const std::string& path) {
    if (!arguments.has("--out")) {
        const Status fetched = fetch(target, path, write_output);
        return fetched ? kOk : report(fetched.error());
    }
    const std::filesystem::path file(arguments.get("--out"));
    std::filesystem::path unfinished = file;
    unfinished += ".part";
    std::ofstream out(unfinished, std::ios::binary | std::ios::trunc);
    Status fetched = out
        ? fetch(target, path,
              [&](std::string_view part) {
                  out.write(part.data(), static_cast<std::streamsize>(part.size()));
                  return out.good();
              })
        : Status();
    out.close();
    std::error_code error;
    if (fetched && out) std::filesystem::rename(unfinished, file, error);
    if (fetched && out && !error) return kOk;
    if (fetched || fetched.error().code == ErrorCode::kCancelled)
        fetched = fail(ErrorCode::kIo,
            fmt::format("cannot write '{}': {}", file.string(),
                error ? error.message() : std::strerror(errno)));
    std::filesystem::remove(unfinished, error);
    return report(fetched.error());
}

std::string query_of(const Arguments& arguments,
    std::initializer_list<std::pair<std::string_view, std::string_view>> names) {
    std::string query;
    for (const auto& [option, name] : names)
        if (arguments.has(option))
            query += fmt::format(
                "{}{}={}", query.empty() ? "?" : "&", name, percent_encode(arguments.get(option)));
    return query;
}

}  // namespace entrepot::cli
