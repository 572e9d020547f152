// BERT's normaliser: cleaning, spaces around CJK ideographs, accents, lower case, with the way back to the original
// bytes.
//
// Equals `tokenizers.normalizers.BertNormalizer` (0.23.3; tokenizers/src/normalizers/bert.rs) in text and alignment.
// Its steps are done here in one pass. The alignment has a rule that shows: decomposition moves marks, but the spans of
// the original code points stay in their order, so a moved mark gets the span of the place that it moved to.

#pragma once

#include <algorithm>
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

  explicit BertNormalizer(Options options) : options_(options) {}

  const Options& options() const { return options_; }

  /// Normalises `text`, whose first byte is byte `base` of the original, into `out`, whose memory is used again.
  void operator()(std::string_view text, std::uint32_t base, NormalizedText& out) const {
    using namespace unicode;
    out.clear();
    Rewriter rewriter(options_, out);
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

 private:
  // Takes code points in their order, decomposes and sorts marks if accents are to go, lower-cases and appends.
  class Rewriter {
   public:
    Rewriter(const Options& options, NormalizedText& out) : options_(options), out_(out) {}

    void put(std::uint32_t code_point, unicode::Properties its, Span origin) {
      if (!options_.strip_accents) return append(code_point, its, origin);
      if (its.combining == 0 && (its.flags & unicode::kDecomposes) == 0) {
        finish();
        last_origin_ = origin;
        return append_unless_mark(code_point, its, origin);
      }
      origins_.push_back(origin);
      std::uint32_t hangul[3];
      if ((its.flags & unicode::kDecomposes) == 0) return put_part(code_point, its, true);
      bool first = true;
      for (const std::uint32_t part : unicode::decompose(code_point, hangul)) {
        put_part(part, unicode::properties(part), first);
        first = false;
      }
    }

    // Appends the marks that wait for their order.
    void finish() {
      if (waiting_.empty()) return;
      if (!std::is_sorted(waiting_.begin(), waiting_.end(), has_lower_class)) sort_marks();
      for (const Part& part : waiting_) write(part);
      waiting_.clear();
    }

   private:
    struct Part {
      std::uint32_t code_point;
      unicode::Properties properties;
      bool first;               // the first of the parts that an original code point decomposes to
      std::uint32_t count = 1;  // more for marks of one class that follow each other and go
    };

    // By their classes, those of one in their order; a run of millions takes no longer for each than one of a few.
    void sort_marks() {
      if (waiting_.size() <= 16) {
        for (auto part = waiting_.begin(); part != waiting_.end(); ++part) {
          std::rotate(std::upper_bound(waiting_.begin(), part, *part, has_lower_class), part, part + 1);
        }
        return;
      }
      std::size_t next[257] = {};  // where the next mark of a class goes
      for (const Part& part : waiting_) ++next[part.properties.combining + 1];
      for (std::size_t i = 1; i < 257; ++i) next[i] += next[i - 1];
      sorted_.resize(waiting_.size());
      for (const Part& part : waiting_) sorted_[next[part.properties.combining]++] = part;
      waiting_.swap(sorted_);
    }

    static bool has_lower_class(const Part& a, const Part& b) {
      return a.properties.combining < b.properties.combining;
    }

    static bool goes(const Part& part) { return part.first && (part.properties.flags & unicode::kNonspacing) != 0; }

    void put_part(std::uint32_t code_point, unicode::Properties its, bool first) {
      if (its.combining != 0) {
        const Part part{code_point, its, first};
        if (!waiting_.empty() && goes(part) && goes(waiting_.back()) &&
            its.combining == waiting_.back().properties.combining) {
          ++waiting_.back().count;
        } else {
          waiting_.push_back(part);
        }
        return;
      }
      finish();
      write({code_point, its, first});
    }

    // Each first part takes the next original span, whichever code point it is of; the others share the one before.
    void write(const Part& part) {
      if (part.first) last_origin_ = origins_[(next_origin_ += part.count) - 1];
      if (next_origin_ == origins_.size()) {
        origins_.clear();
        next_origin_ = 0;
      }
      append_unless_mark(part.code_point, part.properties, last_origin_);
    }

    void append_unless_mark(std::uint32_t code_point, unicode::Properties its, Span origin) {
      if ((its.flags & unicode::kNonspacing) == 0) append(code_point, its, origin);
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
    std::vector<Part> waiting_;  // marks since the last starter
    std::vector<Part> sorted_;   // memory
    std::vector<Span> origins_;  // of code points whose first part is not yet written
    std::size_t next_origin_ = 0;
    Span last_origin_;
  };

  Options options_;
};

BERTHA_NAMESPACE_END
