// How far a long run has come, for whoever watches it.

#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace program {

/// "1,234,567".
std::string with_commas(std::size_t number);

/// A line on standard error that is written over twice a second: texts, texts per second, bad ones. Only where that is
/// a terminal and standard output is none: there the results are seen themselves.
class Progress {
 public:
  explicit Progress(bool quiet);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `texts` and `bad` are sums from the beginning.
  void show(std::size_t texts, std::size_t bad);
  /// Shows the sums for the last time, and leaves the line.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  void write(Clock::time_point now) const;

  bool shown_;
  std::size_t texts_ = 0, bad_ = 0;
  Clock::time_point begin_, last_;
};

}  // namespace program
