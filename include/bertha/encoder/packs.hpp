// Many encodings as a few packed batches of bounded size.

#pragma once

#include <algorithm>
#include <bertha/encoder/batch.hpp>
#include <bertha/runtime/function_ref.hpp>
#include <bertha/runtime/sorted_indices.hpp>
#include <cstddef>
#include <span>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// Sequences of one length lie together, and the short ones come last, when threads run out of work.
BERTHA_FUNCTION std::vector<std::size_t> longest_first(std::span<const Encoding> encodings);

/// f(batch, begin, end) for the encodings order[begin] to order[end] at a time: at most `limit` tokens, but at least
/// one sequence, in packs of about the same size.
BERTHA_FUNCTION void for_each_pack(std::span<const Encoding> encodings, std::span<const std::size_t> order,
                                   std::size_t limit, FunctionRef<const Batch&, std::size_t, std::size_t> f);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::vector<std::size_t> longest_first(std::span<const Encoding> encodings) {
  std::vector<double> lengths;
  lengths.reserve(encodings.size());
  for (const Encoding& encoding : encodings) lengths.push_back(static_cast<double>(encoding.size()));
  return sorted_indices(lengths);
}

BERTHA_FUNCTION void for_each_pack(std::span<const Encoding> encodings, std::span<const std::size_t> order,
                                   std::size_t limit, FunctionRef<const Batch&, std::size_t, std::size_t> f) {
  std::size_t left = 0;  // tokens that are in no pack yet
  for (const Encoding& encoding : encodings) left += encoding.size();
  limit = std::max<std::size_t>(1, limit);
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    const std::size_t packs = 1 + (left - 1) / limit;
    Batch batch;
    for (; end < order.size(); ++end) {
      const Encoding& next = encodings[order[end]];
      const std::size_t tokens = batch.tokens() + next.size();
      // An even share, and then some for the sequence that ends it, within the limit.
      if (end > begin && (tokens > limit || batch.tokens() * packs >= left)) break;
      batch.add(next.ids, next.type_ids);
    }
    left -= batch.tokens();
    f(batch, begin, end);
  }
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
