// The parts of one call on the threads of an executor, by default of the one pool of the process.

#pragma once

#include <bertha/runtime/executor.hpp>
#include <bertha/runtime/function_ref.hpp>
#include <bertha/version.hpp>
#include <cstddef>
#if defined(BERTHA_DEFINES_FUNCTIONS)
#include <algorithm>
#include <atomic>
#include <bertha/runtime/float_environment.hpp>
#include <bertha/runtime/thread_pool.hpp>
#include <exception>
#endif

BERTHA_NAMESPACE_BEGIN

/// The pool of this process: as many threads as affinity and control group allow, started at the first use. A task must
/// not fork and go on in the child (to exec is fine); other threads may fork at any time. A plugin that holds the pool
/// stays loaded once it has been used.
BERTHA_FUNCTION Executor& default_executor() noexcept;

/// Calls f(i, worker) for each i below n. `worker` is below max_threads, and no two calls that run at the same time
/// have the same, so it can index scratch memory. All run in the FloatEnvironment. Null stands for
/// `default_executor()`. When a call throws, no more calls begin, and the first exception is thrown here once all that
/// had begun have ended.
BERTHA_FUNCTION void parallel_for(Executor* executor, std::size_t max_threads, std::size_t n,
                                  FunctionRef<std::size_t, std::size_t> f);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION Executor& default_executor() noexcept { return detail::ThreadPool::process_wide(); }

BERTHA_FUNCTION void parallel_for(Executor* executor, std::size_t max_threads, std::size_t n,
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

#endif

BERTHA_NAMESPACE_END
