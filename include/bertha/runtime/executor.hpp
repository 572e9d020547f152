// Who runs the parts of one call: an Executor, by default the one pool of the process. Results never depend on it: work
// is divided into tasks that write to places of their own.

#pragma once

#include <pthread.h>
#include <algorithm>
#include <atomic>
#include <bertha/runtime/cpu_count.hpp>
#include <bertha/runtime/float_environment.hpp>
#include <bertha/runtime/function_ref.hpp>
#include <bertha/version.hpp>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <type_traits>

BERTHA_NAMESPACE_BEGIN

/// A reference to something callable with the number of a task; as long-lived as what it refers to. Calls never throw.
class TaskRef {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cv_t<F>, TaskRef>) explicit TaskRef(F& callable) noexcept : call_(callable) {
    static_assert(std::is_nothrow_invocable_v<F&, std::size_t>, "tasks report errors in another way than by throwing");
  }
  void operator()(std::size_t task) const { call_(task); }

 private:
  FunctionRef<std::size_t> call_;
};

/// Runs tasks on threads. To run bertha on one's own threads, derive from it.
class Executor {
 public:
  virtual ~Executor() = default;

  /// How many tasks can run at the same time, the caller's thread included. At least 1.
  virtual std::size_t concurrency() const noexcept = 0;

  /// Calls task(i) once for each i below `tasks`, in any order, on any threads, and returns when all calls have
  /// returned. Must be right when several threads call it at once, and when a task does: doing all tasks on the caller
  /// is.
  virtual void run(std::size_t tasks, TaskRef task) = 0;
};

namespace detail {

/// As many threads as the process may keep busy, started by the first call that has work for them. One caller has them
/// at a time; others, and calls out of tasks, do their work themselves instead of waiting. Idle threads look for work
/// for 50 us, then sleep.
class ThreadPool final : public Executor {
 public:
  explicit ThreadPool(std::size_t concurrency) noexcept : concurrency_(concurrency) {}

  std::size_t concurrency() const noexcept override { return concurrency_; }

  void run(std::size_t tasks, TaskRef task) override {
    if (tasks <= 1 || concurrency_ <= 1 || busy_.exchange(true, std::memory_order_acquire)) {
      for (std::size_t i = 0; i < tasks; ++i) task(i);
      return;
    }
    if (!started_) start();
    publish(tasks, task);
    work();
    const auto finished = [&] { return unfinished_.load(std::memory_order_acquire) == 0; };
    if (!spin(finished)) {
      std::unique_lock lock(mutex_);
      done_.wait(lock, finished);
    }
    busy_.store(false, std::memory_order_release);
  }

  /// The pool of this process. It is never destroyed, so that threads asleep in it and calls out of static destructors
  /// are safe at exit; a child of fork() has none of the threads, and gets a pool as new.
  static ThreadPool& process_wide() {
    static ThreadPool& pool = [&]() -> ThreadPool& {
      instance_ = new ThreadPool(usable_cpus());
      ::pthread_atfork(nullptr, nullptr, [] { new (instance_) ThreadPool(instance_->concurrency_); });
      return *instance_;
    }();
    return pool;
  }

 private:
  static constexpr std::chrono::microseconds kSpin{50};

  template <class Ready>
  static bool spin(const Ready& ready) {
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

  /// The caller's thread does tasks too, so there is one thread less. Signals stay with the program's own threads.
  void start() {
    started_ = true;
    sigset_t all;
    sigset_t former;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &former);
    try {
      for (std::size_t i = 1; i < concurrency_; ++i) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {
      // The system has no more threads to give: the work is done by those that there are, the caller at least.
    }
    ::pthread_sigmask(SIG_SETMASK, &former, nullptr);
  }

  void publish(std::size_t tasks, const TaskRef& task) {
    task_ = &task;
    unfinished_.store(tasks, std::memory_order_relaxed);
    std::size_t wake = 0;
    {
      const std::lock_guard lock(mutex_);
      remaining_.store(tasks, std::memory_order_release);
      wake = std::min(sleeping_, tasks - 1);
    }
    for (; wake > 0; --wake) wake_.notify_one();
  }

  /// Does tasks until none is left to claim. `task_` may be read after a claim only: then the call that published it
  /// waits.
  void work() {
    std::size_t left = remaining_.load(std::memory_order_relaxed);
    while (left > 0) {
      if (!remaining_.compare_exchange_weak(left, left - 1, std::memory_order_acquire, std::memory_order_relaxed))
        continue;
      (*task_)(left - 1);
      if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        { const std::lock_guard lock(mutex_); }  // the caller either sees 0 or sleeps by now
        done_.notify_one();
      }
      left = remaining_.load(std::memory_order_relaxed);
    }
  }

  [[noreturn]] void serve() {
    const auto offered = [&] { return remaining_.load(std::memory_order_relaxed) > 0; };
    for (;;) {
      if (!spin(offered)) {
        std::unique_lock lock(mutex_);
        ++sleeping_;
        wake_.wait(lock, offered);
        --sleeping_;
      }
      work();
    }
  }

  static inline ThreadPool* instance_ = nullptr;

  const std::size_t concurrency_;
  std::atomic<bool> busy_{false};
  bool started_ = false;                    // of who is busy
  const TaskRef* task_ = nullptr;           // of the call that is busy
  std::atomic<std::size_t> remaining_{0};   // tasks that nobody has claimed
  std::atomic<std::size_t> unfinished_{0};  // tasks that have not returned
  std::mutex mutex_;                        // of sleeping_, and for going to sleep
  std::condition_variable wake_;
  std::condition_variable done_;
  std::size_t sleeping_ = 0;
};

}  // namespace detail

/// The pool of this process: as many threads as affinity and control group allow, started at the first use. A task must
/// not fork and go on in the child (to exec is fine); other threads may fork at any time.
inline Executor& default_executor() { return detail::ThreadPool::process_wide(); }

/// Calls f(i, worker) for each i below n. `worker` is below max_threads, and no two calls that run at the same time
/// have the same, so it can index scratch memory. All run in the FloatEnvironment. Null stands for
/// `default_executor()`. When a call throws, no more calls begin, and the first exception is thrown here once all that
/// had begun have ended.
inline void parallel_for(Executor* executor, std::size_t max_threads, std::size_t n,
                         FunctionRef<std::size_t, std::size_t> f) {
  std::size_t workers = std::min(max_threads, n);
  if (workers > 1 && executor == nullptr) executor = &default_executor();
  if (workers > 1) workers = std::min(workers, executor->concurrency());
  if (workers <= 1) {
    const FloatEnvironment environment;
    for (std::size_t i = 0; i < n; ++i) f(i, std::size_t{0});
    return;
  }
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;
  auto work = [&](std::size_t worker) noexcept {
    const FloatEnvironment environment;
    try {
      for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < n;) f(i, worker);
    } catch (...) {
      next.store(n, std::memory_order_relaxed);
      if (!failed.exchange(true)) error = std::current_exception();
    }
  };
  executor->run(workers, TaskRef(work));
  if (error) std::rethrow_exception(error);
}

BERTHA_NAMESPACE_END
