// The one exception type. A message says what is wrong, where, what was expected, what was found, and what to do.

#pragma once

#include <bertha/version.hpp>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <optional>
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
  stopped          ///< the caller's stop token was set, or the deadline has passed
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

/// Thrown by every part of bertha, for everything but std::bad_alloc. Visible whatever the flags of its user: out of a
/// plugin compiled with -fvisibility=hidden it would be another type than the one that the program catches.
class [[gnu::visibility("default")]] Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message, std::optional<std::size_t> item = {})
      : std::runtime_error(message), code_(code), item_(item) {}
  ErrorCode code() const noexcept { return code_; }
  /// Which of the texts, pairs or questions of one call is at fault, counted from 0; empty when it is no single one.
  std::optional<std::size_t> item() const noexcept { return item_; }

 private:
  ErrorCode code_;
  std::optional<std::size_t> item_;
};

/// A piece of a message: text, or an integer in decimal. A view: for use within the expression that makes it.
class ErrorPiece {
 public:
  ErrorPiece(std::string_view text) noexcept : text_(text) {}
  ErrorPiece(const char* text) noexcept : text_(text) {}
  ErrorPiece(const std::string& text) noexcept : text_(text) {}
  template <std::integral Integer>
  ErrorPiece(Integer number) noexcept {
    text_ =
        std::string_view(digits_, static_cast<std::size_t>(std::to_chars(digits_, digits_ + 24, number).ptr - digits_));
  }
  ErrorPiece(const ErrorPiece&) = delete;  // text_ may point into the piece itself
  ErrorPiece& operator=(const ErrorPiece&) = delete;
  std::string_view text() const noexcept { return text_; }

 private:
  std::string_view text_;
  char digits_[24];
};

/// The pieces, one after the other.
BERTHA_FUNCTION std::string concat(std::initializer_list<ErrorPiece> pieces);

/// Throws an Error whose message is the pieces, one after the other: `throw_error(ErrorCode::shape, {name, " has ",
/// n})`.
[[noreturn]] BERTHA_FUNCTION void throw_error(ErrorCode code, std::initializer_list<ErrorPiece> pieces);

namespace detail {

/// Text that a stranger wrote, for a message: between quotes, cut to 60 bytes, and ASCII ('?' for every other byte).
BERTHA_FUNCTION std::string shown(std::string_view text);

/// A number with six places, as std::to_string has it where no locale puts a comma.
BERTHA_FUNCTION std::string shown(double number);

}  // namespace detail

#if defined(BERTHA_DEFINES_FUNCTIONS)

namespace detail {

BERTHA_FUNCTION std::string shown(std::string_view text) {
  constexpr std::size_t kMost = 60;
  std::string result(1, '"');
  for (const char c : text.substr(0, kMost)) result += c < ' ' || c > '~' ? '?' : c;
  return result += text.size() > kMost ? "...\"" : "\"";
}

BERTHA_FUNCTION std::string shown(double number) {
  char digits[320];  // the largest has 309 before the point
  return {digits, std::to_chars(digits, digits + sizeof digits, number, std::chars_format::fixed, 6).ptr};
}

}  // namespace detail

BERTHA_FUNCTION std::string concat(std::initializer_list<ErrorPiece> pieces) {
  std::string text;
  for (const ErrorPiece& piece : pieces) text += piece.text();
  return text;
}

BERTHA_FUNCTION void throw_error(ErrorCode code, std::initializer_list<ErrorPiece> pieces) {
  throw Error(code, concat(pieces));
}

#endif

BERTHA_NAMESPACE_END
