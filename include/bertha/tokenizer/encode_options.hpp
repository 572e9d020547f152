// How a text or a pair of texts is encoded.

#pragma once

#include <bertha/runtime/stop.hpp>
#include <bertha/tokenizer/windows.hpp>
#include <cstddef>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

/// How to encode; names and defaults are Hugging Face's where it has such an option.
struct EncodeOptions {
  bool add_special_tokens = true;            ///< apply the template ([CLS] A [SEP])
  Truncation truncation = Truncation::none;  ///< what is shortened beyond `max_length`
  std::size_t max_length = 0;           ///< tokens, special ones included; given if and only if something truncates
  std::size_t stride = 0;               ///< tokens that neighbouring windows share
  bool split_special_tokens = false;    ///< take "[SEP]" in the text for text: for texts that are not trusted
  std::string_view text_name = "text";  ///< what errors call the text; empty: nothing
  std::string_view text_pair_name = "text_pair";  ///< and its pair
  /// Looked at before a text and after each 64 KB of it; one word is not left halfway.
  Stop stop = {};
};

BERTHA_NAMESPACE_END
