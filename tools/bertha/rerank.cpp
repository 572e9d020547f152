// rerank: a query and texts in, the texts in the order of how relevant they are out.

#include <unistd.h>

#include <algorithm>
#include <bertha/runtime/sorted_indices.hpp>
#include <bertha/tokenizer/utf8.hpp>

#include "answers_json.hpp"
#include "commands.hpp"
#include "line_reader.hpp"
#include "progress.hpp"
#include "texts.hpp"

namespace program {
namespace {

/// The error of one of a query's texts.
bertha::Error error_of_text(const bertha::Error& error, std::size_t index) {
  return bertha::Error(error.code(), bertha::concat({"text ", index, " of the query: ", error.what()}));
}

/// The ranking of a query's texts, or the error of the first one that has one.
Result ranking(std::span<const bertha::Outcome<bertha::Relevance>> outcomes, std::size_t top_k) {
  std::vector<bertha::Relevance> relevances;
  Result result;
  for (const auto& outcome : outcomes) {
    if (!outcome) {
      result.error = error_of_text(outcome.error(), relevances.size());
      return result;
    }
    relevances.push_back(*outcome);
    result.cut = result.cut || outcome->info.truncated;
  }
  result.json = to_json(bertha::ranked(relevances), top_k);
  return result;
}

/// The best of texts in any number, of which 16 bytes each are kept.
class Best {
 public:
  explicit Best(std::size_t top_k) : top_k_(top_k) {}

  void add(const bertha::Relevance& relevance) {
    kept_.push_back({relevance.logit, relevance.score, n_++});
    if (kept_.size() / 2 < top_k_) return;
    std::nth_element(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(top_k_), kept_.end(), is_better);
    kept_.resize(top_k_);
  }
  std::size_t size() const { return n_; }

  /// The JSON of the ranking, in parts.
  void write(Output& out) {
    std::sort(kept_.begin(), kept_.end(), is_better);
    kept_.resize(std::min(kept_.size(), top_k_));
    std::size_t at = 0;
    out.long_line([&](std::string& part) {
      part.clear();
      for (const std::size_t end = std::min(at + 1024, kept_.size()); at < end; ++at) {
        part += at == 0 ? '[' : ',';
        part += ranked_to_json(kept_[at].index, kept_[at].score);
      }
      if (at == kept_.size()) part += at == 0 ? "[]" : "]";
      return at < kept_.size();
    });
  }

 private:
  struct Kept {
    float logit, score;
    std::size_t index;
  };
  /// The order of bertha::ranked.
  static bool is_better(const Kept& a, const Kept& b) {
    return bertha::ranks_before(static_cast<double>(a.logit), a.index, static_cast<double>(b.logit), b.index);
  }

  std::size_t top_k_, n_ = 0;
  std::vector<Kept> kept_;
};

/// The lines of standard input as the texts of one query.
int rank_lines(const bertha::Reranker& model, const RerankArguments& arguments, Output& out) {
  const LineOptions& options = arguments.lines;
  const auto as_read = [&](const std::string& text) {
    return options.replace_invalid_utf8 ? bertha::replace_invalid_utf8(text) : text;
  };
  const std::string query = as_read(*arguments.query);
  Progress progress(options.quiet);
  Best best(arguments.top_k);
  std::size_t cut = 0;
  LineReader reader(STDIN_FILENO);
  for (bool more = true; more;) {
    std::vector<std::string> texts;
    for (std::string text; texts.size() < options.batch_size && (more = reader.next(text));)
      texts.push_back(as_read(text));
    std::vector<bertha::TextInput> pairs;
    for (const std::string& text : texts) pairs.emplace_back(query, text);
    for (const auto& outcome : model.try_run(pairs, arguments.options, call_options(options))) {
      if (!outcome) {
        out.line(error_line(error_of_text(outcome.error(), best.size()), best.size() + 1));
        return 1;
      }
      cut += outcome->info.truncated;
      best.add(*outcome);
    }
    progress.show(best.size(), 0);
  }
  best.write(out);
  progress.finish();
  say_cut(cut, best.size(), "with --no-truncation that is an error", options);
  return 0;
}

}  // namespace

int rerank(const RerankArguments& arguments, Output& out) {
  const auto model = bertha::Reranker::load(arguments.model, arguments.load);
  if (arguments.query && arguments.texts.empty()) return rank_lines(model, arguments, out);
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<bertha::TextInput> pairs;
    for (const Line* line : lines)
      for (const std::string& text : *line->texts) pairs.emplace_back(line->text, text);
    const auto outcomes = model.try_run(pairs, arguments.options, call_options(arguments.lines));
    std::vector<Result> results;
    std::size_t first = 0;
    for (const Line* line : lines) {
      results.push_back(ranking(std::span(outcomes).subspan(first, line->texts->size()), arguments.top_k));
      first += line->texts->size();
    }
    return results;
  };
  std::vector<Line> lines;
  if (arguments.query) lines.push_back({.text = *arguments.query, .texts = arguments.texts});
  const Keys keys = {"query", "texts", Second::list};
  return run_lines({keys, run, "with --no-truncation that is an error"}, arguments.lines, std::move(lines), out);
}

}  // namespace program
