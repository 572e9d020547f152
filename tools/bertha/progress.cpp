#include "progress.hpp"

#include <unistd.h>

#include <cstdio>

namespace program {

std::string with_commas(std::size_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
  return text;
}

Progress::Progress(bool quiet)
    : shown_(!quiet && isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) == 0), begin_(Clock::now()), last_(begin_) {}

void Progress::finish() {
  if (!shown_ || texts_ == 0) return;
  write(Clock::now());
  std::fputc('\n', stderr);
  shown_ = false;
}

void Progress::show(std::size_t texts, std::size_t bad) {
  texts_ = texts;
  bad_ = bad;
  const Clock::time_point now = Clock::now();
  if (!shown_ || now - last_ < std::chrono::milliseconds(500)) return;
  last_ = now;
  write(now);
}

void Progress::write(Clock::time_point now) const {
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const double rate = static_cast<double>(texts_) / (seconds > 0 ? seconds : 1);
  std::fprintf(stderr, "\r%s texts, %.*f per second, %s bad\033[K", with_commas(texts_).c_str(), rate < 10 ? 1 : 0,
               rate, with_commas(bad_).c_str());
  std::fflush(stderr);
}

}  // namespace program
