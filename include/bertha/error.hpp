// The one exception type. A message says what is wrong, where, what was expected, what was found, and what to do.

#pragma once

#include <bertha/version.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

/// What kind of thing went wrong; stable, for programs. The message is for people.
enum class ErrorCode {
  file,            ///< a file can't be opened, read or mapped
  format,          ///< the bytes are no model file, or one that is damaged
  shape,           ///< a tensor's shape or element type is not what the configuration asks for
  missing_tensor,  ///< a tensor that the configuration asks for is not in the file
  unused_tensor,   ///< a tensor in the file that nothing asks for
  vocabulary,      ///< the tokenizer's data contradict each other or the weights
  unsupported,     ///< right, but not something that this build or CPU can do
  input,           ///< the caller's text or options
  self_test,       ///< this CPU and build don't reproduce what the file recorded
  stopped          ///< the caller's stop token was set
};

/// The name of a code, as the `bertha` program prints it.
constexpr std::string_view name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::file: return "file";
    case ErrorCode::format: return "format";
    case ErrorCode::shape: return "shape";
    case ErrorCode::missing_tensor: return "missing_tensor";
    case ErrorCode::unused_tensor: return "unused_tensor";
    case ErrorCode::vocabulary: return "vocabulary";
    case ErrorCode::unsupported: return "unsupported";
    case ErrorCode::input: return "input";
    case ErrorCode::self_test: return "self_test";
    case ErrorCode::stopped: return "stopped";
  }
  return "unknown";
}

/// Thrown by every part of bertha, for everything but std::bad_alloc.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

BERTHA_NAMESPACE_END
