#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "base/result.h"

namespace entrepot::reconcile {

/// Unpacks gzip as its bytes come, through a buffer of fixed size; files one behind the other too.
class Gunzip {
public:
    using OnBytes = std::function<Status(std::string_view)>;

    explicit Gunzip(OnBytes on_bytes);
    Gunzip(const Gunzip&) = delete;
    Gunzip& operator=(const Gunzip&) = delete;
    ~Gunzip();

    /// Errors: kInvalidField for what is no gzip, and what `on_bytes` returns.
    [[nodiscard]] Status feed(std::string_view bytes);
    /// Errors: kInvalidField when the file ends in the middle.
    [[nodiscard]] Status finish();

private:
    struct State;
    std::unique_ptr<State> state_;
    OnBytes on_bytes_;
};

}  // namespace entrepot::reconcile
