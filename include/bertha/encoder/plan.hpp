// What a call works out of its batch before it computes: that the model takes it, the position of every token, and the
// chunks that it is cut into.

#pragma once

#include <bertha/config.hpp>
#include <bertha/encoder/batch.hpp>
#include <bertha/error.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>
#if defined(BERTHA_DEFINES_FUNCTIONS)
#include <algorithm>
#endif

BERTHA_NAMESPACE_BEGIN

/// Sequences [begin, end) of a batch, which go through all layers together: so their activations stay in cache.
struct Chunk {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// What the memory that a chunk needs depends on.
struct ChunkSize {
  std::size_t rows = 0;
  std::size_t longest = 0;  // sequence
};

/// Plain data; keeps its memory from call to call.
struct Plan {
  std::vector<std::uint32_t> positions;   // [T], rows of the position table
  std::vector<std::size_t> first_starts;  // [S + 1], of sequences that have their first tokens only
  std::vector<Chunk> chunks;              // first those that threads take whole, then those that all threads share
  std::size_t n_whole = 0;
  ChunkSize whole, shared;  // the largest of either
};

/// Plans a call on `threads` threads of a model that takes sequences of `longest` tokens at most.
/// Throws Error{input} when an id, a type or a sequence is too large for the model.
BERTHA_FUNCTION void make_plan(const ModelConfig& config, const Batch& batch, std::size_t threads, Plan& plan);

#if defined(BERTHA_DEFINES_FUNCTIONS)

namespace detail {

inline void check_batch(const ModelConfig& config, const Batch& batch) {
  const auto fail = [](const char* what, std::size_t found, std::size_t limit) {
    throw_error(ErrorCode::input, {"batch: ", what, " is ", found, "; the model takes at most ", limit});
  };
  for (const std::uint32_t id : batch.ids())
    if (id >= config.vocab_size) fail("a token id", id, config.vocab_size - 1);
  const std::size_t types = std::max<std::size_t>(1, config.type_vocab_size);
  for (const std::uint32_t type : batch.type_ids())
    if (type >= types) fail("a token type id", type, types - 1);
  const std::size_t longest = config.positions();
  for (std::size_t s = 0; s < batch.sequences(); ++s)
    if (batch.length(s) > longest) fail("the length of a sequence", batch.length(s), longest);
}

inline void set_positions(const ModelConfig& config, const Batch& batch, std::vector<std::uint32_t>& positions) {
  positions.resize(batch.tokens());
  const auto first = static_cast<std::uint32_t>(config.position_offset);
  for (std::size_t s = 0; s < batch.sequences(); ++s) {
    std::uint32_t next = first;
    for (std::size_t row = batch.starts()[s]; row < batch.starts()[s + 1]; ++row)
      positions[row] = config.position_padding_id == batch.ids()[row] ? first - 1 : next++;
  }
}

/// As many chunks for one thread as for another, where sequences allow it. Threads take whole chunks and never wait for
/// each other, but for a chunk that takes one thread longer than two even shares of all, and for those that are left
/// for less than half of the threads.
inline void cut(const Batch& batch, std::size_t threads, Plan& plan) {
  constexpr std::size_t kMostRows = 256;  // of a chunk: what stays in an L2 cache of 1 MB and more
  constexpr std::size_t kLeastRows = 64;  // with fewer, reading weights takes longer than computing
  const auto ratio_up = [](std::size_t n, std::size_t d) { return (n + d - 1) / d; };
  const std::size_t tokens = batch.tokens(), sequences = batch.sequences();
  const std::size_t wanted = threads * ratio_up(ratio_up(tokens, kMostRows), threads);
  const std::size_t most = wanted == 0 ? 0 : std::max(kLeastRows, ratio_up(tokens, wanted));
  plan.chunks.clear();
  const auto rows = [&](const Chunk& chunk) { return batch.starts()[chunk.end] - batch.starts()[chunk.begin]; };
  const auto add_chunks = [&](bool large) {
    Chunk chunk;
    for (std::size_t s = 0; s < sequences; ++s) {
      chunk.end = s + 1;
      if (chunk.end < sequences && rows({chunk.begin, chunk.end + 1}) <= most) continue;
      if ((rows(chunk) * threads > 2 * tokens) == large) plan.chunks.push_back(chunk);
      chunk.begin = chunk.end;
    }
  };
  add_chunks(false);
  plan.n_whole = plan.chunks.size();
  const std::size_t left = plan.n_whole % threads;
  if (left * 2 <= threads) plan.n_whole -= left;
  add_chunks(true);

  plan.whole = plan.shared = {};
  for (std::size_t i = 0; i < plan.chunks.size(); ++i) {
    ChunkSize& size = i < plan.n_whole ? plan.whole : plan.shared;
    size.rows = std::max(size.rows, rows(plan.chunks[i]));
    for (std::size_t s = plan.chunks[i].begin; s < plan.chunks[i].end; ++s)
      size.longest = std::max(size.longest, batch.length(s));
  }
}

}  // namespace detail

BERTHA_FUNCTION void make_plan(const ModelConfig& config, const Batch& batch, std::size_t threads, Plan& plan) {
  detail::check_batch(config, batch);
  plan.first_starts.resize(batch.sequences() + 1);
  for (std::size_t s = 0; s < plan.first_starts.size(); ++s) plan.first_starts[s] = s;
  detail::set_positions(config, batch, plan.positions);
  detail::cut(batch, threads, plan);
}

#endif

BERTHA_NAMESPACE_END
