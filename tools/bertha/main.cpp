// The `bertha` program: the pipelines on lines and JSON lines, and tools for model files. See README.md.

#include <CLI/CLI.hpp>
#include <array>
#include <iostream>
#include <map>

#include "commands.hpp"
#include "json_text.hpp"

namespace {

/// Turns one of the names into its value. CLI11's own transformer would show the values in messages, as characters.
template <class Value>
CLI::Validator one_of(const std::map<std::string, Value>& values) {
  std::string names;
  for (const auto& [name, value] : values) names += (names.empty() ? "" : ", ") + name;
  return CLI::Validator(
      [values, names](std::string& input) {
        const auto found = values.find(input);
        if (found == values.end()) return "expected " + names + ", got '" + input + "'";
        input = std::to_string(static_cast<int>(found->second));
        return std::string();
      },
      "{" + names + "}");
}

void add_lines(CLI::App& command, program::LineOptions& lines, bool offsets) {
  command.add_flag("--jsonl", lines.jsonl, "Read a JSON object per line instead of a text per line");
  command.add_option("--batch-size", lines.batch_size, "Lines that go through the model together")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command.add_option("--threads", lines.threads, "Threads at most; 0: as many as this process may use")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  if (offsets)
    command.add_option("--offsets", lines.unit, "What start and end count")
        ->transform(one_of<bertha::OffsetUnit>({{"code_point", bertha::OffsetUnit::code_point},
                                                {"byte", bertha::OffsetUnit::byte},
                                                {"utf16", bertha::OffsetUnit::utf16}}))
        ->default_str("code_point");
  command
      .add_option("--invalid-utf8", lines.replace_invalid_utf8,
                  "error: report the line; replace: read it as Python's errors=\"replace\"")
      ->transform(one_of<bool>({{"error", false}, {"replace", true}}))
      ->default_str("error");
}

CLI::Option* add_model(CLI::App& command, std::string& model) {
  return command.add_option("model", model, "Model file made by tools/convert.py")->required();
}

void add_texts(CLI::App& command, std::vector<std::string>& texts) {
  command.add_option("text", texts, "Texts; without any, standard input is read");
}

/// --batch, --length and --repeat, --threads, --precision and --memory, in this order: what a timed call is.
using CallOptions = std::array<CLI::Option*, 6>;
CallOptions add_call(CLI::App& command, program::BenchArguments& call) {
  auto* batch = command.add_option("--batch", call.batch, "Sequences")->check(CLI::Range(1, 65536));
  auto* length = command.add_option("--length", call.length, "Tokens of each")->check(CLI::Range(1, 65536));
  auto* threads = command.add_option("--threads", call.threads, "Threads at most; 0: as many as this process may use")
                      ->check(CLI::Range(0, 4096));
  auto* precision =
      command.add_option("--precision", call.precision, "What to run in; as the file is stored if not given")
          ->transform(one_of<bertha::PrecisionKind>({{"float32", bertha::PrecisionKind::float32},
                                                     {"float32_strict", bertha::PrecisionKind::float32_strict},
                                                     {"bfloat16", bertha::PrecisionKind::bfloat16},
                                                     {"int8", bertha::PrecisionKind::int8}}));
  auto* memory =
      command.add_option("--memory", call.memory, "fast, or small: nothing beside the file that calls can make")
          ->transform(one_of<bertha::Memory>({{"fast", bertha::Memory::fast}, {"small", bertha::Memory::low}}));
  auto* repeat = command.add_option("--repeat", call.repeat, "Calls that are timed, after two to warm up")
                     ->check(CLI::Range(1, 1'000'000));
  for (CLI::Option* option : {batch, length, threads, repeat}) option->capture_default_str();
  return {batch, length, repeat, threads, precision, memory};
}

/// CLI11 would cut the text "[a, b]" into two and "[MASK]" down to "MASK": a bracket travels behind this.
constexpr char kMark = '\x01';

/// The arguments, last one first as CLI11 wants them.
std::vector<std::string> marked(int argc, char** argv) {
  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) {
    std::string argument = argv[i];
    if (argument.starts_with('[') || argument.starts_with(kMark)) argument.insert(0, 1, kMark);
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

void remove_marks(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; }))
    for (CLI::Option* option : command->get_options())
      option->transform([](const std::string& value) { return value.starts_with(kMark) ? value.substr(1) : value; });
}

/// Texts come from the command line or from standard input, not both: --jsonl is about standard input.
void check_texts(const std::vector<std::string>& texts, const program::LineOptions& lines) {
  if (!texts.empty() && lines.jsonl)
    throw CLI::ValidationError("--jsonl", "reads standard input; it can't go with texts on the command line");
}

