// A text with masks to the tokens that may stand there: the task of FillMask.
//
// Equals `FillMaskPipeline` in transformers/pipelines/fill_mask.py (5.23.0): scores are softmax over the whole
// vocabulary, also where only some tokens are looked at.

#pragma once

#include <bertha/heads/masked_lm.hpp>
#include <bertha/pipelines/input.hpp>
#include <bertha/pipelines/option_checks.hpp>
#include <bertha/pipelines/task.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A token in the place of a mask.
struct MaskFilling {
  float score = 0;
  std::uint32_t token = 0;
  std::string token_str;  ///< the token decoded, which may begin with a space
  std::string sequence;   ///< the text's tokens decoded; without special tokens, unless the text has several masks
};

/// The best fillings of each mask of a text, in the order of the text.
struct FillMaskResult {
  std::vector<std::vector<MaskFilling>> masks;
  InputInfo info;

  auto begin() const { return masks.begin(); }
  auto end() const { return masks.end(); }
  std::size_t size() const { return masks.size(); }
  const std::vector<MaskFilling>& operator[](std::size_t i) const { return masks[i]; }
};

/// How masks are filled. Hugging Face's names and meanings.
struct FillMaskOptions {
  std::size_t top_k = 5;  ///< fillings of each mask; with targets at most as many as they are
  /// The only tokens to look at. A text that is no token stands for the first token that it begins with, as
  /// `target_tokens` tells.
  std::optional<std::vector<std::string>> targets = {};
  bool truncation = false;     ///< cut texts that are too long, which else are errors
  std::size_t max_length = 0;  ///< of what is not cut, in tokens; 0: the model's
};

/// The token that a target stands for.
struct TargetToken {
  std::optional<std::uint32_t> id;  ///< none: the text has no tokens, and is left out
  bool is_whole = false;            ///< the target is this token, not only a text that begins with it
};

/// What each of the targets stands for. Throws Error{input} for one that is not UTF-8.
BERTHA_FUNCTION std::vector<TargetToken> target_tokens(const Tokenizer& tokenizer,
                                                       std::span<const std::string> targets);

/// The task of one call; the tokenizer, the configuration and the options must outlive it.
class FillMaskTask {
 public:
  using Input = std::string_view;
  using Options = FillMaskOptions;
  using Result = FillMaskResult;
  static constexpr std::string_view noun = "text";

  /// Throws Error{input} for a top_k of 0 or beyond the vocabulary, and for targets none of which is a token of the
  /// model; Error{unsupported} for a tokenizer that has no mask.
  FillMaskTask(const Tokenizer& tokenizer, const ModelConfig& config, const FillMaskOptions& options);

  /// Throws Error{input} where the text has no mask.
  std::vector<Encoding> encode(std::string_view text, const Stop& stop) const;
  /// The positions of the masks.
  std::vector<std::uint32_t> chosen(const Encoding& window) const;
  MaskedLm head(const MaskedLm& loaded) const { return loaded.with_best(options_.top_k, candidates_); }
  /// logits [masks, 2 k]: the best of each mask, as MaskedLm::with_best gives them.
  FillMaskResult decode(std::string_view text, std::span<const Encoding> windows,
                        std::span<const MatrixView<const float>> logits) const;

