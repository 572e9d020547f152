// embed and rerank: texts in, their vectors, or how relevant they are to a query.

#include <unistd.h>

#include "answers_json.hpp"
#include "commands.hpp"
#include "line_reader.hpp"
#include "texts.hpp"

namespace program {
namespace {

/// The ranking of a query's texts, or the error of the first one that has one.
Result ranking(std::span<const bertha::Outcome<bertha::Relevance>> outcomes, std::size_t top_k) {
  std::vector<bertha::Relevance> relevances;
  Result result;
  for (const auto& outcome : outcomes) {
    if (!outcome) {
      result.error =
          bertha::Error(outcome.error().code(),
                        bertha::concat({"text ", relevances.size(), " of the query: ", outcome.error().what()}));
      return result;
    }
    relevances.push_back(*outcome);
    result.cut = result.cut || outcome->info.truncated;
  }
  result.json = to_json(bertha::ranked(relevances), top_k);
  return result;
}

/// All lines of standard input.
std::vector<std::string> all_lines() {
  std::vector<std::string> lines;
  LineReader reader(STDIN_FILENO);
  for (std::string line; reader.next(line);) lines.push_back(line);
  return lines;
}

}  // namespace

int embed(const EmbedArguments& arguments, Output& out) {
  const auto model = bertha::Embedder::load(arguments.model, arguments.load);
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<std::string_view> texts;
    for (const Line* line : lines) texts.push_back(line->text);
    return written(model.try_run(texts, arguments.options, call_options(arguments.lines)),
                   [&](std::size_t, const auto& vectors) { return to_json(vectors, arguments.options.tokens); });
  };
  return run_texts({{.second = Second::refused}, run, "with --no-truncation that is an error"}, arguments, out);
}

int rerank(const RerankArguments& arguments, Output& out) {
  const auto model = bertha::Reranker::load(arguments.model, arguments.load);
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
  if (arguments.query)
    lines.push_back({.text = *arguments.query, .texts = arguments.texts.empty() ? all_lines() : arguments.texts});
  const Keys keys = {"query", "texts", Second::list};
  return run_lines({keys, run, "with --no-truncation that is an error"}, arguments.lines, std::move(lines), out);
}

}  // namespace program
