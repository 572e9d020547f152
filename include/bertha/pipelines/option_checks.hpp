// What the options of several pipelines have in common: how long a text may be, how it is cut to that, and values that
// are none.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <bertha/runtime/stop.hpp>
#include <bertha/tokenizer/template.hpp>
#include <cstddef>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// The tokens that a text may have, special ones included: `max_length`, or if that is 0 or too many, what the model
/// takes.
inline std::size_t kept_tokens(std::size_t max_length, const ModelConfig& config) {
  return max_length == 0 ? config.max_length : std::min(max_length, config.max_length);
}

/// How a text is encoded that is cut to as many tokens if `is_cut`, of a pair the longer text first.
BERTHA_FUNCTION EncodeOptions cut_options(bool is_cut, std::size_t max_length, const ModelConfig& config,
                                          const Stop& stop);

/// Throws Error{input} for a `max_length` where nothing would be cut to it.
BERTHA_FUNCTION void require_cut(std::size_t max_length, bool is_cut);

/// Throws Error{input} for a `stride` with which no text could be read in windows of `max_length` tokens.
BERTHA_FUNCTION void require_stride(std::size_t stride, std::size_t max_length, const SpecialTokens& special);

/// Throws Error{input} for an option that is none of its enumeration's `values`, of which `last` is the last.
BERTHA_FUNCTION void require_value(std::string_view name, unsigned value, unsigned last, std::string_view values);
template <class Enumeration>
void require_value(std::string_view name, Enumeration value, Enumeration last, std::string_view values) {
  require_value(name, static_cast<unsigned>(value), static_cast<unsigned>(last), values);
}

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION EncodeOptions cut_options(bool is_cut, std::size_t max_length, const ModelConfig& config,
                                          const Stop& stop) {
  EncodeOptions encode;
  encode.stop = stop;
  if (is_cut) {
    encode.truncation = Truncation::longest_first;
    encode.max_length = kept_tokens(max_length, config);
  }
  return encode;
}

BERTHA_FUNCTION void require_cut(std::size_t max_length, bool is_cut) {
  if (max_length != 0 && !is_cut)
    throw_error(ErrorCode::input, {"max_length is ", max_length,
                                   ", but truncation is not allowed: nothing would be cut; set both or neither"});
}

BERTHA_FUNCTION void require_stride(std::size_t stride, std::size_t max_length, const SpecialTokens& special) {
  bertha::require_stride(stride, max_length - std::min(max_length, count_special(special.single)));
}

BERTHA_FUNCTION void require_value(std::string_view name, unsigned value, unsigned last, std::string_view values) {
  if (value > last) throw_error(ErrorCode::input, {name, " is ", value, ", which is none of ", values});
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
