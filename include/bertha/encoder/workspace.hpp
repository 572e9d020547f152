// The only mutable memory of a call, and how its work is divided. A Team is the threads that share one chunk of rows,
// with the chunk's memory and that of each thread. Work is divided over rows, panels and attention heads, never over a
// sum, so no result depends on how many threads there are.

#pragma once

#include <algorithm>
#include <bertha/encoder/matrix.hpp>
#include <bertha/encoder/plan.hpp>
#include <bertha/error.hpp>
#include <bertha/runtime/parallel_for.hpp>
#include <bertha/runtime/pool.hpp>
#include <bertha/runtime/stop.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// How a call runs. The defaults are right for a program that has the machine to itself.
/// A call takes less than 48 KB of stack, of its caller's thread and of each that works for it.
struct CallOptions {
  Executor* executor = nullptr;  ///< null: the pool of the process
  std::size_t max_threads = 0;   ///< 0: as many as the executor offers
  /// A call that is stopped throws Error{stopped}: before the next text or the next 64 KB of one, and in the encoder
  /// before the next attention head or linear layer of a chunk. So it may go on for as long as one of these takes.
  std::stop_token stop_token = {};
  std::optional<std::chrono::steady_clock::time_point> deadline = {};  ///< stops the call as the token does
  std::size_t max_batch_tokens = 16'384;  ///< tokens that go through the encoder at once; bounds the memory of a call

  /// The token and the deadline as one.
  Stop stop() const { return Stop(stop_token, deadline); }
};

/// Memory for what a chunk of rows becomes on its way. All threads that work on the chunk see it.
struct ChunkMemory {
  AlignedBuffer<float> context;                // [rows, H]
  AlignedBuffer<float> intermediate;           // [rows, F]
  AlignedBuffer<float> normed;                 // [rows, H], where norms are before blocks
  AlignedBuffer<std::int8_t> quantised;        // [rows, K]
  AlignedBuffer<float> quantised_scale;        // [rows]
  AlignedBuffer<std::int32_t> quantised_zero;  // [rows]
  AlignedBuffer<bf16> rounded;                 // [rows, K]; [rows, 2 K] when it is split
};

/// Memory of one thread for its part of the work on a chunk.
struct ThreadMemory {
  AlignedBuffer<float> query_key_value;  // [rows, 3 D'] of one attention head
  AlignedBuffer<std::byte> attention;    // kernels::attention_scratch
  AlignedBuffer<float> relative;         // [2, R, D'], where PositionTables widens relative keys and queries
  AlignedBuffer<bf16> split_panels;      // panels that are split for one product
  AlignedBuffer<std::byte> product;      // kernels::product_scratch
  AlignedBuffer<float> sums;             // kernels::product_sums
};

/// The threads that work on one chunk of rows, and its memory.
class Team {
 public:
  Team(Executor* executor, ChunkMemory& chunk, std::span<ThreadMemory> threads, const Stop& stop)
      : executor_(executor), chunk_(&chunk), threads_(threads), stop_(&stop) {}

  /// Throws Error{stopped} when the caller asked for it.
  void check_stop() const { stop_->check(); }

  ChunkMemory& chunk() const { return *chunk_; }
  /// The members that `split` gives n parts of something to: no more than there are parts.
  std::span<ThreadMemory> members(std::size_t n) const { return threads_.first(std::min(n, threads_.size())); }

  /// f(begin, end, memory of the thread) on parts of [0, n) that cover it, one for each of members(n).
  void split(std::size_t n, FunctionRef<std::size_t, std::size_t, ThreadMemory&> f) const {
    const std::size_t parts = members(n).size();
    if (parts <= 1) {
      if (n > 0) f(std::size_t{0}, n, threads_.front());
      return;
    }
    parallel_for(executor_, parts, parts, [&](std::size_t part, std::size_t worker) {
      f(n * part / parts, n * (part + 1) / parts, threads_[worker]);
    });
  }

 private:
  Executor* executor_;
  ChunkMemory* chunk_;
  std::span<ThreadMemory> threads_;
  const Stop* stop_;
};

/// All memory of one call after another; grows to the largest and stays. One call at a time.
class Workspace {
 public:
  Workspace() : chunks_(1), thread_memory_(1) {}

  /// Takes what `options` say of the threads and the end of the calls that follow.
  void prepare(const CallOptions& options) {
    executor_ = options.executor ? options.executor : &default_executor();
    const std::size_t offered = std::max<std::size_t>(1, executor_->concurrency());
    threads_ = options.max_threads == 0 ? offered : std::min(options.max_threads, offered);
    stop_ = options.stop();
    if (thread_memory_.size() < threads_) {
      chunks_.resize(threads_);
      thread_memory_.resize(threads_);
    }
  }

  std::size_t threads() const { return threads_; }
  /// All threads, for a chunk that they share.
  Team team() { return Team(executor_, chunks_.front(), std::span(thread_memory_).first(threads_), stop_); }
  /// The thread `worker` alone, for a chunk of its own.
  Team team_of(std::size_t worker) {
    return Team(executor_, chunks_[worker], std::span(thread_memory_).subspan(worker, 1), stop_);
  }

  /// f(i, team_of(worker)) for every i in [0, n), on all threads; `worker` is below n.
  void for_each(std::size_t n, FunctionRef<std::size_t, const Team&> f) {
    parallel_for(executor_, threads_, n, [&](std::size_t i, std::size_t worker) { f(i, team_of(worker)); });
  }

  Plan plan;
  AlignedBuffer<float> hidden;  // [T, H]
  AlignedBuffer<float> pooled;  // [S, H]
  AlignedBuffer<float> chosen;  // [rows, H], of tokens that a call chose, or of first tokens
  AlignedBuffer<float> logits;  // [rows, L]

 private:
  Executor* executor_ = nullptr;
  std::size_t threads_ = 1;
  Stop stop_;
  std::vector<ChunkMemory> chunks_;  // one for each thread, as are those:
  std::vector<ThreadMemory> thread_memory_;
};

namespace detail {

/// Workspaces of one model.
class WorkspacePool {
 public:
  using Lease = Pool<Workspace>::Lease;

  /// A workspace prepared for `options`. Thread-safe.
  Lease take(const CallOptions& options) {
    Lease work = pool_.take();
    work->prepare(options);
    return work;
  }

 private:
  Pool<Workspace> pool_;
};

}  // namespace detail

BERTHA_NAMESPACE_END
