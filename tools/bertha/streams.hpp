// Standard output, checked: what is lost never counts as success.

#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace program {

/// Reading standard input or writing standard output failed: the program says so and ends with status 1.
class StreamError : public std::runtime_error {
 public:
  /// "`stream`: " and the system's words for `error_number`.
  StreamError(const std::string& stream, int error_number);
};

/// Whoever read standard output has gone, and the signal that says so is ignored: the program ends without a word.
struct ClosedPipe {};

/// Waits until reading from `descriptor`, or writing to it, would not block.
void wait_until_readable(int descriptor);
void wait_until_writable(int descriptor);

/// Text on its way to a descriptor, which gets whole lines: Ctrl-C ends the program before or after a line.
/// Writing throws StreamError or ClosedPipe.
class Output {
 public:
  explicit Output(int descriptor) : descriptor_(descriptor) {}

  /// Adds a line; it is kept until `flush`.
  void line(std::string_view text);
  /// Adds text that ends with a line.
  void text(std::string_view text) { buffer_ += text; }
  /// Writes a line that is too long to be kept: next(part) gives its parts, and says whether there are more.
  void long_line(const std::function<bool(std::string& part)>& next);
  void flush();
  /// Flushes and closes: some file systems tell only then that there was no room.
  void close();

 private:
  void write_all(std::string_view text) const;

  int descriptor_;
  std::string buffer_;
};

}  // namespace program
