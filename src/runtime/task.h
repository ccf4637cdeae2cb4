#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "base/result.h"

namespace entrepot {

namespace asio = boost::asio;

/// The one executor type: a concrete one, because a type-erased executor costs an allocation and an
/// indirect call at every await.
using Executor = asio::io_context::executor_type;

/// A coroutine on a core.
template <typename T>
using Co = asio::awaitable<T, Executor>;

/// A coroutine that can fail: time-outs and cancellation arrive as values, with their reason.
template <typename T>
using Task = Co<Result<T>>;

}  // namespace entrepot
