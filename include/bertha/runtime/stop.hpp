// When a call is to end before it is done: one question that everything long asks between its steps.

#pragma once

#include <bertha/error.hpp>
#include <bertha/version.hpp>
#include <chrono>
#include <optional>
#include <stop_token>
#include <utility>

BERTHA_NAMESPACE_BEGIN

/// A stop token, a point in time, either or neither. Any number of threads may ask.
class Stop {
 public:
  /// One that never comes.
  Stop() = default;
  Stop(std::stop_token token, std::optional<std::chrono::steady_clock::time_point> deadline)
      : token_(std::move(token)), deadline_(deadline) {}

  /// Throws Error{stopped} once the token is set or the deadline is reached. Costs some tens of nanoseconds: for steps
  /// of microseconds and more.
  void check() const {
    if (token_.stop_requested()) throw_error(ErrorCode::stopped, {"the call was stopped by its stop token"});
    if (deadline_ && std::chrono::steady_clock::now() >= *deadline_)
      throw_error(ErrorCode::stopped, {"the call was stopped: its deadline has passed"});
  }

 private:
  std::stop_token token_;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
};

BERTHA_NAMESPACE_END
