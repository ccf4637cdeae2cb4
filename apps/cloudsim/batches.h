#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace entrepot::cloudsim {

/// Files and batches of one account, in OpenAI's form and in Anthropic's. A batch is worked off a
/// while after it was made (`sim_ms` of its metadata, else 300 ms), when somebody looks.
class Batches {
public:
    struct Reply {
        int status = 200;
        std::string body;
        std::string content_type = "application/json";
    };
    /// What one request of a batch is answered with: its status and body.
    using AnswerOne = std::function<Reply(std::string_view url, std::string_view body)>;

    /// Nothing: the path is none of files or batches.
    [[nodiscard]] std::optional<Reply> serve_openai(std::string_view method, std::string_view path,
        std::string_view content_type, std::string_view body, Instant now, const AnswerOne& answer);
    [[nodiscard]] std::optional<Reply> serve_anthropic(std::string_view method,
        std::string_view path, std::string_view body, Instant now, const AnswerOne& answer);

private:
    struct File {
        std::string name, purpose, bytes;
        Instant made;
    };
    struct Batch {
        std::string input, endpoint, metadata = "null";
        std::string output_file, error_file, results;
        std::int64_t done = 0, failed = 0, total = 0;
        Instant made, ready;
        bool is_over = false, is_cancelled = false;
    };
    [[nodiscard]] static std::string file_object(const std::string& id, const File& file);
    [[nodiscard]] static std::string batch_object(const std::string& id, const Batch& batch);
    [[nodiscard]] static std::string anthropic_object(const std::string& id, const Batch& batch);
    [[nodiscard]] Reply upload(std::string_view content_type, std::string_view body, Instant now);
    [[nodiscard]] Reply serve_files(
        std::string_view method, const std::string& id, std::string_view rest);
    [[nodiscard]] Reply start(std::string_view body, Instant now);
    void work_off(Batch& batch, Instant now, const AnswerOne& answer);
    void work_off_anthropic(Batch& batch, Instant now, const AnswerOne& answer) const;

    std::map<std::string, File, std::less<>> files_;
    std::map<std::string, Batch, std::less<>> batches_;
    std::int64_t serial_ = 0;
};

}  // namespace entrepot::cloudsim
