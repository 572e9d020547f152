// Lines of a descriptor, as soon as they are there.

#pragma once

#include <string>

namespace program {

/// Lines end at LF, and one CR before it is dropped; so is a byte order mark at the start of the input. Takes time
/// linear in the input, however long its lines are. Reading throws StreamError, once the lines before are given.
class LineReader {
 public:
  explicit LineReader(int descriptor) : descriptor_(descriptor) {}

  /// The next line; waits for it. False at the end of the input.
  bool next(std::string& line);
  /// Whether there is another line that `next` needn't wait for.
  bool ready();

 private:
  std::size_t find_end();
  void read_some();

  int descriptor_;
  std::string buffer_;
  std::size_t begin_ = 0;    // of the next line
  std::size_t scanned_ = 0;  // no line ends between begin_ and here
  bool first_ = true;
  bool at_end_ = false;
  int error_ = 0;  // of the system; the input ends there
};

}  // namespace program
