// tokenize and logits: what the pipelines do first, and what the model gives before they decode it.

#include "answers_json.hpp"
#include "commands.hpp"
#include "texts.hpp"

namespace program {
namespace {

using bertha::Encoding;
using bertha::HeadKind;

/// Texts are cut to what the model takes, unless told how far.
bertha::EncodeOptions with_length(bertha::EncodeOptions options, const bertha::ModelConfig& config) {
  if (options.truncation != bertha::Truncation::none && options.max_length == 0) options.max_length = config.max_length;
  return options;
}

/// What the head gave, unrounded, as JSON: a row of logits, or one for each token.
struct LogitsTask {
  using Input = bertha::TextInput;
  using Options = bertha::EncodeOptions;
  using Result = std::string;
  static constexpr std::string_view noun = "text";

  /// As classify has it, for which an empty text_pair is none.
  std::vector<Encoding> encode(const bertha::TextInput& input, const bertha::Stop& stop) const {
    bertha::EncodeOptions encode = options;
    encode.stop = stop;
    const bool is_pair = input.text_pair && !input.text_pair->empty();
    return {is_pair ? tokenizer.encode(input.text, *input.text_pair, encode) : tokenizer.encode(input.text, encode)};
  }
  std::string decode(const bertha::TextInput&, std::span<const Encoding> windows,
                     std::span<const bertha::MatrixView<const float>> logits) const {
    return "{\"logits\":" + list_of_rows(logits[0].data, logits[0].rows, logits[0].cols) +
           (windows[0].truncated ? ",\"truncated\":true}" : "}");
  }

  const bertha::Tokenizer& tokenizer;
  const bertha::EncodeOptions options;
};

template <class H>
int print_logits(const LogitsArguments& arguments, Output& out) {
  const auto model = bertha::Model<H>::load(arguments.model, arguments.load);
  const LogitsTask task = {model.tokenizer(), with_length(arguments.options, model.config())};
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<bertha::TextInput> inputs;
    for (const Line* line : lines) inputs.push_back(text_input(*line));
    std::vector<Result> results;
    for (const auto& outcome :
         bertha::run_task(model, task, std::span<const bertha::TextInput>(inputs), call_options(arguments.lines)))
      results.push_back(outcome ? Result{*outcome, false, {}} : Result{{}, false, outcome.error()});
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
    case HeadKind::masked_lm: return print_logits<bertha::MaskedLm>(arguments, out);
    case HeadKind::embedding: return print_logits<bertha::SentenceEmbedding>(arguments, out);
    case HeadKind::none:
    case HeadKind::custom: break;
  }
  bertha::throw_error(bertha::ErrorCode::unsupported,
                      {arguments.model,
                       ": the file has no head that the program can run; expected one of sequence classification, "
                       "token classification, question answering, masked-lm or embedding"});
}

int tokenize(const TokenizeArguments& arguments, Output& out) {
  bertha::WeightFile file = bertha::WeightFile::open(arguments.model);
  const auto tokenizer = bertha::Tokenizer::load(file);
  const auto options = with_length(arguments.options, file.config());
  if (arguments.windows) tokenizer.encode_windows("", options);  // options that no text could be read with are refused
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
    std::vector<Result> results(lines.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      try {
        results[i].json = describe(*lines[i]);
      } catch (const bertha::Error& error) {
        results[i].error = error;
      }
    }
    return results;
  };
  return run_texts({{}, run, {}}, arguments, out);
}

}  // namespace program