 private:
  const Tokenizer& tokenizer_;
  const ModelConfig& config_;
  const FillMaskOptions& options_;
  std::uint32_t mask_ = 0;
  std::vector<std::uint32_t> candidates_;  // ascending
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::vector<TargetToken> target_tokens(const Tokenizer& tokenizer,
                                                       std::span<const std::string> targets) {
  std::vector<TargetToken> found;
  for (const std::string& target : targets) {
    require_utf8(target, "target");
    if (const auto id = tokenizer.id(target)) {
      found.push_back({id, true});
      continue;
    }
    const TokenSequence tokens = tokenizer.tokens(target);
    found.push_back({});
    if (tokens.size() > 0) found.back().id = tokens.ids.front();
  }
  return found;
}

BERTHA_FUNCTION FillMaskTask::FillMaskTask(const Tokenizer& tokenizer, const ModelConfig& config,
                                           const FillMaskOptions& options)
    : tokenizer_(tokenizer), config_(config), options_(options) {
  if (!tokenizer.special_tokens().mask_token_id)
    throw_error(ErrorCode::unsupported, {"the tokenizer has no mask token; expected that of the model file"});
  mask_ = *tokenizer.special_tokens().mask_token_id;
  detail::require_cut(options.max_length, options.truncation);
  if (options.top_k == 0 || (!options.targets && options.top_k > config.vocab_size))
    throw_error(ErrorCode::input, {"top_k is ", options.top_k, "; expected 1 to ", config.vocab_size,
                                   ", the number of the model's tokens"});
  if (!options.targets) {
    candidates_.resize(config.vocab_size);
    for (std::uint32_t id = 0; id < candidates_.size(); ++id) candidates_[id] = id;
    return;
  }
  const auto found = target_tokens(tokenizer, *options.targets);
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (!found[i].id) continue;
    if (*found[i].id >= config.vocab_size)
      throw_error(ErrorCode::input, {"the target ", detail::shown((*options.targets)[i]), " has the id ", *found[i].id,
                                     "; the model has scores for ids below ", config.vocab_size});
    candidates_.push_back(*found[i].id);
  }
  std::sort(candidates_.begin(), candidates_.end());
  candidates_.erase(std::unique(candidates_.begin(), candidates_.end()), candidates_.end());
  if (candidates_.empty())
    throw_error(ErrorCode::input, {found.empty() ? "there are no targets" : "none of the targets has a token",
                                   "; name one at least, or leave the option unset for all tokens"});
}

BERTHA_FUNCTION std::vector<Encoding> FillMaskTask::encode(std::string_view text, const Stop& stop) const {
  require_utf8(text, "");
  std::vector<Encoding> windows;
  windows.push_back(
      tokenizer_.encode(text, detail::cut_options(options_.truncation, options_.max_length, config_, stop)));
  if (chosen(windows[0]).empty())
    throw_error(ErrorCode::input, {"the text has no mask", windows[0].truncated ? " in the part that was not cut" : "",
                                   "; expected ", detail::shown(tokenizer_.token(mask_)), " once at least"});
  return windows;
}

BERTHA_FUNCTION std::vector<std::uint32_t> FillMaskTask::chosen(const Encoding& window) const {
  std::vector<std::uint32_t> positions;
  for (std::uint32_t i = 0; i < window.size(); ++i)
    if (window.ids[i] == mask_) positions.push_back(i);
  return positions;
}

BERTHA_FUNCTION FillMaskResult FillMaskTask::decode(std::string_view, std::span<const Encoding> windows,
                                                    std::span<const MatrixView<const float>> logits) const {
  const MatrixView<const float>& rows = logits[0];
  const std::vector<std::uint32_t> positions = chosen(windows[0]);
  const auto pad = tokenizer_.special_tokens().pad_token_id;
  FillMaskResult result{{}, detail::input_info(windows)};
  for (std::size_t mask = 0; mask < rows.rows; ++mask) {
    std::vector<MaskFilling> fillings;
    for (std::size_t i = 0; i < rows.cols / 2; ++i) {
      const auto id = static_cast<std::uint32_t>(rows(mask, rows.cols / 2 + i));
      std::vector<std::uint32_t> ids = windows[0].ids;
      ids[positions[mask]] = id;
      std::erase_if(ids, [&](std::uint32_t each) { return each == pad || each >= tokenizer_.size(); });
      const bool has_token = id < tokenizer_.size();
      fillings.push_back({rows(mask, i), id, has_token ? tokenizer_.decode(std::span(&id, 1), false) : std::string(),
                          tokenizer_.decode(ids, rows.rows == 1)});
    }
    result.masks.push_back(std::move(fillings));
  }
  return result;
}

#endif

BERTHA_NAMESPACE_END
