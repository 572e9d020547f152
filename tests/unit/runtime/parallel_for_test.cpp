#include <gtest/gtest.h>

#include <atomic>
#include <bertha/runtime/parallel_for.hpp>
#include <bertha/runtime/thread_pool.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "meeting.hpp"

namespace {

using bertha::default_executor;
using bertha::Executor;
using bertha::parallel_for;
using bertha::TaskRef;

/// A pool of four threads, whatever this machine has. Its threads have no end, so neither has it.
Executor& pool_of_four() {
  static Executor& pool = *new bertha::detail::ThreadPool(4);
  return pool;
}

TEST(ParallelFor, CallsEachIndexOnce) {
  for (const std::size_t n : {0u, 1u, 2u, 3u, 7u, 100u, 10000u}) {
    for (const std::size_t threads : {0u, 1u, 2u, 4u, 64u}) {
      std::vector<int> calls(n);
      parallel_for(&pool_of_four(), threads, n, [&](std::size_t i, std::size_t) { ++calls[i]; });
      EXPECT_EQ(calls, std::vector<int>(n, 1)) << n << " on " << threads;
    }
  }
}

TEST(ParallelFor, SeesWhatCameBeforeAndShowsWhatItDid) {
  std::vector<std::size_t> values(64);
  for (std::size_t round = 1; round <= 3000; ++round) {
    parallel_for(&pool_of_four(), 4, values.size(), [&](std::size_t i, std::size_t) { values[i] += round; });
    for (std::size_t value : values) ASSERT_EQ(value, round * (round + 1) / 2);
  }
}

TEST(ParallelFor, GivesRunningCallsDistinctWorkersBelowTheMaximum) {
  for (const std::size_t threads : {2u, 3u, 4u}) {
    Meeting meeting(threads);
    std::vector<int> used(threads);  // each element is touched by one thread, or ThreadSanitizer tells
    parallel_for(&pool_of_four(), threads, threads, [&](std::size_t, std::size_t worker) {
      meeting.arrive();
      ++used.at(worker);
    });
    EXPECT_EQ(used, std::vector<int>(threads, 1));
  }
  std::vector<std::size_t> scratch(3);
  parallel_for(&pool_of_four(), 3, 20000, [&](std::size_t, std::size_t worker) { ++scratch.at(worker); });
  EXPECT_EQ(scratch[0] + scratch[1] + scratch[2], 20000u);
}

TEST(ParallelFor, StaysOnTheCallersThreadForOneThreadOrOneTask) {
  const auto caller = std::this_thread::get_id();
  for (const auto& [threads, n] : {std::pair{1u, 5u}, {0u, 5u}, {4u, 1u}}) {
    parallel_for(&pool_of_four(), threads, n, [&](std::size_t, std::size_t worker) {
      EXPECT_EQ(std::this_thread::get_id(), caller);
      EXPECT_EQ(worker, 0u);
    });
  }
}

TEST(ParallelFor, TakesNullForThePoolOfTheProcess) {
  std::atomic<int> calls{0};
  parallel_for(nullptr, 4, 10, [&](std::size_t, std::size_t) { ++calls; });
  EXPECT_EQ(calls, 10);
  EXPECT_GE(default_executor().concurrency(), 1u);
  EXPECT_EQ(&default_executor(), &default_executor());
}

TEST(ParallelFor, RethrowsAnExceptionOnceAllCallsHaveEnded) {
  for (const std::size_t threads : {1u, 4u}) {
    for (int round = 0; round < 50; ++round) {
      std::atomic<int> running{0};
      std::atomic<int> begun{0};
      std::string caught;
      try {
        parallel_for(&pool_of_four(), threads, 1000, [&](std::size_t i, std::size_t) {
          ++begun;
          ++running;
          if (i == 20) {
            --running;
            throw std::runtime_error("task 20");
          }
          --running;
        });
      } catch (const std::runtime_error& error) {
        caught = error.what();
      }
      EXPECT_EQ(caught, "task 20");
      EXPECT_EQ(running, 0);
      EXPECT_LE(begun, 1000);
    }
  }
}

TEST(ParallelFor, ThrowsOneExceptionWhenAllCallsThrow) {
  Meeting meeting(4);
  EXPECT_THROW(parallel_for(&pool_of_four(), 4, 4,
                            [&](std::size_t i, std::size_t) {
                              meeting.arrive();
                              throw std::out_of_range(std::to_string(i));
                            }),
               std::out_of_range);
  std::atomic<int> calls{0};
  parallel_for(&pool_of_four(), 4, 100, [&](std::size_t, std::size_t) { ++calls; });
  EXPECT_EQ(calls, 100);  // and the pool goes on
}

TEST(ParallelFor, StartsNoFurtherCallsAfterAnException) {
  std::atomic<int> calls{0};
  EXPECT_THROW(parallel_for(&pool_of_four(), 1, 100,
                            [&](std::size_t i, std::size_t) {
                              ++calls;
                              if (i == 2) throw 1;
                            }),
               int);
  EXPECT_EQ(calls, 3);
  calls = 0;
  EXPECT_THROW(parallel_for(&pool_of_four(), 4, 1000000,
                            [&](std::size_t, std::size_t) {
                              ++calls;
                              throw 1;
                            }),
               int);
  EXPECT_LE(calls, 4);
}

TEST(ParallelFor, StartsNoCallsOnOtherThreadsAfterAnException) {
  /// Workers one after the other: the second one begins when the first one has failed.
  struct OneByOne final : Executor {
    std::size_t concurrency() const noexcept override { return 3; }
    void run(std::size_t tasks, TaskRef task) override {
      for (std::size_t i = 0; i < tasks; ++i) task(i);
    }
  } executor;
  int calls = 0;
  EXPECT_THROW(parallel_for(&executor, 3, 100,
                            [&](std::size_t, std::size_t) {
                              ++calls;
                              throw 1;
                            }),
               int);
  EXPECT_EQ(calls, 1);
}

TEST(ParallelFor, NestsWithoutWaitingForItself) {
  std::atomic<int> calls{0};
  parallel_for(&pool_of_four(), 4, 8, [&](std::size_t, std::size_t) {
    const auto outer = std::this_thread::get_id();
    parallel_for(&pool_of_four(), 4, 8, [&](std::size_t, std::size_t) {
      EXPECT_EQ(std::this_thread::get_id(), outer);
      ++calls;
    });
  });
  EXPECT_EQ(calls, 64);
}

TEST(ParallelFor, DoesItsOwnWorkWhenThePoolIsBusy) {
  std::atomic<bool> busy{false};
  std::atomic<bool> release{false};
  std::thread other([&] {
    parallel_for(&pool_of_four(), 2, 2, [&](std::size_t, std::size_t) {
      busy = true;
      while (!release) std::this_thread::yield();
    });
  });
  while (!busy) std::this_thread::yield();
  const auto caller = std::this_thread::get_id();
  int calls = 0;
  parallel_for(&pool_of_four(), 4, 10, [&](std::size_t, std::size_t worker) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_LT(worker, 4u);
    ++calls;
  });
  EXPECT_EQ(calls, 10);
  release = true;
  other.join();
}

