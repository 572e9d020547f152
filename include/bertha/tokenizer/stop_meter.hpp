// Looking at a Stop now and then while a long text is gone through.

#pragma once

#include <bertha/runtime/stop.hpp>
#include <cstddef>

BERTHA_NAMESPACE_BEGIN

/// Counts bytes, and looks at the stop each time that 64 KB have gone by.
class StopMeter {
 public:
  /// `stop` must live as long.
  explicit StopMeter(const Stop& stop) : stop_(stop) {}

  /// Throws Error{stopped}.
  void pass(std::size_t bytes) {
    passed_ += bytes;
    if (passed_ < kBytes) return;
    passed_ = 0;
    stop_.check();
  }

 private:
  static constexpr std::size_t kBytes = 65536;
  const Stop& stop_;
  std::size_t passed_ = 0;
};

BERTHA_NAMESPACE_END
