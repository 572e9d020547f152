// How texts are classified.

#pragma once

#include <bertha/tokenizer/windows.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>

BERTHA_NAMESPACE_BEGIN

/// What turns logits into scores. `automatic`: none for regression; sigmoid for multi-label models and for a single
/// label; softmax for the others.
enum class FunctionToApply : std::uint8_t { automatic, softmax, sigmoid, none };

/// What becomes of the scores that the windows of a text have for a label.
enum class Reduce : std::uint8_t { mean, max, first };

/// How a text that is too long is read as a whole.
struct ClassificationWindows {
  std::size_t stride = 0;  ///< tokens that neighbouring windows share
  Reduce reduce = Reduce::mean;
};

/// Hugging Face's names and meanings where it has the option.
struct ClassificationOptions {
  std::optional<std::size_t> top_k = {};  ///< how many labels; unset: all of them
  FunctionToApply function_to_apply = FunctionToApply::automatic;
  /// Which text is cut where a text or a pair is too long, which else is an error; or read in `windows`.
  Truncation truncation = Truncation::none;
  std::size_t max_length = 0;  ///< tokens of what is not cut, or of a window; 0: the model's
  /// Read a text that is too long in windows; of a pair the one that `truncation` names, which is the longer one unless
  /// it says otherwise. Every window is classified, and their scores are reduced to one for each label.
  std::optional<ClassificationWindows> windows = {};
  bool split_special_tokens = false;  ///< take "[SEP]" in the text for text: for texts that are not trusted
};

BERTHA_NAMESPACE_END
