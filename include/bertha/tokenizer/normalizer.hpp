// BERT's normaliser: cleaning, spaces around CJK ideographs, accents, lower case, with the way back to the original
// bytes.
//
// Equals `tokenizers.normalizers.BertNormalizer` (0.23.3; tokenizers/src/normalizers/bert.rs) in text and alignment.
// Its steps are done here in one pass. The alignment has a rule that shows: decomposition moves marks, but the spans of
// the original code points stay in their order, so a moved mark gets the span of the place that it moved to.

#pragma once

#include <bertha/tokenizer/encoding.hpp>
#include <bertha/tokenizer/normalized_text.hpp>
#include <bertha/tokenizer/unicode.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Normalises valid UTF-8. May be used by several threads at once, with a `NormalizedText` each.
class BertNormalizer {
 public:
  /// What to do. Each is independent of the others: "strip accents if lowercase" was resolved by the converter.
  struct Options {
    bool clean_text = true;            ///< remove control characters, turn white space into spaces
    bool handle_chinese_chars = true;  ///< a space on each side of a CJK ideograph
    bool strip_accents = true;         ///< decompose, and drop nonspacing marks
    bool lowercase = true;
  };

  /// Marks that wait for their order; its memory is used again.
  struct Scratch {
    struct Mark {
      std::uint32_t code_point;
      unicode::Properties properties;
      bool first;  // the first of the parts that an original code point decomposes to, and that one's origin:
      Span origin;
    };
    std::vector<Mark> marks;   // since the last starter, and
    std::vector<Mark> sorted;  // by their classes
  };

  explicit BertNormalizer(Options options) : options_(options) {}

  const Options& options() const { return options_; }

  /// Normalises `text`, whose first byte is byte `base` of the original, into `out`, whose memory is used again.
  void operator()(std::string_view text, std::uint32_t base, NormalizedText& out, Scratch& scratch) const {
    using namespace unicode;
    out.clear();
    Rewriter rewriter(options_, out, scratch);
    for (std::size_t at = 0; at < text.size();) {
      const auto [value, size] = utf8::decode(text, at);
      const auto start = static_cast<std::uint32_t>(base + at);
      const Span origin{start, start + size};
      at += size;
      const Properties its = properties(value);
      if (options_.clean_text && (its.flags & kRemoved) != 0) continue;
      if (options_.clean_text && (its.flags & kCleanSpace) != 0) {
        rewriter.put(' ', properties(' '), origin);
      } else if (options_.handle_chinese_chars && (its.flags & kChinese) != 0) {
        rewriter.put(' ', properties(' '), origin);
        rewriter.put(value, its, origin);
        rewriter.put(' ', properties(' '), origin);
      } else {
        rewriter.put(value, its, origin);
      }
    }
    rewriter.finish();
  }
  void operator()(std::string_view text, std::uint32_t base, NormalizedText& out) const {
    Scratch scratch;
    (*this)(text, base, out, scratch);
  }

 private:
  // Takes code points in their order, decomposes and sorts marks if accents are to go, lower-cases and appends. Each
  // first part takes the next original span, whichever code point it is of; the others share the one before.
  class Rewriter {
   public:
    Rewriter(const Options& options, NormalizedText& out, Scratch& scratch)
        : options_(options), out_(out), scratch_(scratch) {
      scratch_.marks.clear();
    }

    void put(std::uint32_t code_point, unicode::Properties its, Span origin) {
      if (!options_.strip_accents) return append(code_point, its, origin);
      if ((its.flags & unicode::kDecomposes) == 0) return put_part(code_point, its, true, origin);
      std::uint32_t hangul[3];
      bool first = true;
      for (const std::uint32_t part : unicode::decompose(code_point, hangul)) {
        put_part(part, unicode::properties(part), first, origin);
        first = false;
      }
    }

    // Appends the marks that wait for their order.
    void finish() {
      auto& marks = scratch_.marks;
      if (marks.empty()) return;
      if (any_stays_) {
        sort_marks();
        auto next = marks.begin();  // the origins of all that are first, in their order
        for (const Mark& mark : scratch_.sorted) {
          if (mark.first) {
            while (!next->first) ++next;
            last_origin_ = next++->origin;
          }
          append_unless_gone(mark.code_point, mark.properties);
        }
      } else {
        last_origin_ = marks.back().origin;
      }
      any_stays_ = false;
      marks.clear();
    }

   private:
    using Mark = Scratch::Mark;

    void put_part(std::uint32_t code_point, unicode::Properties its, bool first, Span origin) {
      if (its.combining == 0) {
        finish();
        if (first) last_origin_ = origin;
        append_unless_gone(code_point, its);
      } else if (const bool stays = (its.flags & unicode::kNonspacing) == 0; stays || first) {
        any_stays_ |= stays;
        scratch_.marks.push_back({code_point, its, first, origin});
      }
    }

    // By their classes, those of one in their order, counted in one pass.
    void sort_marks() {
      const auto& marks = scratch_.marks;
      auto& sorted = scratch_.sorted;
      std::size_t next[257] = {};  // where the next mark of a class goes
      for (const Mark& mark : marks) ++next[mark.properties.combining + 1];
      for (std::size_t i = 1; i < 257; ++i) next[i] += next[i - 1];
      sorted.resize(marks.size());
      for (const Mark& mark : marks) sorted[next[mark.properties.combining]++] = mark;
    }

    void append_unless_gone(std::uint32_t code_point, unicode::Properties its) {
      if ((its.flags & unicode::kNonspacing) == 0) append(code_point, its, last_origin_);
    }

    void append(std::uint32_t code_point, unicode::Properties its, Span origin) {
      if (options_.lowercase && (its.flags & unicode::kLowers) != 0) {
        out_.append(unicode::lower(code_point), origin);
        if (code_point == unicode::kCapitalIWithDot) out_.append(unicode::kDotAbove, origin);
      } else {
        out_.append(code_point, origin);
      }
    }

    const Options& options_;
    NormalizedText& out_;
    Scratch& scratch_;
    Span last_origin_;
    bool any_stays_ = false;  // of the marks that wait: others than nonspacing ones, which all go
  };

  Options options_;
};

BERTHA_NAMESPACE_END