int run(int argc, char** argv) {
  CLI::App app("BERT-family encoders on CPUs: one JSON line out for every line in.", "bertha");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::to_string(BERTHA_VERSION_MAJOR) + '.' + std::to_string(BERTHA_VERSION_MINOR) +
                                        '.' + std::to_string(BERTHA_VERSION_PATCH));

  program::ClassifyArguments classify;
  std::string top_k = "1";
  auto* classify_command = app.add_subcommand("classify", "Label texts, or pairs of texts (--jsonl: text, text_pair)");
  add_model(*classify_command, classify.model);
  add_texts(*classify_command, classify.texts);
  classify_command->add_option("--top-k", top_k, "How many labels, or all")
      ->check(CLI::IsMember({"all"}) | CLI::Range(std::size_t{1}, std::size_t{1} << 24))
      ->capture_default_str();
  add_lines(*classify_command, classify.lines, false);

  program::NerArguments ner;
  auto* ner_command = app.add_subcommand("ner", "Find entities (--jsonl: text)");
  add_model(*ner_command, ner.model);
  add_texts(*ner_command, ner.texts);
  ner_command->add_option("--aggregation", ner.aggregation, "none: tokens; simple: neighbours with the same tag")
      ->transform(one_of<bertha::AggregationStrategy>(
          {{"none", bertha::AggregationStrategy::none}, {"simple", bertha::AggregationStrategy::simple}}))
      ->default_str("none");
  add_lines(*ner_command, ner.lines, true);

  program::QaArguments qa;
  auto* qa_command = app.add_subcommand("qa", "Answer a question from a context (--jsonl: question, context)");
  add_model(*qa_command, qa.model);
  auto* question = qa_command->add_option("--question", qa.question, "The question");
  qa_command->add_option("--context", qa.context, "The context; without it every line of standard input is one")
      ->needs(question);
  qa_command->add_option("--top-k", qa.top_k, "How many answers")
      ->check(CLI::Range(std::size_t{1}, std::size_t{10'000}))
      ->capture_default_str();
  add_lines(*qa_command, qa.lines, true);

  program::LogitsArguments logits;
  auto* logits_command =
      app.add_subcommand("logits", "Print what the head gives before any decoding (--jsonl: text, text_pair)");
  add_model(*logits_command, logits.model);
  add_texts(*logits_command, logits.texts);
  add_lines(*logits_command, logits.lines, false);

  program::TokenizeArguments tokenize;
  auto* tokenize_command = app.add_subcommand("tokenize", "Print token ids (--jsonl: text, text_pair)");
  add_model(*tokenize_command, tokenize.model);
  add_texts(*tokenize_command, tokenize.texts);
  tokenize_command->add_flag("--all", tokenize.all, "Print word_ids and special_tokens_mask too");
  tokenize_command->add_option("--truncation", tokenize.options.truncation, "What is cut beyond --max-length")
      ->transform(one_of<bertha::Truncation>({{"longest_first", bertha::Truncation::longest_first},
                                              {"only_first", bertha::Truncation::only_first},
                                              {"only_second", bertha::Truncation::only_second}}));
  tokenize_command->add_option("--max-length", tokenize.options.max_length, "Tokens, special ones included");
  tokenize_command->add_option("--stride", tokenize.options.stride, "Tokens that neighbouring windows share");
  tokenize_command->add_flag("--windows", tokenize.windows, "Print a list of all windows of a text that is too long");
  add_lines(*tokenize_command, tokenize.lines, true);

  program::VerifyArguments verify;
  auto* verify_command = app.add_subcommand("verify", "Check that this machine reproduces what the file recorded");
  add_model(*verify_command, verify.model);
  verify_command->add_flag("--record", verify.record, "Print the bits of the self-test's logits, for tools/convert.py");

  program::BenchArguments inspected;
  bool profiled = false;
  auto* inspect_command = app.add_subcommand("inspect", "Describe a model file and this CPU's kernels");
  add_model(*inspect_command, inspected.model);
  auto* profile = inspect_command->add_flag("--profile", profiled, "Print where the time of a call goes instead");
  for (CLI::Option* option : add_call(*inspect_command, inspected)) option->needs(profile);

  program::BenchArguments bench;
  auto* bench_command =
      app.add_subcommand("bench", "Time the model on random token ids, or (--jsonl: ids) on given ones");
  add_model(*bench_command, bench.model);
  const CallOptions bench_options = add_call(*bench_command, bench);
  auto* jsonl =
      bench_command
          ->add_flag(
              "--jsonl", bench.jsonl,
              "Time one call for every line of standard input, {\"ids\": [[...], ...]}: a list for each sequence")
          ->excludes(bench_options[0], bench_options[1], bench_options[2]);
  bench_command->add_flag("--logits", bench.logits, "Print the logits of each line too, a row per sequence or token")
      ->needs(jsonl);

  remove_marks(app);
  try {
    app.parse(marked(argc, argv));
    check_texts(classify.texts, classify.lines);
    check_texts(ner.texts, ner.lines);
    check_texts(logits.texts, logits.lines);
    check_texts(tokenize.texts, tokenize.lines);
    if (qa.question && qa.lines.jsonl)
      throw CLI::ValidationError("--jsonl", "has the questions on standard input; it can't go with --question");
    if (qa_command->parsed() && !qa.question && !qa.lines.jsonl)
      throw CLI::ValidationError("qa", "needs --question, or --jsonl with questions on standard input");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }

  if (classify_command->parsed()) {
    if (top_k == "all")
      classify.top_k.reset();
    else
      classify.top_k = std::stoul(top_k);
    return program::classify(classify);
  }
  if (ner_command->parsed()) return program::ner(ner);
  if (qa_command->parsed()) return program::qa(qa);
  if (logits_command->parsed()) return program::logits(logits);
  if (tokenize_command->parsed()) return program::tokenize(tokenize);
  if (verify_command->parsed()) return program::verify(verify);
  if (inspect_command->parsed()) return profiled ? program::profile(inspected) : program::inspect(inspected.model);
  return program::bench(bench);
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  try {
    return run(argc, argv);
  } catch (const bertha::Error& error) {
    std::cerr << "bertha: " << error.what() << '\n';
    return error.code() == bertha::ErrorCode::self_test ? 1 : 2;
  } catch (const std::exception& error) {
    std::cerr << "bertha: " << error.what() << '\n';
    return 2;
  }
}
