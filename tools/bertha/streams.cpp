#include "streams.hpp"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace program {
namespace {

/// Signals that end the program wait as long as this lives. Threads of the library's pool don't take them either.
class HeldSignals {
 public:
  HeldSignals() {
    sigset_t ending;
    sigemptyset(&ending);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&ending, number);
    pthread_sigmask(SIG_BLOCK, &ending, &before_);
  }
  ~HeldSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

 private:
  sigset_t before_;
};

void wait_for(int descriptor, short event) {
  pollfd waiting = {descriptor, event, 0};
  poll(&waiting, 1, -1);  // what went wrong the next call of read or write says
}

}  // namespace

StreamError::StreamError(const std::string& stream, int error_number)
    : std::runtime_error(stream + ": " + std::generic_category().message(error_number)) {}

void wait_until_readable(int descriptor) { wait_for(descriptor, POLLIN); }
void wait_until_writable(int descriptor) { wait_for(descriptor, POLLOUT); }

void Output::line(std::string_view text) {
  buffer_ += text;
  buffer_ += '\n';
}

void Output::long_line(const std::function<bool(std::string& part)>& next) {
  flush();
  const HeldSignals held;
  std::string part;
  for (bool more = true; more; write_all(part)) {
    more = next(part);
    if (!more) part += '\n';
  }
}

void Output::flush() {
  constexpr std::size_t kPiece = 65536;  // a signal waits no longer than for this, or for one line that is longer
  for (std::string_view rest = buffer_; !rest.empty();) {
    std::size_t end = rest.size() <= kPiece ? rest.size() - 1 : rest.rfind('\n', kPiece - 1);
    if (end == std::string_view::npos) end = rest.find('\n', kPiece);
    const std::string_view piece = rest.substr(0, end == std::string_view::npos ? end : end + 1);
    write_all(piece);
    rest.remove_prefix(piece.size());
  }
  buffer_.clear();
}

void Output::write_all(std::string_view text) const {
  const HeldSignals held;
  while (!text.empty()) {
    const ssize_t written = write(descriptor_, text.data(), text.size());
    if (written >= 0)
      text.remove_prefix(static_cast<std::size_t>(written));
    else if (errno == EAGAIN)
      wait_until_writable(descriptor_);
    else if (errno == EPIPE)
      throw ClosedPipe();
    else if (errno != EINTR)
      throw StreamError("standard output", errno);
  }
}

void Output::close() {
  flush();
  if (::close(descriptor_) != 0) throw StreamError("standard output", errno);
}

}  // namespace program
