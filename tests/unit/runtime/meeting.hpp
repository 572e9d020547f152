// A place where threads of a test wait for each other.

#pragma once

#include <atomic>
#include <cstddef>
#include <thread>

/// Blocks until `count` threads have come, so that a test knows that they run at the same time.
class Meeting {
 public:
  explicit Meeting(std::size_t count) : left_(count) {}
  void arrive() {
    left_.fetch_sub(1);
    while (left_.load() > 0) std::this_thread::yield();
  }

 private:
  std::atomic<std::size_t> left_;
};
