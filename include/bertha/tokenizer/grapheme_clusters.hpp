// Where grapheme clusters begin: what a reader takes for one character.
//
// Equals `UnicodeSegmentation::graphemes(true)` as tokenizers 0.23.3 has it, but for pairs of regional indicators,
// which it joins and this doesn't: clusters of less than six bytes, those that Charsmap asks for, are the same.

#pragma once

#include <algorithm>
#include <bertha/tokenizer/grapheme_tables.hpp>
#include <cstdint>
#include <iterator>

BERTHA_NAMESPACE_BEGIN

/// Goes through a text code point by code point.
class GraphemeClusters {
 public:
  /// True if a cluster begins at the next code point of the text: Unicode's rules GB3 to GB11 (UAX #29).
  bool begins_at(std::uint32_t code_point) {
    using enum unicode::Grapheme;
    const unicode::Grapheme its = grapheme(code_point);
    const unicode::Grapheme before = before_;
    bool joined = false;
    if (before == control || its == control) {
      joined = was_cr_ && code_point == '\n';
    } else if (its == extend || its == extend_no_conjunct || its == linker || its == joiner || its == spacing_mark ||
               before == prepend) {
      joined = true;
    } else if (before == lead) {
      joined = its == lead || its == vowel || its == lead_vowel || its == lead_vowel_trail;
    } else if (before == lead_vowel || before == vowel) {
      joined = its == vowel || its == trail;
    } else if (before == lead_vowel_trail || before == trail) {
      joined = its == trail;
    } else {
      joined = (conjunct_ == Conjunct::linked && its == consonant) || (joins_pictures_ && its == pictographic);
    }
    if (its == consonant) {
      conjunct_ = Conjunct::open;
    } else if (conjunct_ != Conjunct::none && its != extend && its != joiner) {
      conjunct_ = its == linker ? Conjunct::linked : Conjunct::none;
    }
    joins_pictures_ = in_picture_ && its == joiner;
    in_picture_ = its == pictographic || (in_picture_ && (its == extend || its == extend_no_conjunct || its == linker));
    was_cr_ = code_point == '\r';
    before_ = its;
    return !joined;
  }

 private:
  enum class Conjunct : std::uint8_t { none, open, linked };  // after a consonant, without and with a linker

  static unicode::Grapheme grapheme(std::uint32_t code_point) {
    using enum unicode::Grapheme;
    if (code_point < 0x7F) return code_point < ' ' ? control : other;
    if (code_point - 0xAC00 < 11172) return (code_point - 0xAC00) % 28 == 0 ? lead_vowel : lead_vowel_trail;
    const auto* run =
        std::upper_bound(std::begin(unicode::kGraphemeRuns), std::end(unicode::kGraphemeRuns), code_point,
                         [](std::uint32_t value, const unicode::GraphemeRun& r) { return value < r.first; });
    return run != std::begin(unicode::kGraphemeRuns) && code_point <= run[-1].last ? run[-1].grapheme : other;
  }

  unicode::Grapheme before_ = unicode::Grapheme::control;
  bool was_cr_ = false;
  bool in_picture_ = false;      // after a picture and marks
  bool joins_pictures_ = false;  // and the joiner
  Conjunct conjunct_ = Conjunct::none;
};

BERTHA_NAMESPACE_END
