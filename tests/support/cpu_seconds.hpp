// How long something takes, to be compared with how long something honest of the same size takes: no bound of time is
// right on every machine, a ratio is.

#pragma once

#include <time.h>
#include <algorithm>
#include <limits>

namespace bertha_test {

/// Of the calling thread: the clock of a process stands still for milliseconds where its processor time is limited.
inline double thread_seconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// The least CPU time of three runs of `act` on this thread, in seconds.
template <class Act>
double cpu_seconds(const Act& act) {
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 3; ++i) {
    const double begin = thread_seconds();
    act();
    least = std::min(least, thread_seconds() - begin);
  }
  return least;
}

}  // namespace bertha_test
