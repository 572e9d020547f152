// The tokens that a call chooses, for a head that gives rows for these only: a masked token costs a product with the
// whole vocabulary, the others would for nothing.

#pragma once

#include <algorithm>
#include <bertha/encoder/encoder.hpp>
#include <bertha/heads/head.hpp>
#include <bertha/runtime/function_ref.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// For each encoding of a call the positions of the tokens that rows are wanted for, in the order of the rows. Empty:
/// every token of each.
using ChosenTokens = std::span<const std::vector<std::uint32_t>>;

/// How many rows a head of `gives` makes of `encoding`, which is the `index`th of its call.
inline std::size_t rows_of(Gives gives, const Encoding& encoding, ChosenTokens chosen, std::size_t index) {
  if (gives == Gives::sequence_rows) return 1;
  return gives == Gives::token_rows || chosen.empty() ? encoding.size() : chosen[index].size();
}

/// Throws Error{input} unless `chosen` is empty, or has positions within each of the encodings.
BERTHA_FUNCTION void require_chosen(std::span<const Encoding> encodings, ChosenTokens chosen);

namespace detail {

/// Of rows of logits these columns: what a self-test records of a head that has one for each token of a vocabulary.
BERTHA_FUNCTION Logits columns_of(const Logits& logits, std::span<const std::uint32_t> columns);

/// f(part, begin, is_complete) for the chosen tokens of the sequences of `output`, which are the encodings `pack`, a
/// few at a time, because a row of logits may be as long as the vocabulary: those of some sequences, of which the first
/// is number `begin`, or some of that one's, with `is_complete` when they are its last.
BERTHA_FUNCTION void for_each_choice(const EncoderOutput& output, std::span<const std::size_t> pack,
                                     ChosenTokens chosen, Workspace& work,
                                     FunctionRef<const EncoderOutput&, std::size_t, bool> f);

}  // namespace detail

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION void require_chosen(std::span<const Encoding> encodings, ChosenTokens chosen) {
  if (chosen.empty()) return;
  if (chosen.size() != encodings.size())
    throw_error(ErrorCode::input, {"tokens are chosen of ", chosen.size(), " texts, but there are ", encodings.size(),
                                   "; expected a list of positions for each, or none at all"});
  for (std::size_t i = 0; i < chosen.size(); ++i)
    for (const std::uint32_t position : chosen[i])
      if (position >= encodings[i].size())
        throw Error(ErrorCode::input,
                    concat({"the token at position ", position, " is chosen, but the text has ", encodings[i].size(),
                            " tokens; expected positions from 0"}),
                    i);
}

namespace detail {

BERTHA_FUNCTION Logits columns_of(const Logits& logits, std::span<const std::uint32_t> columns) {
  Logits some{logits.rows, columns.size(), {}};
  for (std::size_t r = 0; r < logits.rows; ++r)
    for (const std::uint32_t column : columns) some.values.push_back(logits.row(r)[column]);
  return some;
}

BERTHA_FUNCTION void for_each_choice(const EncoderOutput& output, std::span<const std::size_t> pack,
                                     ChosenTokens chosen, Workspace& work,
                                     FunctionRef<const EncoderOutput&, std::size_t, bool> f) {
  constexpr std::size_t kMostRows = 64;  // enough for a product to be at full speed
  const auto count = [&](std::size_t s) {
    return chosen.empty() ? output.starts[s + 1] - output.starts[s] : chosen[pack[s]].size();
  };
  std::vector<std::size_t> rows, starts = {0};
  const auto add = [&](std::size_t s, std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i)
      rows.push_back(output.starts[s] + (chosen.empty() ? i : chosen[pack[s]][i]));
    starts.push_back(rows.size());
  };
  const auto call = [&](std::size_t begin, bool is_complete) {
    const auto hidden = work.chosen.matrix(rows.size(), output.hidden.cols);  // [rows, H]
    for (std::size_t r = 0; r < rows.size(); ++r) std::copy_n(output.hidden.row(rows[r]), hidden.cols, hidden.row(r));
    f(EncoderOutput{hidden, starts, {}}, begin, is_complete);
    rows.clear();
    starts.assign(1, 0);
  };
  for (std::size_t begin = 0, end = 0; begin < output.sequences(); begin = end) {
    std::size_t from = 0;
    for (; count(begin) - from > kMostRows; from += kMostRows) {
      add(begin, from, from + kMostRows);
      call(begin, false);
    }
    add(begin, from, count(begin));
    for (end = begin + 1; from == 0 && end < output.sequences() && rows.size() + count(end) <= kMostRows; ++end)
      add(end, 0, count(end));
    call(begin, true);
  }
}

}  // namespace detail

#endif

BERTHA_NAMESPACE_END
