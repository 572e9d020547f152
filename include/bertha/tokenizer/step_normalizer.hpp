// A normaliser made of steps, with the way back to the original bytes.
//
// Equals `tokenizers.normalizers.Sequence` (0.23.3; tokenizers/src/tokenizer/normalizer.rs and the crate
// unicode-normalization-alignments) in text and alignment. Each code point that a Unicode form gives says how many code
// points of the text before it takes: 1 if it is the first part of one, 0 if a further part, if composed the sum of its
// parts. Its origin is that of the first that it takes, or of the last that was taken before it. So sorted marks have
// the origins of the places that they moved to.

#pragma once

#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <bertha/tokenizer/character.hpp>
#include <bertha/tokenizer/charsmap.hpp>
#include <bertha/tokenizer/normalized_text.hpp>
#include <bertha/tokenizer/still_characters.hpp>
#include <bertha/tokenizer/unicode.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#if defined(BERTHA_DEFINES_FUNCTIONS)
#include <bertha/tokenizer/unicode_forms.hpp>
#endif

BERTHA_NAMESPACE_BEGIN

/// Does the steps of a list one after the other. Immutable, so shared by threads.
class StepNormalizer {
 public:
  /// Throws Error{vocabulary} for a `replace` without a pattern, or with one that is not UTF-8, and for a step
  /// `charsmap` without a charsmap.
  explicit StepNormalizer(std::span<const NormalizerStep> steps,
                          const std::optional<Charsmap>& charsmap = std::nullopt);

  /// True if there is nothing to do.
  bool empty() const { return steps_.empty(); }

  /// Normalises valid UTF-8, whose first byte is byte `base` of the original, into `out`, whose memory is used again.
  void operator()(std::string_view text, std::uint32_t base, NormalizedText& out) const;

 private:
  using CodePoints = std::vector<std::uint32_t>;

  struct Step {
    NormalizerStep::Kind kind;
    CodePoints pattern, content;    // of `replace`
    std::vector<std::size_t> back;  // [n]: the longest proper start that the first n code points end with
    bool optional_before = false;   // of `replace_apart`
  };

  static CodePoints code_points(std::string_view text);
  static void map(const Step& step, const Characters& before, Characters& after);
  static void change_form(NormalizerStep::Kind form, const Characters& before, std::uint32_t base, Characters& after);
  static void strip(bool left, Characters& characters);
  static void replace(const Step& step, const Characters& before, Characters& after);
  static void replace_apart(const Step& step, const Characters& before, Characters& after);
  static void replace_runs(const Step& step, const Characters& before, Characters& after);

  // Does all steps for a part of a text; `after` is memory.
  void normalize(std::string_view text, std::uint32_t base, Characters& characters, Characters& after) const;

