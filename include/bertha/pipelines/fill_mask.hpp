// Fill-mask: a text with masks to the tokens that may stand in their places.

#pragma once

#include <bertha/heads/masked_lm.hpp>
#include <bertha/pipelines/fill_mask_task.hpp>
#include <bertha/pipelines/pipeline.hpp>

BERTHA_NAMESPACE_BEGIN

/// A model whose head is masked-lm. Immutable, cheap to copy, shared by any number of threads. Only masked tokens go
/// through the head.
class FillMask : public Pipeline<FillMaskTask, MaskedLm> {
 public:
  using Pipeline::Pipeline;

  /// `source` is a path, or bytes on a 64-byte boundary. Throws what Model::load throws.
  template <class Source>
  static FillMask load(const Source& source, const LoadOptions& options = {}) {
    return FillMask(Model::load(source, options));
  }

  /// What stands for a word to be found: "[MASK]", say.
  std::string_view mask_token() const {
    return model().tokenizer().token(model().tokenizer().special_tokens().mask_token_id.value());
  }

  /// The best token for the first mask of a text. Throws Error{input} when the text has none or is not valid UTF-8.
  MaskFilling operator()(std::string_view text) const {
    FillMaskResult result = run(text, {.top_k = 1});
    return std::move(result.masks.front().front());
  }
};

BERTHA_NAMESPACE_END
