// classify, ner and qa: texts in, what the pipelines find out, a JSON line for each.

#include "answers_json.hpp"
#include "commands.hpp"
#include "texts.hpp"

namespace program {

int classify(const ClassifyArguments& arguments, Output& out) {
  const auto model = bertha::TextClassifier::load(arguments.model, arguments.load);
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<bertha::TextInput> inputs;
    for (const Line* line : lines)
      inputs.push_back(line->pair ? bertha::TextInput(line->text, *line->pair) : bertha::TextInput(line->text));
    std::vector<Result> results;
    for (const auto& result : model.run(inputs, arguments.options, call_options(arguments.lines)))
      results.push_back({to_json(result), result.info.truncated, {}});
    return results;
  };
  return run_texts({{}, each_or_alone(run), "without --truncation that is an error"}, arguments, out);
}

int ner(const NerArguments& arguments, Output& out) {
  const auto model = bertha::EntityRecognizer::load(arguments.model, arguments.load);
  const bool aggregated = arguments.options.aggregation_strategy != bertha::AggregationStrategy::none;
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<std::string_view> texts;
    for (const Line* line : lines) {
      if (line->pair)
        bertha::throw_error(bertha::ErrorCode::input, {"the line has a text_pair; entities are found in a text alone"});
      texts.push_back(line->text);
    }
    std::vector<Result> results;
    for (const auto& entities : model.run(texts, arguments.options, call_options(arguments.lines)))
      results.push_back(
          {to_json(entities, texts[results.size()], arguments.lines.unit, aggregated), entities.info.truncated, {}});
    return results;
  };
  return run_texts({{}, each_or_alone(run), "the rest has no entities here"}, arguments, out);
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
    std::vector<Result> results;
    for (const auto& answers : model.run(questions, arguments.options, call_options(arguments.lines)))
      results.push_back(
          {to_json(answers, questions[results.size()].context, arguments.lines.unit, arguments.options.top_k),
           answers.info.truncated,
           {}});
    return results;
  };
  std::vector<Line> lines;
  if (arguments.context) lines.push_back({*arguments.question, arguments.context, {}, {}});
  return run_lines({{"question", "context", true}, each_or_alone(run), {}}, arguments.lines, std::move(lines), out);
}

}  // namespace program