TEST(ParallelFor, ServesManyCallersAtOnce) {
  std::vector<std::thread> callers;
  std::atomic<std::size_t> calls{0};
  for (int i = 0; i < 6; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 300; ++round) {
        parallel_for(&pool_of_four(), 4, 9, [&](std::size_t, std::size_t) { ++calls; });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(calls, 6u * 300u * 9u);
}

TEST(ParallelFor, WakesThreadsThatHaveGoneToSleep) {
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    Meeting meeting(4);
    parallel_for(&pool_of_four(), 4, 4, [&](std::size_t, std::size_t) { meeting.arrive(); });
  }
}

TEST(ParallelFor, UsesTheExecutorOfTheCaller) {
  struct Backwards final : Executor {
    std::size_t concurrency() const noexcept override { return 3; }
    void run(std::size_t tasks, TaskRef task) override {
      ran = tasks;
      while (tasks > 0) task(--tasks);
    }
    std::size_t ran = 0;
  } executor;
  std::vector<int> calls(10);
  parallel_for(&executor, 8, 10, [&](std::size_t i, std::size_t worker) {
    EXPECT_LT(worker, 3u);
    ++calls[i];
  });
  EXPECT_EQ(executor.ran, 3u);
  EXPECT_EQ(calls, std::vector<int>(10, 1));
}

#if defined(__x86_64__)
TEST(ParallelFor, ComputesInTheSameFloatEnvironmentOnEveryThread) {
  _mm_setcsr(0x1F80u | 0x8040u);  // flush to zero, denormals are zero
  std::vector<std::uint32_t> seen(4);
  Meeting meeting(4);
  parallel_for(&pool_of_four(), 4, 4, [&](std::size_t i, std::size_t) {
    meeting.arrive();
    seen[i] = _mm_getcsr();
  });
  const std::uint32_t after = _mm_getcsr();
  _mm_setcsr(0x1F80u);
  EXPECT_EQ(after & ~0x3Fu, 0x1F80u | 0x8040u);
  for (const std::uint32_t value : seen) EXPECT_EQ(value & ~0x3Fu, 0x1F80u);
}
#endif

}  // namespace
