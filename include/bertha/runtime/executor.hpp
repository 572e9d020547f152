// Who runs the parts of one call. Results never depend on it: work is divided into tasks that write to places of their
// own.

#pragma once

#include <bertha/runtime/function_ref.hpp>
#include <bertha/version.hpp>
#include <cstddef>
#include <type_traits>

BERTHA_NAMESPACE_BEGIN

/// A reference to something callable with the number of a task; as long-lived as what it refers to. Calls never throw.
class TaskRef {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cv_t<F>, TaskRef>) explicit TaskRef(F& callable) noexcept : call_(callable) {
    static_assert(std::is_nothrow_invocable_v<F&, std::size_t>, "tasks report errors in another way than by throwing");
  }
  void operator()(std::size_t task) const noexcept { call_(task); }

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

BERTHA_NAMESPACE_END
