// classify, nsp, ner, qa, zero-shot and fill-mask: texts in, what the pipelines find out, a JSON line for each.

#include <cstdio>

#include "answers_json.hpp"
#include "commands.hpp"
#include "texts.hpp"

namespace program {
namespace {

/// The words of a text between which a delimiter stands; one word where it is empty.
bertha::SplitText split_at(const std::string& text, const std::string& delimiter) {
  std::vector<std::string> words;
  std::size_t begin = 0;
  for (std::size_t end; !delimiter.empty() && (end = text.find(delimiter, begin)) != std::string::npos;
       begin = end + delimiter.size())
    words.push_back(text.substr(begin, end - begin));
  words.push_back(text.substr(begin));
  return bertha::SplitText(words, delimiter);
}

/// Says on standard error which targets are no tokens, as transformers does.
void tell_of_targets(const bertha::FillMask& model, const std::vector<std::string>& targets) {
  const auto found = bertha::target_tokens(model.model().tokenizer(), targets);
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i].is_whole) continue;
    const std::string what =
        found[i].id ? "its first token " + quote(model.model().tokenizer().token(*found[i].id)) + " stands for it"
                    : std::string("it is left out");
    std::fputs(("bertha: the target " + quote(targets[i]) + " is no token of the model: " + what + '\n').c_str(),
               stderr);
  }
}

}  // namespace

int classify(const ClassifyArguments& arguments, Output& out) {
  const auto model = bertha::TextClassifier::load(arguments.model, arguments.load);
  bertha::ClassificationOptions options = arguments.options;
  if (options.windows) options.windows->reduce = arguments.reduce;
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<bertha::TextInput> inputs;
    for (const Line* line : lines) inputs.push_back(text_input(*line));
    return written(model.try_run(inputs, options, call_options(arguments.lines)), [&](std::size_t i,
                                                                                      const auto& labels) {
      return arguments.show_windows
                 ? to_json_with_windows(labels, inputs[i].text, inputs[i].text_pair.value_or(""), arguments.lines.unit)
                 : to_json(labels);
    });
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
    std::vector<bertha::SplitText> split;  // keeps the texts that words make
    split.reserve(lines.size());
    std::vector<bertha::EntityInput> inputs;
    for (const Line* line : lines) {
      if (!arguments.is_split_into_words)
        inputs.push_back(line->text);
      else
        inputs.push_back(split.emplace_back(line->texts ? bertha::SplitText(*line->texts, arguments.delimiter)
                                                        : split_at(line->text, arguments.delimiter)));
    }
    return written(model.try_run(inputs, arguments.options, call_options(arguments.lines)),
                   [&](std::size_t i, const auto& entities) {
                     return to_json(entities, inputs[i].text, arguments.lines.unit, aggregated);
                   });
  };
  const Keys keys = {.second = Second::refused, .list = arguments.is_split_into_words ? List::text : List::none};
  return run_texts({keys, run, "with --no-truncation that is an error"}, arguments, out);
}

int qa(const QaArguments& arguments, Output& out) {
  const auto model = bertha::QuestionAnswerer::load(arguments.model, arguments.load);
  std::string question = arguments.question.value_or("");  // of every line that is a context
  if (arguments.lines.replace_invalid_utf8) question = bertha::replace_invalid_utf8(question);
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<std::vector<std::string_view>> passages(lines.size());
    std::vector<bertha::Question> questions;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const Line& line = *lines[i];
      if (line.texts) passages[i].assign(line.texts->begin(), line.texts->end());
      if (line.texts)
        questions.push_back({.question = line.text, .passages = passages[i]});
      else
        questions.push_back(line.pair ? bertha::Question{line.text, *line.pair}
                                      : bertha::Question{question, line.text});
    }
    return written(model.try_run(questions, arguments.options, call_options(arguments.lines)),
                   [&](std::size_t i, const auto& answers) {
                     return to_json(answers, questions[i], arguments.lines.unit, arguments.options.top_k);
                   });
  };
  std::vector<Line> lines;
  if (arguments.contexts.size() == 1)
    lines.push_back({.text = *arguments.question, .pair = arguments.contexts.front()});
  else if (!arguments.contexts.empty())
    lines.push_back({.text = *arguments.question, .texts = arguments.contexts});
  const Keys keys = {"question", "context", Second::required, List::pair};
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

int fill_mask(const FillMaskArguments& arguments, Output& out) {
  const auto model = bertha::FillMask::load(arguments.model, arguments.load);
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<std::string_view> texts;
    for (const Line* line : lines) texts.push_back(line->text);
    return written(model.try_run(texts, arguments.options, call_options(arguments.lines)),
                   [](std::size_t, const auto& filled) { return to_json(filled); });
  };
  if (arguments.options.targets && !arguments.lines.quiet) tell_of_targets(model, *arguments.options.targets);
  return run_texts({{.second = Second::refused}, run, "without --truncation that is an error"}, arguments, out);
}

}  // namespace program