  std::vector<Step> steps_;
  std::optional<Charsmap> charsmap_;
  StillCharacters still_;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION StepNormalizer::CodePoints StepNormalizer::code_points(std::string_view text) {
  require_utf8(text, "tokenizer.normalizer");
  CodePoints result;
  for (std::size_t at = 0; at < text.size();) {
    const auto [code_point, size] = utf8::decode(text, at);
    result.push_back(code_point);
    at += size;
  }
  return result;
}

BERTHA_FUNCTION StepNormalizer::StepNormalizer(std::span<const NormalizerStep> steps,
                                               const std::optional<Charsmap>& charsmap)
    : charsmap_(charsmap), still_(steps, charsmap) {
  for (const NormalizerStep& step : steps) {
    Step made{step.kind, code_points(step.pattern), code_points(step.content), {0, 0}, step.optional_before};
    if (step.kind == NormalizerStep::Kind::collapse_white_space) made.content = {' '};
    if (step.kind == NormalizerStep::Kind::charsmap && !charsmap_) {
      throw_error(ErrorCode::vocabulary, {"tokenizer.normalizer: there is no charsmap for the step 'charsmap'"});
    }
    if (step.kind == NormalizerStep::Kind::replace || step.kind == NormalizerStep::Kind::replace_apart) {
      if (made.pattern.empty()) {
        throw_error(ErrorCode::vocabulary, {"tokenizer.normalizer: a replacement has no pattern; convert again"});
      }
      for (std::size_t at = 1, length = 0; at < made.pattern.size(); ++at) {
        while (length > 0 && made.pattern[at] != made.pattern[length]) length = made.back[length];
        if (made.pattern[at] == made.pattern[length]) ++length;
        made.back.push_back(length);
      }
    }
    steps_.push_back(std::move(made));
  }
}

BERTHA_FUNCTION void StepNormalizer::map(const Step& step, const Characters& before, Characters& after) {
  using Kind = NormalizerStep::Kind;
  for (const Character& character : before) {
    const std::uint16_t flags = unicode::properties(character.code_point).flags;
    const auto put = [&](std::uint32_t code_point) { after.push_back({code_point, character.origin}); };
    const bool dropped = (step.kind == Kind::clean_text && (flags & unicode::kRemoved) != 0) ||
                         (step.kind == Kind::strip_nonspacing_marks && (flags & unicode::kNonspacing) != 0) ||
                         (step.kind == Kind::strip_marks && (flags & unicode::kMark) != 0);
    if (dropped) continue;
    if (step.kind == Kind::clean_text && (flags & unicode::kCleanSpace) != 0) {
      put(' ');
    } else if (step.kind == Kind::handle_chinese_chars && (flags & unicode::kChinese) != 0) {
      put(' ');
      put(character.code_point);
      put(' ');
    } else if (step.kind == Kind::lowercase && (flags & unicode::kLowers) != 0) {
      put(unicode::lower(character.code_point));
      if (character.code_point == unicode::kCapitalIWithDot) put(unicode::kDotAbove);
    } else {
      put(character.code_point);
    }
  }
}

BERTHA_FUNCTION void StepNormalizer::change_form(NormalizerStep::Kind form, const Characters& before,
                                                 std::uint32_t base, Characters& after) {
  using Kind = NormalizerStep::Kind;
  std::vector<unicode::FormPart> parts;
  parts.reserve(before.size());
  for (const Character& character : before) {
    std::uint32_t hangul[3];
    std::span<const std::uint32_t> decomposed;
    if (form == Kind::nfkd || form == Kind::nfkc) decomposed = unicode::decompose_compatibly(character.code_point);
    if (decomposed.empty() && (unicode::properties(character.code_point).flags & unicode::kDecomposes) != 0) {
      decomposed = unicode::decompose(character.code_point, hangul);
    }
    if (decomposed.empty()) decomposed = {&character.code_point, 1};
    std::uint32_t taken = 1;
    for (const std::uint32_t part : decomposed) {
      parts.push_back({part, taken, unicode::properties(part).combining});
      taken = 0;
    }
  }
  unicode::sort_marks(parts);
  if (form == Kind::nfc || form == Kind::nfkc) unicode::compose(parts);
  std::size_t at = 0;
  for (const unicode::FormPart& part : parts) {
    const Span origin = part.taken > 0 ? before[at].origin : at > 0 ? before[at - 1].origin : Span{base, base};
    after.push_back({part.code_point, origin});
    at += part.taken;
  }
}

BERTHA_FUNCTION void StepNormalizer::strip(bool left, Characters& characters) {
  const auto is_space = [](const Character& character) {
    return (unicode::properties(character.code_point).flags & unicode::kWhiteSpace) != 0;
  };
  std::size_t begin = 0, end = characters.size();
  while (left && begin < end && is_space(characters[begin])) ++begin;
  while (!left && begin < end && is_space(characters[end - 1])) --end;
  characters.resize(end);
  characters.erase(characters.begin(), characters.begin() + static_cast<std::ptrdiff_t>(begin));
}

BERTHA_FUNCTION void StepNormalizer::replace(const Step& step, const Characters& before, Characters& after) {
  std::size_t length = 0;  // of the pattern's start that ends here
  for (const Character& character : before) {
    while (length > 0 && step.pattern[length] != character.code_point) length = step.back[length];
    if (step.pattern[length] == character.code_point) ++length;
    after.push_back(character);
    if (length < step.pattern.size()) continue;
    after.resize(after.size() - length);
    for (const std::uint32_t code_point : step.content) after.push_back({code_point, character.origin});
    length = 0;
  }
}

BERTHA_FUNCTION void StepNormalizer::replace_apart(const Step& step, const Characters& before, Characters& after) {
  const auto is_apart = [](const Character& character) {  // \W of the regular expressions that this stands for
    constexpr std::u32string_view kOther = U"\u00B2\u00B3\u00B9\u00BC\u00BD\u00BE\u200C\u200D";
    const bool is_word = (unicode::properties(character.code_point).flags & unicode::kWord) != 0;
    return is_word == (kOther.find(character.code_point) != kOther.npos);
  };
  std::size_t length = 0;  // of the pattern's start that ends here
  std::size_t done = 0;    // characters that are in `after`
  for (std::size_t at = 0; at < before.size(); ++at) {
    const std::uint32_t code_point = before[at].code_point;
    while (length > 0 && (length == step.pattern.size() || step.pattern[length] != code_point))
      length = step.back[length];
    if (step.pattern[length] == code_point) ++length;
    if (length < step.pattern.size() || at + 1 == before.size() || !is_apart(before[at + 1])) continue;
    const std::size_t begin = at + 1 - length;
    const bool has_before = begin > done && is_apart(before[begin - 1]);
    if (!has_before && !step.optional_before) continue;
    const std::size_t first = has_before ? begin - 1 : begin;
    after.insert(after.end(), before.begin() + static_cast<std::ptrdiff_t>(done),
                 before.begin() + static_cast<std::ptrdiff_t>(first));
    for (const std::uint32_t put : step.content) after.push_back({put, before[at + 1].origin});
    done = at + 2;
    length = 0;
    ++at;
  }
  after.insert(after.end(), before.begin() + static_cast<std::ptrdiff_t>(done), before.end());
}

BERTHA_FUNCTION void StepNormalizer::replace_runs(const Step& step, const Characters& before, Characters& after) {
  const bool of_spaces = step.kind == NormalizerStep::Kind::replace_spaces;
  const auto is_space = [&](const Character& character) {
    if (of_spaces) return character.code_point == ' ';
    return (unicode::properties(character.code_point).flags & unicode::kWhiteSpace) != 0;
  };
  for (std::size_t begin = 0, end; begin < before.size(); begin = end) {
    for (end = begin; end < before.size() && is_space(before[end]);) ++end;
    const std::uint32_t first = before[begin].code_point;
    const bool alone = !of_spaces && end - begin == 1 && (first == '\n' || first == '\r' || first == '\t');
    if (end - begin >= 2 || alone) {
      for (const std::uint32_t code_point : step.content) after.push_back({code_point, before[end - 1].origin});
    } else {
      after.push_back(before[begin]);
      end = begin + 1;
    }
  }
}

BERTHA_FUNCTION void StepNormalizer::normalize(std::string_view text, std::uint32_t base, Characters& characters,
                                               Characters& after) const {
  using Kind = NormalizerStep::Kind;
  if (characters.capacity() > after.capacity()) characters.swap(after);  // what becomes of a text may be longer
  characters.resize(utf8::count(text));
  bool is_ascii = true;
  Character* next = characters.data();
  for (std::size_t at = 0; at < text.size();) {
    const auto [code_point, size] = utf8::decode(text, at);
    const auto start = base + static_cast<std::uint32_t>(at);
    *next++ = {code_point, {start, start + size}};
    is_ascii = is_ascii && code_point < 0x80;
    at += size;
  }
  for (const Step& step : steps_) {
    after.clear();
    switch (step.kind) {
      case Kind::nfd:
      case Kind::nfc:
      case Kind::nfkd:
      case Kind::nfkc:
        if (is_ascii) continue;
        change_form(step.kind, characters, base, after);
        break;
      case Kind::charsmap:
        (*charsmap_)(characters, base, after);
        is_ascii = false;
        break;
      case Kind::strip_left:
      case Kind::strip_right: strip(step.kind == Kind::strip_left, characters); continue;
      case Kind::replace: replace(step, characters, after); break;
      case Kind::replace_apart: replace_apart(step, characters, after); break;
      case Kind::replace_spaces:
      case Kind::collapse_white_space: replace_runs(step, characters, after); break;
      case Kind::clean_text:
      case Kind::handle_chinese_chars:
      case Kind::strip_nonspacing_marks:
      case Kind::strip_marks:
      case Kind::lowercase: map(step, characters, after); break;
    }
    for (const std::uint32_t code_point : step.content) is_ascii = is_ascii && code_point < 0x80;
    characters.swap(after);
  }
}

BERTHA_FUNCTION void StepNormalizer::operator()(std::string_view text, std::uint32_t base, NormalizedText& out) const {
  if (still_.end_of_run(text, 0) == text.size()) return out.refer_to(text, base);
  out.clear();
  out.reserve(text.size());
  auto& [characters, after] = out.scratch;
  for (std::size_t begin = 0; begin < text.size();) {
    auto [rest, end] = still_.next_part(text, begin);
    out.append(text.substr(begin, rest - begin), base + static_cast<std::uint32_t>(begin));
    normalize(text.substr(rest, end - rest), base + static_cast<std::uint32_t>(rest), characters, after);
    // What a charsmap drops at the very start of a text moves all origins behind it, that of the still end as well.
    if (rest == 0 && end < text.size() && characters.back().origin.end != base + end) {
      end = text.size();
      normalize(text, base, characters, after);
    }
    for (const Character& character : characters) out.append(character.code_point, character.origin);
    begin = end;
  }
}

#endif

BERTHA_NAMESPACE_END
