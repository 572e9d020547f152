// classify, nsp, ner, qa and zero-shot: texts in, what the pipelines find out, a JSON line for each.

#include "answers_json.hpp"
#include "commands.hpp"
#include "texts.hpp"

namespace program {

int classify(const ClassifyArguments& arguments, Output& out) {
  const auto model = bertha::TextClassifier::load(arguments.model, arguments.load);
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<bertha::TextInput> inputs;
    for (const Line* line : lines) inputs.push_back(text_input(*line));
    return written(model.try_run(inputs, arguments.options, call_options(arguments.lines)),
                   [](std::size_t, const auto& labels) { return to_json(labels); });
  };
  return run_texts({{}, run, "without --truncation that is an error"}, arguments, out);
}

int nsp(const NspArguments& arguments, Output& out) {
  const auto model = bertha::TextClassifier::load(arguments.model, arguments.load);
  if (model.labels() != std::vector<std::string>{"IsNext", "NotNext"})
    bertha::throw_error(bertha::ErrorCode::unsupported,
                        {arguments.model,
                         ": the head's labels are not IsNext and NotNext; expected a head of next "
                         "sentence prediction; convert with --head next-sentence-prediction, or run "
                         "classify"});
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<bertha::TextInput> pairs;
    for (const Line* line : lines) pairs.push_back(text_input(*line));
    return written(model.try_run(pairs, arguments.options, call_options(arguments.lines)),
                   [](std::size_t, const auto& labels) { return to_json(labels); });
  };
  std::vector<Line> lines;
  if (arguments.text) lines.push_back({.text = *arguments.text, .pair = arguments.text_pair});
  const Keys keys = {.second = Second::required};
  return run_lines({keys, run, "without --truncation that is an error"}, arguments.lines, std::move(lines), out);
}

int ner(const NerArguments& arguments, Output& out) {
  const auto model = bertha::EntityRecognizer::load(arguments.model, arguments.load);
  const bool aggregated = arguments.options.aggregation_strategy != bertha::AggregationStrategy::none;
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<std::string_view> texts;
    for (const Line* line : lines) texts.push_back(line->text);
    return written(model.try_run(texts, arguments.options, call_options(arguments.lines)),
                   [&](std::size_t i, const auto& entities) {
                     return to_json(entities, texts[i], arguments.lines.unit, aggregated);
                   });
  };
  return run_texts({{.second = Second::refused}, run, "with --no-truncation that is an error"}, arguments, out);
}

int qa(const QaArguments& arguments, Output& out) {
  const auto model = bertha::QuestionAnswerer::load(arguments.model, arguments.load);
  std::string question = arguments.question.value_or("");  // of every line that is a context
  if (arguments.lines.replace_invalid_utf8) question = bertha::replace_invalid_utf8(question);
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<bertha::Question> questions;
    for (const Line* line : lines)
      questions.push_back(line->pair ? bertha::Question{line->text, *line->pair}
                                     : bertha::Question{question, line->text});
    return written(model.try_run(questions, arguments.options, call_options(arguments.lines)),
                   [&](std::size_t i, const auto& answers) {
                     return to_json(answers, questions[i].context, arguments.lines.unit, arguments.options.top_k);
                   });
  };
  std::vector<Line> lines;
  if (arguments.context) lines.push_back({.text = *arguments.question, .pair = arguments.context});
  const Keys keys = {"question", "context", Second::required};
  return run_lines({keys, run, {}}, arguments.lines, std::move(lines), out);
}

int zero_shot(const ZeroShotArguments& arguments, Output& out) {
  const auto model = bertha::ZeroShotClassifier::load(arguments.model, arguments.load);
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<std::string_view> texts;
    for (const Line* line : lines) texts.push_back(line->text);
    auto results = written(model.try_run(texts, arguments.options, call_options(arguments.lines)),
                           [&](std::size_t i, const auto& labels) { return to_json(labels, texts[i]); });
    for (Result& result : results) result.cut = false;  // the JSON says so
    return results;
  };
  return run_texts({{.second = Second::refused}, run, {}}, arguments, out);
}

}  // namespace program
