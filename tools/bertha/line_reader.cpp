#include "line_reader.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "streams.hpp"

namespace program {

/// Where the next line ends in the buffer: at its LF, or at the end of the input; npos if that is not there yet.
std::size_t LineReader::find_end() {
  const std::size_t end = buffer_.find('\n', scanned_);
  scanned_ = std::min(end, buffer_.size());
  const bool last = at_end_ && error_ == 0 && begin_ < buffer_.size();
  return end == std::string::npos && last ? buffer_.size() : end;
}

void LineReader::read_some() {
  char bytes[65536];
  const ssize_t size = read(descriptor_, bytes, sizeof bytes);
  if (size > 0) {
    buffer_.erase(0, begin_);  // of a long line nothing moves: it is at the front after the first time
    scanned_ -= begin_;
    begin_ = 0;
    buffer_.append(bytes, static_cast<std::size_t>(size));
  } else if (size == 0) {
    at_end_ = true;
  } else if (errno == EAGAIN) {
    wait_until_readable(descriptor_);
  } else if (errno != EINTR) {
    at_end_ = true;
    error_ = errno;
  }
}

bool LineReader::next(std::string& line) {
  std::size_t end = find_end();
  for (; end == std::string::npos && !at_end_; end = find_end()) read_some();
  if (end == std::string::npos) {
    if (error_ != 0) throw StreamError("standard input", error_);
    return false;
  }
  std::string_view text = std::string_view(buffer_).substr(begin_, end - begin_);
  if (first_ && text.starts_with("\xEF\xBB\xBF")) {
    text.remove_prefix(3);
    if (text.empty() && end == buffer_.size()) return false;  // the mark is all there is
  }
  if (text.ends_with('\r')) text.remove_suffix(1);
  line = text;
  first_ = false;
  begin_ = scanned_ = std::min(end + 1, buffer_.size());
  return true;
}

bool LineReader::ready() {
  while (find_end() == std::string::npos && !at_end_) {
    pollfd waiting = {descriptor_, POLLIN, 0};
    if (poll(&waiting, 1, 0) <= 0) return false;
    read_some();
  }
  return find_end() != std::string::npos;
}

}  // namespace program
