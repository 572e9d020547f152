// tokenize and logits: what the pipelines do first, and what the model gives before they decode it.

#include "answers_json.hpp"
#include "commands.hpp"
#include "texts.hpp"

namespace program {
namespace {

using bertha::Encoding;
using bertha::Error;
using bertha::ErrorCode;
using bertha::HeadKind;

/// Texts are cut to what the model takes, unless told how far.
bertha::EncodeOptions with_length(bertha::EncodeOptions options, const bertha::ModelConfig& config) {
  if (options.truncation != bertha::Truncation::none && options.max_length == 0) options.max_length = config.max_length;
  return options;
}

/// f(i) gives the JSON of line i; what it throws is the line's result.
template <class F>
std::vector<Result> each(std::size_t lines, const F& f) {
  std::vector<Result> results(lines);
  for (std::size_t i = 0; i < lines; ++i) {
    try {
      results[i].json = f(i);
    } catch (const Error& error) {
      results[i].error = error;
    }
  }
  return results;
}

/// What the head gave, unrounded: a row of logits, or one for each token.
template <class H>
int print_logits(const LogitsArguments& arguments, Output& out) {
  const auto model = bertha::Model<H>::load(arguments.model, arguments.load);
  const auto options = with_length(arguments.options, model.config());
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<Encoding> encodings;
    std::vector<std::size_t> owners;  // the lines of the encodings
    std::vector<Result> results = each(lines.size(), [&](std::size_t i) {
      const Line& line = *lines[i];
      const auto& tokenizer = model.tokenizer();
      Encoding encoding =
          line.pair ? tokenizer.encode(line.text, *line.pair, options) : tokenizer.encode(line.text, options);
      if (encoding.size() > model.max_length())
        bertha::throw_error(ErrorCode::input, {"the text has ", encoding.size(),
                                               " tokens, special tokens included; the model takes at most ",
                                               model.max_length(), "; shorten it or allow truncation"});
      owners.push_back(i);
      encodings.push_back(std::move(encoding));
      return std::string();
    });
    model.run_each(encodings, call_options(arguments.lines), [&](std::size_t i, const auto& logits) {
      results[owners[i]].json = "{\"logits\":" + list_of_rows(logits.data, logits.rows, logits.cols) +
                                (encodings[i].truncated ? ",\"truncated\":true}" : "}");
    });
    return results;
  };
  return run_texts({{}, run, {}}, arguments, out);
}

}  // namespace

int logits(const LogitsArguments& arguments, Output& out) {
  switch (bertha::WeightFile::open(arguments.model).config().head) {
    case HeadKind::sequence_classification: return print_logits<bertha::SequenceClassification>(arguments, out);
    case HeadKind::token_classification: return print_logits<bertha::TokenClassification>(arguments, out);
    case HeadKind::question_answering: return print_logits<bertha::QuestionAnswering>(arguments, out);
    case HeadKind::none:
    case HeadKind::custom: break;
  }
  bertha::throw_error(ErrorCode::unsupported,
                      {arguments.model,
                       ": the file has no head that the program can run; expected one of sequence classification, "
                       "token classification or question answering"});
}

int tokenize(const TokenizeArguments& arguments, Output& out) {
  bertha::WeightFile file = bertha::WeightFile::open(arguments.model);
  const auto tokenizer = bertha::Tokenizer::load(file);
  const auto options = with_length(arguments.options, file.config());
  const auto describe = [&](const Line& line) {
    const auto described = [&](const Encoding& encoding) {
      return to_json(encoding, tokenizer, line.text, line.pair.value_or(""), arguments.lines.unit, arguments.all);
    };
    if (arguments.windows)
      return list(line.pair ? tokenizer.encode_windows(line.text, *line.pair, options)
                            : tokenizer.encode_windows(line.text, options),
                  described);
    return described(line.pair ? tokenizer.encode(line.text, *line.pair, options)
                               : tokenizer.encode(line.text, options));
  };
  const auto run = [&](const std::vector<const Line*>& lines) {
    return each(lines.size(), [&](std::size_t i) { return describe(*lines[i]); });
  };
  return run_texts({{}, run, {}}, arguments, out);
}

}  // namespace program
