// How entities are made of labelled tokens.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <bertha/version.hpp>

BERTHA_NAMESPACE_BEGIN

/// `none`: one entity per token. `simple`: neighbours with the same tag are one entity; B- begins a new one. The others
/// do so with words, whose tokens all have the label of the first, of the one that is surest, or of their mean.
enum class AggregationStrategy : std::uint8_t { none, simple, first, average, max };

/// What words are. `hugging_face`: as transformers has it, which for vocabularies that mark no continuations ("##")
/// takes all between two spaces for one, punctuation too. `true_words`: the words of the tokenizer, which ends them at
/// punctuation, or of the input, where it is cut into words already.
enum class WordGrouping : std::uint8_t { hugging_face, true_words };

/// How labels are read. `bio`: B- begins an entity and I- goes on with it, as in transformers, where any other label
/// goes on with an entity of its own name. `bioes`: E- or L- also ends an entity, and S- or U- is a whole one.
enum class LabelScheme : std::uint8_t { bio, bioes };

/// Which labels tokens get. `independent`: each its most probable one. `valid`: of all sequences of labels that the
/// scheme allows (I-PER only after B-PER or I-PER; where there are E-, nothing is left open), the most probable one.
enum class LabelDecoding : std::uint8_t { independent, valid };

/// Hugging Face's names and meanings where it has the option.
struct EntityOptions {
  AggregationStrategy aggregation_strategy = AggregationStrategy::none;
  std::vector<std::string> ignore_labels = {"O"};  ///< left out after grouping; of groups, names without B- or I-
  /// Cut a text that is too long, as `info.truncated` and `info.covered` then tell; else it is an error, unless
  /// there is a stride. transformers always cuts, and says nothing.
  bool truncation = false;
  /// Read a text that is too long in windows that share so many tokens. Where entities of two windows overlap the
  /// longer one stays, or the one with the higher score; so there must be an aggregation_strategy. Not with truncation.
  std::optional<std::size_t> stride = {};
  std::size_t max_length = 0;         ///< of what is not cut, or of a window, in tokens; 0: the model's
  bool split_special_tokens = false;  ///< take "[SEP]" in the text for text: for texts that are not trusted
  WordGrouping word_grouping = WordGrouping::hugging_face;
  LabelScheme label_scheme = LabelScheme::bio;
  LabelDecoding decoding = LabelDecoding::independent;
  std::size_t top_k = 0;  ///< of each token so many labels in `top_labels`, best first; without aggregation only
};

BERTHA_NAMESPACE_END
