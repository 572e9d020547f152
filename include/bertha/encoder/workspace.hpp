// The only mutable memory of a call, and how its work is divided. A workspace holds the rows of hidden states and one
// Scratch for each thread; a Team is the threads that share one chunk of rows. Work is divided over rows, panels and
// attention heads, never over a sum, so no result depends on how many threads there are.

#pragma once

#include <algorithm>
#include <bertha/encoder/matrix.hpp>
#include <bertha/error.hpp>
#include <bertha/runtime/parallel_for.hpp>
#include <bertha/runtime/stop.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// How a call runs. The defaults are right for a program that has the machine to itself.
struct CallOptions {
  Executor* executor = nullptr;           ///< null: the pool of the process
  std::size_t max_threads = 0;            ///< 0: as many as the executor offers
  std::size_t max_batch_tokens = 16'384;  ///< tokens that go through the encoder at once; bounds the memory of a call
  /// A call that is stopped throws Error{stopped}: before the next text, and in the encoder before the next attention
  /// head or linear layer of a chunk. So it may go on for as long as one of these takes.
  std::stop_token stop_token = {};
  std::optional<std::chrono::steady_clock::time_point> deadline = {};  ///< stops the call as the token does

  /// The token and the deadline as one.
  Stop stop() const { return Stop(stop_token, deadline); }
};

/// Memory of one thread, or, in the first member of a team, of the chunk that the team works on.
struct Scratch {
  AlignedBuffer<float> context;          // [rows, H]
  AlignedBuffer<float> intermediate;     // [rows, F]
  AlignedBuffer<std::int8_t> quantised;  // [rows, K]
  AlignedBuffer<float> quantised_scale;  // [rows]
  AlignedBuffer<bf16> rounded;           // [rows, K], bfloat16; [rows, 2 K] when it is split
  AlignedBuffer<bf16> split_panels;      // panels that are split for one product
  AlignedBuffer<float> sums;             // kernels::product_sums
  AlignedBuffer<float> query_key_value;  // [rows, 3 D'] of one attention head
  AlignedBuffer<std::byte> attention;
};

/// The most that a call asks of a Scratch.
struct ScratchSize {
  std::size_t rows = 0;     // of a chunk
  std::size_t longest = 0;  // sequence
};

/// The threads that work on one chunk of rows.
class Team {
 public:
  Team(Executor* executor, std::span<Scratch> scratch, const Stop& stop)
      : executor_(executor), scratch_(scratch), stop_(&stop) {}

  /// Throws Error{stopped} when the caller asked for it.
  void check_stop() const { stop_->check(); }

  std::size_t size() const { return scratch_.size(); }
  /// Memory that all members see.
  Scratch& shared() const { return scratch_.front(); }

  /// f(begin, end, scratch of the thread) on parts of [0, n) that cover it, at most one part for each member.
  void split(std::size_t n, FunctionRef<std::size_t, std::size_t, Scratch&> f) const {
    const std::size_t parts = std::min(n, size());
    if (parts <= 1) {
      if (n > 0) f(std::size_t{0}, n, scratch_.front());
      return;
    }
    parallel_for(executor_, parts, parts, [&](std::size_t part, std::size_t worker) {
      f(n * part / parts, n * (part + 1) / parts, scratch_[worker]);
    });
  }

 private:
  Executor* executor_;
  std::span<Scratch> scratch_;
  const Stop* stop_;
};

/// All memory of one call after another; grows to the largest and stays. One call at a time.
class Workspace {
 public:
  Workspace() : scratch_(1) {}

  /// Takes what `options` say of the threads and the end of the calls that follow.
  void prepare(const CallOptions& options) {
    executor_ = options.executor ? options.executor : &default_executor();
    const std::size_t offered = std::max<std::size_t>(1, executor_->concurrency());
    threads_ = options.max_threads == 0 ? offered : std::min(options.max_threads, offered);
    stop_ = options.stop();
    if (scratch_.size() < threads_) scratch_.resize(threads_);
  }

  std::size_t threads() const { return threads_; }
  Team team() { return Team(executor_, std::span(scratch_).first(threads_), stop_); }

  /// f(task, a team of one thread) for every task in [0, n), on all threads.
  void each_alone(std::size_t n, FunctionRef<std::size_t, const Team&> f) {
    parallel_for(executor_, threads_, n, [&](std::size_t task, std::size_t worker) {
      f(task, Team(executor_, std::span(scratch_).subspan(worker, 1), stop_));
    });
  }

  /// grow(scratch) for the memory of every thread: before the work begins, because who gets which chunk is left to
  /// chance, and the first call is to be the only one of its size that allocates.
  void reserve(FunctionRef<Scratch&> grow) {
    for (Scratch& scratch : std::span(scratch_).first(threads_)) grow(scratch);
  }

  AlignedBuffer<float> hidden;           // [T, H]
  AlignedBuffer<float> pooled;           // [S, H]
  AlignedBuffer<float> logits;           // [rows, L]
  std::vector<std::uint32_t> positions;  // [T]
  std::vector<std::size_t> chunks;       // [chunks + 1]: indices of the sequences at which they begin

 private:
  Executor* executor_ = nullptr;
  std::size_t threads_ = 1;
  Stop stop_;
  std::vector<Scratch> scratch_;
};

namespace detail {

/// Workspaces of one model: taken for a call, given back, and kept warm.
class WorkspacePool {
 public:
  class Lease {
   public:
    Lease(WorkspacePool& pool, std::unique_ptr<Workspace> work) : pool_(pool), work_(std::move(work)) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { pool_.give_back(std::move(work_)); }
    Workspace& operator*() const { return *work_; }

   private:
    WorkspacePool& pool_;
    std::unique_ptr<Workspace> work_;
  };

  /// A workspace prepared for `options`. Thread-safe.
  Lease take(const CallOptions& options) {
    std::unique_ptr<Workspace> work;
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        work = std::move(free_.back());
        free_.pop_back();
      } else {
        free_.reserve(++made_);  // giving back then never allocates
      }
    }
    if (!work) work = std::make_unique<Workspace>();
    work->prepare(options);
    return Lease(*this, std::move(work));
  }

 private:
  void give_back(std::unique_ptr<Workspace> work) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(work));
  }

  std::mutex mutex_;
  std::size_t made_ = 0;
  std::vector<std::unique_ptr<Workspace>> free_;
};

}  // namespace detail

BERTHA_NAMESPACE_END
