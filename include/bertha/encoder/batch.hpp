// A packed batch: the tokens of all sequences one after the other. There is no padding and therefore no mask.

#pragma once

#include <bertha/error.hpp>
#include <bertha/tokenizer/encoding.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Sequences of token ids for one call of `Encoder::forward`. Plain data; one thread at a time.
class Batch {
 public:
  Batch() = default;
  /// Packs `encodings` in their order.
  explicit Batch(std::span<const Encoding> encodings) {
    for (const Encoding& encoding : encodings) add(encoding.ids, encoding.type_ids);
  }

  /// Appends one sequence. `type_ids` is empty (all 0) or as long as `ids`. Throws Error{input} on an empty sequence.
  void add(std::span<const std::uint32_t> ids, std::span<const std::uint32_t> type_ids = {}) {
    if (ids.empty()) throw_error(ErrorCode::input, {"batch: a sequence has no tokens; expected at least one"});
    if (!type_ids.empty() && type_ids.size() != ids.size())
      throw_error(ErrorCode::input, {"batch: a sequence has ", ids.size(), " token ids but ", type_ids.size(),
                                     " type ids; expected as many, or none"});
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    if (type_ids.empty())
      type_ids_.resize(ids_.size(), 0);
    else
      type_ids_.insert(type_ids_.end(), type_ids.begin(), type_ids.end());
    starts_.push_back(ids_.size());
  }

  std::size_t tokens() const { return ids_.size(); }
  std::size_t sequences() const { return starts_.size() - 1; }
  std::size_t length(std::size_t sequence) const { return starts_[sequence + 1] - starts_[sequence]; }
  const std::vector<std::uint32_t>& ids() const { return ids_; }
  const std::vector<std::uint32_t>& type_ids() const { return type_ids_; }
  /// First row of each sequence, and the number of rows: sequence s is rows starts[s] to starts[s + 1].
  const std::vector<std::size_t>& starts() const { return starts_; }

 private:
  std::vector<std::uint32_t> ids_, type_ids_;  // [T]
  std::vector<std::size_t> starts_ = {0};      // [S + 1]
};

BERTHA_NAMESPACE_END
