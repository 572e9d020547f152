// The threads of the process on which bertha runs where its caller names no executor.

#pragma once

#include <dlfcn.h>
#include <pthread.h>
#include <algorithm>
#include <atomic>
#include <bertha/runtime/cpu_count.hpp>
#include <bertha/runtime/executor.hpp>
#include <bertha/version.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// As many threads as the process may keep busy, started by the first call that has work for them. One caller has them
/// at a time; others, and calls out of tasks, do their work themselves instead of waiting. Idle threads look for work
/// for 50 us, then sleep. They never end, and hold no lock: a pool is never destroyed.
class ThreadPool final : public Executor {
 public:
  explicit ThreadPool(std::size_t concurrency) noexcept : concurrency_(concurrency) {}

  std::size_t concurrency() const noexcept override { return concurrency_; }

  void run(std::size_t tasks, TaskRef task) noexcept override {
    if (tasks <= 1 || tasks > kMostTasks || concurrency_ <= 1 || busy_.exchange(true, std::memory_order_acquire)) {
      for (std::size_t i = 0; i < tasks; ++i) task(i);
      return;
    }
    if (!started_) start();
    publish(static_cast<std::uint32_t>(tasks), task);
    work();
    std::uint32_t left = 0;
    const auto finished = [&] { return (left = unfinished_.load(std::memory_order_acquire)) == 0; };
    if (!spin(finished)) {
      while (!finished()) unfinished_.wait(left, std::memory_order_acquire);
    }
    busy_.store(false, std::memory_order_release);
  }

  /// The pool of this process. Calls out of static destructors are safe; a child of fork() has none of the threads, and
  /// gets a pool as new.
  static ThreadPool& process_wide() noexcept {
    // Not a static object's own guard: a child of fork() would wait for a thread that it doesn't have, if that was
    // making the pool. pthread_once begins anew in the child.
    ::pthread_once(&once_, [] {
      new (memory()) ThreadPool(usable_cpus());
      ::pthread_atfork(nullptr, nullptr, [] { new (memory()) ThreadPool(made().concurrency_); });
    });
    return made();
  }

 private:
  static constexpr std::chrono::microseconds kSpin{50};
  static constexpr std::size_t kMostTasks = std::numeric_limits<std::uint32_t>::max();

  /// Where the pool of the process lies: no destructor is called for it.
  static void* memory() noexcept {
    alignas(64) static std::byte bytes[sizeof(ThreadPool)];
    return bytes;
  }
  static ThreadPool& made() noexcept { return *std::launder(static_cast<ThreadPool*>(memory())); }

  template <class Ready>
  static bool spin(const Ready& ready) noexcept {
    const auto end = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < 16; ++i) {
        if (ready()) return true;
#if defined(__x86_64__)
        asm volatile("pause");
#else
        asm volatile("yield");
#endif
      }
    } while (std::chrono::steady_clock::now() < end);
    return false;
  }

  /// The caller's thread does tasks too, so there is one thread less. Signals stay with the program's own threads. When
  /// the system has no more threads to give, the work is done by those that there are, the caller at least.
  void start() noexcept {
    started_ = true;
    keep_loaded();
    sigset_t all;
    sigset_t former;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &former);
    for (std::size_t i = 1; i < concurrency_; ++i) {
      pthread_t thread;
      if (::pthread_create(&thread, nullptr, serve, this) != 0) break;
      ::pthread_detach(thread);
    }
    ::pthread_sigmask(SIG_SETMASK, &former, nullptr);
  }

  /// The plugin or shared library whose code the threads run stays when its user closes it: they never leave it. Opened
  /// again it is the same one, with the same threads.
  static void keep_loaded() noexcept {
    Dl_info object{};
    // By name: a program that is linked statically has no dlopen() and needs none, and its linker would warn of it.
    const auto open = reinterpret_cast<void* (*)(const char*, int)>(::dlsym(RTLD_DEFAULT, "dlopen"));
    if (open != nullptr && ::dladdr(memory(), &object) != 0 && object.dli_fname != nullptr)
      open(object.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  }

  void publish(std::uint32_t tasks, const TaskRef& task) noexcept {
    task_ = &task;
    unfinished_.store(tasks, std::memory_order_relaxed);
    unclaimed_.store(tasks);  // sequentially consistent: who falls asleep by now either sees it or is seen
    for (std::size_t i = 1; i < std::min<std::size_t>(tasks, concurrency_); ++i) unclaimed_.notify_one();
  }

  /// Does tasks until none is left to claim. `task_` may be read after a claim only: then the call that published it
  /// waits.
  void work() noexcept {
    std::uint32_t left = unclaimed_.load(std::memory_order_relaxed);
    while (left > 0) {
      if (!unclaimed_.compare_exchange_weak(left, left - 1, std::memory_order_acquire, std::memory_order_relaxed))
        continue;
      (*task_)(left - 1);
      if (unfinished_.fetch_sub(1) == 1) unfinished_.notify_one();
      left = unclaimed_.load(std::memory_order_relaxed);
    }
  }

  [[noreturn]] static void* serve(void* pool) noexcept {
    ThreadPool& self = *static_cast<ThreadPool*>(pool);
    for (;;) {
      if (!spin([&] { return self.unclaimed_.load(std::memory_order_relaxed) > 0; }))
        self.unclaimed_.wait(0, std::memory_order_relaxed);
      self.work();
    }
  }

  static inline pthread_once_t once_ = PTHREAD_ONCE_INIT;

  const std::size_t concurrency_;
  std::atomic<bool> busy_{false};
  bool started_ = false;                      // of who is busy
  const TaskRef* task_ = nullptr;             // of the call that is busy
  std::atomic<std::uint32_t> unclaimed_{0};   // tasks that nobody has claimed; idle threads wait for some
  std::atomic<std::uint32_t> unfinished_{0};  // tasks that have not returned; the caller waits for none
};

}  // namespace detail

BERTHA_NAMESPACE_END
