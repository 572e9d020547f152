// What became of one input of many.

#pragma once

#include <bertha/error.hpp>
#include <utility>
#include <variant>

BERTHA_NAMESPACE_BEGIN

/// The result for one input, or the Error that it gave; with the names of std::expected. The error's `item()` is the
/// input's index in its call.
template <class Result>
class Outcome {
 public:
  Outcome() = default;  ///< an empty result
  Outcome(Result result) : either_(std::move(result)) {}
  Outcome(Error error) : either_(std::move(error)) {}

  bool has_value() const noexcept { return std::holds_alternative<Result>(either_); }
  explicit operator bool() const noexcept { return has_value(); }

  /// The result. Throws the error where there is none.
  const Result& value() const& {
    if (const Error* error = std::get_if<Error>(&either_)) throw *error;
    return *std::get_if<Result>(&either_);
  }
  Result&& value() && { return std::move(const_cast<Result&>(std::as_const(*this).value())); }

  /// The result, which must be there.
  const Result& operator*() const noexcept { return *std::get_if<Result>(&either_); }
  const Result* operator->() const noexcept { return std::get_if<Result>(&either_); }

  /// The error, which must be there.
  const Error& error() const noexcept { return *std::get_if<Error>(&either_); }

 private:
  std::variant<Result, Error> either_;
};

BERTHA_NAMESPACE_END
