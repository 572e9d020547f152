#include <gtest/gtest.h>

#include <pthread.h>
#include <unistd.h>
#include <atomic>
#include <bertha/runtime/parallel_for.hpp>
#include <bertha/runtime/thread_pool.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <new>
#include <thread>
#include <vector>

#include "../../support/child_process.hpp"
#include "../../support/sanitizer.hpp"
#include "meeting.hpp"

#if defined(__SANITIZE_THREAD__)
#define UNDER_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_THREAD_SANITIZER 1
#endif
#endif

namespace {

using bertha::default_executor;
using bertha::parallel_for;
using bertha::TaskRef;
using bertha::detail::ThreadPool;
using bertha_test::status_of_child;

thread_local bool allocations_fail = false;

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  void* memory = allocations_fail ? nullptr : std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

/// A pool of four threads, whatever this machine has. Its threads have no end, so neither has it.
ThreadPool& pool_of_four() {
  static ThreadPool& pool = *new ThreadPool(4);
  return pool;
}

TEST(ThreadPool, RunsEachTaskOnce) {
  for (const std::size_t tasks : {0u, 1u, 2u, 5u, 1000u}) {
    std::vector<int> calls(tasks);
    const auto task = [&](std::size_t i) noexcept { ++calls[i]; };
    pool_of_four().run(tasks, TaskRef(task));
    EXPECT_EQ(calls, std::vector<int>(tasks, 1));
  }
}

TEST(ThreadPool, StartsAThreadLessThanItRunsOn) {
  const auto threads = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
  };
  const auto before = threads();
  ThreadPool& pool = *new ThreadPool(6);
  EXPECT_EQ(threads(), before);
  const auto task = [](std::size_t) noexcept {};
  for (int call = 0; call < 3; ++call) pool.run(8, TaskRef(task));
  EXPECT_EQ(threads(), before + 5);
}

TEST(ThreadPool, SleepsUntilTheLastTaskHasReturned) {
  for (int round = 0; round < 20; ++round) {
    Meeting meeting(4);
    const auto caller = std::this_thread::get_id();
    std::atomic<int> returned{0};
    const auto task = [&](std::size_t) noexcept {
      meeting.arrive();
      if (std::this_thread::get_id() != caller) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      ++returned;
    };
    pool_of_four().run(4, TaskRef(task));
    ASSERT_EQ(returned, 4);
  }
}

bool signals_are_open() {
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return !sigismember(&mask, SIGTERM) && !sigismember(&mask, SIGUSR1);
}

TEST(ThreadPool, StartsItsThreadsWithoutAllocating) {
  static ThreadPool& pool = *new ThreadPool(4);
  Meeting meeting(4);
  const auto task = [&](std::size_t) noexcept { meeting.arrive(); };
  allocations_fail = true;
  pool.run(4, TaskRef(task));
  allocations_fail = false;
  EXPECT_TRUE(signals_are_open());
}

TEST(ThreadPool, DoesTheWorkWithTheThreadsThatTheSystemGives) {
  pthread_attr_t former;
  pthread_attr_t huge;
  ASSERT_EQ(::pthread_getattr_default_np(&former), 0);
  ASSERT_EQ(::pthread_attr_init(&huge), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&huge, std::size_t{1} << 47), 0);  // more than there are addresses
  ASSERT_EQ(::pthread_setattr_default_np(&huge), 0);
  ThreadPool pool(4);  // has an end, for it has no threads
  const auto caller = std::this_thread::get_id();
  std::vector<int> calls(100);
  const auto task = [&](std::size_t i) noexcept { calls[i] += std::this_thread::get_id() == caller ? 1 : 100; };
  pool.run(calls.size(), TaskRef(task));
  ASSERT_EQ(::pthread_setattr_default_np(&former), 0);
  pool.run(calls.size(), TaskRef(task));
  EXPECT_EQ(calls, std::vector<int>(100, 2));
  EXPECT_TRUE(signals_are_open());
}

TEST(ThreadPool, LeavesSignalsToTheThreadsOfTheProgram) {
  Meeting meeting(4);
  std::atomic<int> open{0};
  const auto caller = std::this_thread::get_id();
  parallel_for(&pool_of_four(), 4, 4, [&](std::size_t, std::size_t) {
    meeting.arrive();
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    if (std::this_thread::get_id() != caller && !sigismember(&mask, SIGTERM)) ++open;
  });
  EXPECT_EQ(open, 0);
}

/// Two tasks that meet need both threads.
void meet_in_the_default_pool() {
  if (default_executor().concurrency() < 2) return;
  Meeting meeting(2);
  parallel_for(nullptr, 2, 2, [&](std::size_t, std::size_t) { meeting.arrive(); });
}

bool default_pool_works() {
  std::atomic<std::size_t> calls{0};
  for (int round = 0; round < 20; ++round) {
    parallel_for(nullptr, 4, 50, [&](std::size_t, std::size_t) { ++calls; });
  }
  return calls == 1000;
}

TEST(DefaultExecutor, WorksInAChildOfForkAndInItsChild) {
#if defined(UNDER_THREAD_SANITIZER)
  GTEST_SKIP() << "ThreadSanitizer lets no threads start after fork()";
#endif
  meet_in_the_default_pool();  // a thread that begins may hold a lock of a sanitizer's, which a child would wait for
  ASSERT_TRUE(default_pool_works());
  EXPECT_EQ(status_of_child([] { return default_pool_works() && status_of_child(default_pool_works) == 0; }), 0);
  EXPECT_TRUE(default_pool_works());
}

TEST(DefaultExecutor, WorksInAChildThatWasForkedWhileThePoolWasBusy) {
#if defined(UNDER_THREAD_SANITIZER)
  GTEST_SKIP() << "ThreadSanitizer lets no threads start after fork()";
#endif
  meet_in_the_default_pool();  // as above
  std::atomic<bool> busy{false};
  std::atomic<bool> release{false};
  std::thread other([&] {
    parallel_for(nullptr, 2, 2, [&](std::size_t, std::size_t) {
      busy = true;
      while (!release) std::this_thread::yield();
    });
  });
  while (!busy) std::this_thread::yield();
  EXPECT_EQ(status_of_child([] {
              meet_in_the_default_pool();  // the child's must not take the parent's job for its own
              return default_pool_works();
            }),
            0);
  release = true;
  other.join();
}

/// Uses the pool when static objects are destroyed, which is after main() and while pool threads sleep.
struct AtExit {
  ~AtExit() {
    if (armed && !default_pool_works()) ::_exit(3);
  }
  bool armed = false;
} at_exit;

TEST(DefaultExecutor, WorksInAChildForkedWhileOtherThreadsCall) {
#if defined(BERTHA_UNDER_SANITIZER)
  GTEST_SKIP() << "the child may find a lock taken around the sanitizer's memory";
#endif
  std::atomic<bool> enough{false};
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      while (!enough) parallel_for(nullptr, 4, 9, [](std::size_t, std::size_t) {});
    });
  }
  int failed = 0;
  for (int round = 0; round < 100; ++round) failed += status_of_child(default_pool_works) != 0;
  EXPECT_EQ(failed, 0);
  enough = true;
  for (std::thread& caller : callers) caller.join();
}

TEST(DefaultExecutor, WorksInStaticDestructorsAndNeverHoldsUpTheExit) {
#if defined(UNDER_THREAD_SANITIZER)
  GTEST_SKIP() << "ThreadSanitizer lets no threads start after fork()";
#endif
  EXPECT_EXIT(
      {
        ::alarm(20);
        default_pool_works();
        at_exit.armed = true;
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
