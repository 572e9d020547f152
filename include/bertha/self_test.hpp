// What a file recorded of its model, against what this CPU and build make of it.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/tokenizer/tokenizer.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// Hexadecimal digits of the numbers' bytes, little endian.
BERTHA_FUNCTION std::string to_hex(std::span<const float> numbers);

[[noreturn]] BERTHA_FUNCTION void self_test_failed(const std::string& file, std::size_t index, const std::string& what);

/// What the tokenizer makes of a recorded case; throws Error{self_test} when that is not what was recorded.
BERTHA_FUNCTION Encoding check_tokens(const std::string& file, std::size_t index, const SelfTestCase& expected,
                                      const Tokenizer& tokenizer);

/// Float32 promises 2e-4 max(1, |logit|) of the recorded logits. BFloat16 promises none: a sum that differs in its last
/// bit may be rounded to the next bfloat16. Here none may be off by more than a sixteenth of the largest logit of its
/// case (at least 1): six times what trained models show, and less than a wrong product does. Embeddings, which may be
/// short, are held to their own largest number in place of 1.
BERTHA_FUNCTION void check_logits(const std::string& file, std::size_t index, std::span<const float> expected,
                                  std::span<const float> found, bool bfloat16, bool embeddings);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::string to_hex(std::span<const float> numbers) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const float number : numbers) {
    std::uint32_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    for (int byte = 0; byte < 4; ++byte, bits >>= 8) {
      text += kDigits[bits >> 4 & 15];
      text += kDigits[bits & 15];
    }
  }
  return text;
}

BERTHA_FUNCTION void self_test_failed(const std::string& file, std::size_t index, const std::string& what) {
  throw_error(ErrorCode::self_test, {file, ": self-test case ", index, ": ", what,
                                     "; this build or CPU does not reproduce what the file recorded; please report "
                                     "the output of `bertha inspect`"});
}

BERTHA_FUNCTION Encoding check_tokens(const std::string& file, std::size_t index, const SelfTestCase& expected,
                                      const Tokenizer& tokenizer) {
  const Encoding encoding =
      expected.text_pair ? tokenizer.encode(expected.text, *expected.text_pair) : tokenizer.encode(expected.text);
  if (encoding.ids != expected.ids) self_test_failed(file, index, "token ids differ");
  if (encoding.type_ids != expected.type_ids) self_test_failed(file, index, "token type ids differ");
  const OffsetConverter text(expected.text, OffsetUnit::code_point);
  const OffsetConverter pair(expected.text_pair ? std::string_view(*expected.text_pair) : std::string_view(),
                             OffsetUnit::code_point);
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    const OffsetConverter& unit = encoding.sequences[i] == 1 ? pair : text;
    if (unit(encoding.offsets[i].start) != expected.offsets[2 * i] ||
        unit(encoding.offsets[i].end) != expected.offsets[2 * i + 1])
      self_test_failed(file, index, "the offsets of token " + std::to_string(i) + " differ");
  }
  return encoding;
}

BERTHA_FUNCTION void check_logits(const std::string& file, std::size_t index, std::span<const float> expected,
                                  std::span<const float> found, bool bfloat16, bool embeddings) {
  if (expected.empty()) return;
  if (expected.size() != found.size()) self_test_failed(file, index, "the number of logits differs");
  float largest = embeddings ? 0x1p-100f : 1.0f;
  for (const float logit : expected) largest = std::max(largest, std::fabs(logit));
  const float least = embeddings ? largest : 1.0f;
  for (std::size_t j = 0; j < expected.size(); ++j) {
    const float bound = bfloat16 ? largest / 16.0f : 2e-4f * std::max(least, std::fabs(expected[j]));
    const auto decimal = [](float number) { return shown(static_cast<double>(number)); };
    if (!(std::fabs(expected[j] - found[j]) <= bound))
      self_test_failed(file, index,
                       concat({"logit ", j, " is ", decimal(found[j]), ", expected ", decimal(expected[j]), " within ",
                               decimal(bound)}));
  }
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
