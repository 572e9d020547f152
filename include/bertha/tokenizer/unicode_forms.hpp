// The Unicode forms NFD, NFKD, NFC and NFKC, in parts that tell what they were made of.
//
// Equals the crate unicode-normalization-alignments as tokenizers 0.23.3 has it.

#pragma once

#include <algorithm>
#include <bertha/tokenizer/composition_tables.hpp>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace unicode {

/// A code point of a Unicode form in the making.
struct FormPart {
  std::uint32_t code_point;
  std::uint32_t taken;  ///< how many code points of the text before it takes
  std::uint8_t combining;
};

/// The compatibility decomposition of a code point, or nothing where it is the canonical one.
inline std::span<const std::uint32_t> decompose_compatibly(std::uint32_t code_point) {
  const auto* found = std::lower_bound(std::begin(kCompatible), std::end(kCompatible), code_point);
  if (found == std::end(kCompatible) || *found != code_point) return {};
  const auto i = static_cast<std::size_t>(found - std::begin(kCompatible));
  return {kCompatibleDecompositions + kCompatibleStart[i], kCompatibleDecompositions + kCompatibleStart[i + 1]};
}

/// What two code points compose to.
inline std::optional<std::uint32_t> compose(std::uint32_t first, std::uint32_t second) {
  constexpr std::uint32_t kLead = 0x1100, kVowel = 0x1161, kTrail = 0x11A7, kSyllable = 0xAC00;
  if (first - kLead < 19 && second - kVowel < 21) return kSyllable + (first - kLead) * 588 + (second - kVowel) * 28;
  if (first - kSyllable < 11172 && (first - kSyllable) % 28 == 0 && second - kTrail - 1 < 27) {
    return first + (second - kTrail);
  }
  const auto* found = std::lower_bound(std::begin(kCompositions), std::end(kCompositions), std::pair(first, second),
                                       [](const Composition& c, const std::pair<std::uint32_t, std::uint32_t>& pair) {
                                         return std::pair(c.first, c.second) < pair;
                                       });
  if (found == std::end(kCompositions) || found->first != first || found->second != second) return std::nullopt;
  return found->composed;
}

/// Puts each run of marks into canonical order.
inline void sort_marks(std::vector<FormPart>& parts) {
  std::vector<FormPart> run;
  for (std::size_t begin = 0, end; begin < parts.size(); begin = end + 1) {
    bool sorted = true;
    for (end = begin; end < parts.size() && parts[end].combining != 0; ++end) {
      sorted = sorted && (end == begin || parts[end - 1].combining <= parts[end].combining);
    }
    if (sorted) continue;
    std::size_t next[257] = {};  // where the next mark of a class goes, counted in one pass
    run.assign(parts.begin() + static_cast<std::ptrdiff_t>(begin), parts.begin() + static_cast<std::ptrdiff_t>(end));
    for (const FormPart& part : run) ++next[part.combining + 1];
    for (std::size_t i = 1; i < 257; ++i) next[i] += next[i - 1];
    for (const FormPart& part : run) parts[begin + next[part.combining]++] = part;
  }
}

/// Composes what is in canonical order.
inline void compose(std::vector<FormPart>& parts) {
  std::vector<FormPart> result, blocked;  // marks that wait behind the starter
  std::optional<FormPart> starter;
  const auto finish = [&] {
    if (starter) result.push_back(*starter);
    result.insert(result.end(), blocked.begin(), blocked.end());
    blocked.clear();
  };
  for (const FormPart& part : parts) {
    if (!starter && part.combining != 0) {
      result.push_back(part);
      continue;
    }
    if (starter && (blocked.empty() || blocked.back().combining < part.combining)) {
      if (const auto composed = compose(starter->code_point, part.code_point)) {
        *starter = {*composed, starter->taken + part.taken, 0};
        continue;
      }
    }
    if (part.combining != 0) {
      blocked.push_back(part);
    } else {
      finish();
      starter = part;
    }
  }
  finish();
  parts.swap(result);
}

}  // namespace unicode

BERTHA_NAMESPACE_END
