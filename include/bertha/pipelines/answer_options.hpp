// How answers are looked for and scored.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <bertha/version.hpp>

BERTHA_NAMESPACE_BEGIN

/// What scores are: products of the probabilities of start and end, over
/// - `hf_4_57`: the tokens of a window; candidates whose texts are equal but for case add up, over all windows, as in
///   transformers 4.53 to 5.2: a sum may exceed 1, and grows with the length of the context;
/// - `hf_4_52`: the same, but nothing adds up, as in transformers up to 4.52: an answer may come more than once;
/// - `best`: the same, where equal texts are one answer with the highest score of a single candidate: at most 1;
/// - `calibrated`: the spans of all windows of all passages, each span once, in the window that shows most around its
///   first token. So scores sum to 1 at most, equal texts of a passage add up, and scores of passages compare.
enum class ScoreRule : std::uint8_t { hf_4_57, best, hf_4_52, calibrated };

/// Hugging Face's names and meanings where it has the option.
struct AnswerOptions {
  std::size_t top_k = 1;
  /// Tokens that windows share; unset: min(max_seq_len / 2, 128), less where special tokens leave no room for that.
  std::optional<std::size_t> doc_stride = {};
  std::size_t max_answer_len = 15;              ///< in tokens
  std::optional<std::size_t> max_seq_len = {};  ///< of a window, question included; unset: min(model's, 384)
  bool handle_impossible_answer = false;        ///< the empty answer is a candidate too
  bool align_to_words = true;                   ///< answers begin and end with whole words
  bool split_special_tokens = false;            ///< take "[SEP]" in texts for text: for texts that are not trusted
  /// The default is what transformers prints: equal answers of one context add up over its windows, so its scores must
  /// not be compared between contexts. To choose among contexts, or to set a threshold, take ScoreRule::calibrated.
  ScoreRule score_rule = ScoreRule::hf_4_57;
  /// Where the best answer has a lower score, the empty answer comes first, with the score of no answer.
  std::optional<float> no_answer_threshold = {};
};

BERTHA_NAMESPACE_END
