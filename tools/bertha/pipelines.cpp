// classify, ner, qa, logits and tokenize: texts in, a JSON line out for each.

#include <iostream>

#include "answers_json.hpp"
#include "commands.hpp"

namespace program {
namespace {

bertha::CallOptions call_options(const LineOptions& lines) {
  bertha::CallOptions call;
  call.max_threads = lines.threads;
  return call;
}

/// The texts of the command line, or, if there are none, the lines of standard input.
int run_texts(const std::vector<std::string>& texts, const LineOptions& options, const Run& run) {
  if (texts.empty()) return run_lines(std::cin, std::cout, options, {}, run);
  std::vector<Line> lines;
  for (const std::string& text : texts) lines.push_back({text, {}, {}});
  return run_lines(std::move(lines), std::cout, options, run);
}

/// What the head gave, unrounded: a row of logits, or one for each token.
template <class H>
int print_logits(const LogitsArguments& arguments) {
  const auto model = bertha::Model<H>::load(arguments.model);
  return run_texts(arguments.texts, arguments.lines, [&](const std::vector<const Line*>& lines) {
    std::vector<bertha::Encoding> encodings;
    for (const Line* line : lines) {
      const auto& tokenizer = model.tokenizer();
      encodings.push_back(line->pair ? tokenizer.encode(line->text, *line->pair) : tokenizer.encode(line->text));
    }
    std::vector<std::string> json(encodings.size());
    model.run_each(encodings, call_options(arguments.lines), [&](std::size_t i, const auto& logits) {
      json[i] = "{\"logits\":" + list_of_rows(logits.data, logits.rows, logits.cols) + '}';
    });
    return json;
  });
}

}  // namespace

int classify(const ClassifyArguments& arguments) {
  const auto model = bertha::TextClassifier::load(arguments.model);
  return run_texts(arguments.texts, arguments.lines, [&](const std::vector<const Line*>& lines) {
    std::vector<bertha::TextInput> inputs;
    for (const Line* line : lines)
      inputs.push_back(line->pair ? bertha::TextInput(line->text, *line->pair) : bertha::TextInput(line->text));
    std::vector<std::string> json;
    for (const auto& result : model.run(inputs, {.top_k = arguments.top_k}, call_options(arguments.lines)))
      json.push_back(to_json(result));
    return json;
  });
}

int ner(const NerArguments& arguments) {
  const auto model = bertha::EntityRecognizer::load(arguments.model);
  const bool aggregated = arguments.aggregation != bertha::AggregationStrategy::none;
  return run_texts(arguments.texts, arguments.lines, [&](const std::vector<const Line*>& lines) {
    std::vector<std::string_view> texts;
    for (const Line* line : lines) {
      if (line->pair)
        throw bertha::Error(bertha::ErrorCode::input, "the line has a text_pair; entities are found in a text alone");
      texts.push_back(line->text);
    }
    const auto results =
        model.run(texts, {.aggregation_strategy = arguments.aggregation}, call_options(arguments.lines));
    std::vector<std::string> json;
    for (std::size_t i = 0; i < results.size(); ++i)
      json.push_back(to_json(results[i], texts[i], arguments.lines.unit, aggregated));
    return json;
  });
}

int qa(const QaArguments& arguments) {
  const auto model = bertha::QuestionAnswerer::load(arguments.model);
  std::string question = arguments.question.value_or("");  // of every line that is a context
  if (arguments.lines.replace_invalid_utf8) question = bertha::replace_invalid_utf8(question);
  const Run run = [&](const std::vector<const Line*>& lines) {
    std::vector<bertha::Question> questions;
    for (const Line* line : lines)
      questions.push_back(line->pair ? bertha::Question{line->text, *line->pair}
                                     : bertha::Question{question, line->text});
    const auto results = model.run(questions, {.top_k = arguments.top_k}, call_options(arguments.lines));
    std::vector<std::string> json;
    for (std::size_t i = 0; i < results.size(); ++i)
      json.push_back(to_json(results[i], questions[i].context, arguments.lines.unit, arguments.top_k));
    return json;
  };
  if (arguments.question && arguments.context)
    return run_lines({{*arguments.question, arguments.context, {}}}, std::cout, arguments.lines, run);
  return run_lines(std::cin, std::cout, arguments.lines, {"question", "context", true}, run);
}

int logits(const LogitsArguments& arguments) {
  const bertha::HeadKind head = bertha::WeightFile::open(arguments.model).config().head;
  switch (head) {
    case bertha::HeadKind::sequence_classification: return print_logits<bertha::SequenceClassification>(arguments);
    case bertha::HeadKind::token_classification: return print_logits<bertha::TokenClassification>(arguments);
    case bertha::HeadKind::question_answering: return print_logits<bertha::QuestionAnswering>(arguments);
    case bertha::HeadKind::none:
    case bertha::HeadKind::custom: break;
  }
  throw bertha::Error(bertha::ErrorCode::unsupported,
                      arguments.model +
                          ": the file has no head that the program can run; expected one of sequence "
                          "classification, token classification or question answering");
}

int tokenize(const TokenizeArguments& arguments) {
  bertha::WeightFile file = bertha::WeightFile::open(arguments.model);
  const auto tokenizer = bertha::Tokenizer::load(file);
  return run_texts(arguments.texts, arguments.lines, [&](const std::vector<const Line*>& lines) {
    std::vector<std::string> json;
    for (const Line* line : lines) {
      const auto described = [&](const bertha::Encoding& encoding) {
        return to_json(encoding, tokenizer, line->text, line->pair.value_or(""), arguments.lines.unit, arguments.all);
      };
      const auto& options = arguments.options;
      if (!arguments.windows) {
        json.push_back(described(line->pair ? tokenizer.encode(line->text, *line->pair, options)
                                            : tokenizer.encode(line->text, options)));
        continue;
      }
      std::string list = "[";
      for (const auto& window : line->pair ? tokenizer.encode_windows(line->text, *line->pair, options)
                                           : tokenizer.encode_windows(line->text, options)) {
        if (list.size() > 1) list += ',';
        list += described(window);
      }
      json.push_back(list += ']');
    }
    return json;
  });
}

}  // namespace program
