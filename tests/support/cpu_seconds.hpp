// How long something takes, to be compared with how long something honest of the same size takes: no bound of time is
// right on every machine, a ratio is.

#pragma once

#include <algorithm>
#include <ctime>
#include <limits>

namespace bertha_test {

/// The least CPU time of three runs of `act`, in seconds.
template <class Act>
double cpu_seconds(const Act& act) {
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 3; ++i) {
    const std::clock_t begin = std::clock();
    act();
    least = std::min(least, static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
  }
  return least;
}

}  // namespace bertha_test
