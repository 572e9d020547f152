#include "command_line.hpp"

#include <array>

#include "arguments.hpp"
#include "commands.hpp"

namespace program {
namespace {

constexpr char kLinesHelp[] =
    "Without texts, standard input is read: a text per line or, with --jsonl, a JSON object per line;\n"
    "blank lines between objects mean nothing. Every line gives one line of JSON in its place, a bad one\n"
    "{\"error\":{\"code\":..,\"message\":..},\"line\":N}, and the exit status is 1 then. If an object has other\n"
    "keys, what comes out is an object too: these keys as they are, and then \"result\". Keys of its own that\n"
    "are called result, truncated, error or line are left out.\n"
    "Texts that begin with a hyphen come last, after --.\n";

void add_lines(CLI::App& command, LineOptions& lines) {
  command.add_flag("--jsonl", lines.jsonl, "Read a JSON object per line instead of a text per line");
  choose<bool>(command.add_option("--invalid-utf8", lines.replace_invalid_utf8,
                                  "error: report the line; replace: read it as Python's errors=\"replace\""),
               {{"error", false}, {"replace", true}})
      ->default_str("error");
  count(command.add_option("--batch-size", lines.batch_size,
                           "Lines that go through the model together, if they are there"),
        1, 1'000'000)
      ->capture_default_str();
  command.add_flag("--quiet", lines.quiet, "No progress and no count of texts that were cut on standard error");
  command.footer(kLinesHelp);
}

CLI::Option* add_threads(CLI::App& command, std::size_t& threads) {
  return count(command.add_option("--threads", threads, "Threads at most; 0: as many as this process may use"), 0, 4096)
      ->capture_default_str();
}

CLI::Option* add_offsets(CLI::App& command, bertha::OffsetUnit& unit) {
  return choose<bertha::OffsetUnit>(command.add_option("--offsets", unit, "What start and end count"),
                                    {{"code_point", bertha::OffsetUnit::code_point},
                                     {"byte", bertha::OffsetUnit::byte},
                                     {"utf16", bertha::OffsetUnit::utf16}})
      ->default_str("code_point");
}

void add_model(CLI::App& command, std::string& model) {
  command.add_option("model", model, "Model file made by tools/convert.py")->required()->type_name("FILE");
}

void add_texts(CLI::App& command, std::vector<std::string>& texts) {
  command.add_option("text", texts, "Texts; without any, standard input is read")->type_name("TEXT");
}

/// How the model's file is loaded.
std::array<CLI::Option*, 2> add_loading(CLI::App& command, bertha::LoadOptions& load) {
  auto* precision = choose<bertha::PrecisionKind>(
      command.add_option("--precision", load.precision, "What to run in; as the file is stored if not given"),
      {{"float32", bertha::PrecisionKind::float32},
       {"float32_strict", bertha::PrecisionKind::float32_strict},
       {"bfloat16", bertha::PrecisionKind::bfloat16},
       {"int8", bertha::PrecisionKind::int8}});
  auto* memory = choose<bertha::Memory>(command.add_option("--memory", load.memory,
                                                           "low: hold nothing beside the file that calls can make"),
                                        {{"fast", bertha::Memory::fast}, {"low", bertha::Memory::low}})
                     ->default_str("fast");
  return {precision, memory};
}

/// How lines go through the model, of commands that run one.
template <class Arguments>
void add_running(CLI::App& command, Arguments& arguments) {
  add_lines(command, arguments.lines);
  add_threads(command, arguments.lines.threads);
  add_loading(command, arguments.load);
}

void add_split_special_tokens(CLI::App& command, bool& split_special_tokens) {
  command.add_flag("--split-special-tokens", split_special_tokens,
                   "Take \"[SEP]\" in a text for text: for texts that are not trusted");
}

/// How texts become tokens, for commands that show tokens or logits.
void add_encoding(CLI::App& command, bertha::EncodeOptions& options) {
  auto* truncation = choose<bertha::Truncation>(
      command.add_option("--truncation", options.truncation, "Which text is cut beyond --max-length"),
      {{"longest_first", bertha::Truncation::longest_first},
       {"only_first", bertha::Truncation::only_first},
       {"only_second", bertha::Truncation::only_second}});
  count(
      command.add_option("--max-length", options.max_length, "Tokens, special ones included; the model's if not given"),
      1)
      ->needs(truncation);
  add_split_special_tokens(command, options.split_special_tokens);
}

void add_classify(CLI::App& app, ClassifyArguments& arguments) {
  auto* command = app.add_subcommand("classify", "Label texts, or pairs of texts (--jsonl: text, text_pair)");
  add_model(*command, arguments.model);
  add_texts(*command, arguments.texts);
  bertha::ClassificationOptions& options = arguments.options;
  const auto set_top_k = [&options](const std::string& k) {
    options.top_k.reset();
    if (k != "all") options.top_k = std::stoul(k);
  };
  command->add_option_function<std::string>("--top-k", set_top_k, "How many labels, or all")
      ->check((CLI::IsMember({"all"}) | CLI::Range(std::size_t{1}, std::size_t{1} << 24)).description(""))
      ->type_name("N")
      ->default_str("1");
  choose<bertha::FunctionToApply>(command->add_option("--function-to-apply", options.function_to_apply,
                                                      "What makes scores of logits; as the model says if not given"),
                                  {{"softmax", bertha::FunctionToApply::softmax},
                                   {"sigmoid", bertha::FunctionToApply::sigmoid},
                                   {"none", bertha::FunctionToApply::none}});
  auto* truncation = command->add_flag_callback(
      "--truncation", [&options] { options.truncation = bertha::Truncation::longest_first; },
      "Cut texts that are too long, of a pair the longer one; else they are errors");
  choose<bertha::Truncation>(
      command->add_option("--truncation-strategy", options.truncation, "Cut this one of a pair, or read it in windows"),
      {{"longest_first", bertha::Truncation::longest_first},
       {"only_first", bertha::Truncation::only_first},
       {"only_second", bertha::Truncation::only_second}})
      ->excludes(truncation);
  count(command->add_option("--max-length", options.max_length,
                            "Tokens that are kept, or of a window; the model's if not given"),
        1);
  const auto set_stride = [&options](std::size_t stride) { options.windows = {{.stride = stride}}; };
  auto* stride =
      count(command->add_option_function<std::size_t>(
                "--stride", set_stride, "Read texts that are too long in windows, which share so many tokens"),
            0);
  stride->excludes(truncation);
  choose<bertha::Reduce>(
      command->add_option("--reduce", arguments.reduce, "Of each label, which score of the windows"),
      {{"mean", bertha::Reduce::mean}, {"max", bertha::Reduce::max}, {"first", bertha::Reduce::first}})
      ->needs(stride)
      ->default_str("mean");
  auto* shown = command->add_flag("--show-windows", arguments.show_windows, "Print what each window says too");
  shown->needs(stride);
  add_split_special_tokens(*command, options.split_special_tokens);
  add_offsets(*command, arguments.lines.unit)->needs(shown);
  add_running(*command, arguments);
}

void add_nsp(CLI::App& app, NspArguments& arguments) {
  auto* command = app.add_subcommand("nsp", "Tell whether one text goes on from another (--jsonl: text, text_pair)");
  add_model(*command, arguments.model);
  auto* text = command->add_option("--text", arguments.text, "The first text; without it pairs come with --jsonl");
  auto* pair = command->add_option("--text-pair", arguments.text_pair, "The text that may go on from it")->needs(text);
  text->needs(pair);
  auto* truncation = command->add_flag_callback(
      "--truncation", [&arguments] { arguments.options.truncation = bertha::Truncation::longest_first; },
      "Cut the longer text of pairs that are too long; else they are errors");
  count(command->add_option("--max-length", arguments.options.max_length,
                            "Tokens that are kept; the model's if not given"),
        1)
      ->needs(truncation);
  add_running(*command, arguments);
}

void add_ner(CLI::App& app, NerArguments& arguments) {
  auto* command = app.add_subcommand("ner", "Find entities (--jsonl: text)");
  add_model(*command, arguments.model);
  add_texts(*command, arguments.texts);
  bertha::EntityOptions& options = arguments.options;
  auto* aggregation =
      choose<bertha::AggregationStrategy>(
          command->add_option("--aggregation,--aggregation-strategy", options.aggregation_strategy,
                              "none: tokens; simple: neighbours with one tag; others: of words with one label"),
          {{"none", bertha::AggregationStrategy::none},
           {"simple", bertha::AggregationStrategy::simple},
           {"first", bertha::AggregationStrategy::first},
           {"average", bertha::AggregationStrategy::average},
           {"max", bertha::AggregationStrategy::max}})
          ->default_str("none");
  choose<bertha::WordGrouping>(
      command->add_option("--word-grouping", options.word_grouping,
                          "What words are: transformers' guess, or those of the tokenizer"),
      {{"hugging_face", bertha::WordGrouping::hugging_face}, {"true_words", bertha::WordGrouping::true_words}})
      ->default_str("hugging_face");
  choose<bertha::LabelScheme>(
      command->add_option("--label-scheme", options.label_scheme, "bioes: labels with E- or L-, S- or U- too"),
      {{"bio", bertha::LabelScheme::bio}, {"bioes", bertha::LabelScheme::bioes}})
      ->default_str("bio");
  choose<bertha::LabelDecoding>(
      command->add_option("--decoding", options.decoding, "Each token's best label, or the best valid sequence"),
      {{"independent", bertha::LabelDecoding::independent}, {"valid", bertha::LabelDecoding::valid}})
      ->default_str("independent");
  count(command->add_option("--top-labels", options.top_k, "Labels to list for each token, without --aggregation"), 1,
        std::size_t{1} << 24);
  command
      ->add_option("--ignore-labels", options.ignore_labels,
                   "A label to leave out, once for each; \"\": leave out none")
      ->type_name("LABEL")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->default_str("O");
  auto* truncation = command->add_flag("--truncation,!--no-truncation", options.truncation,
                                       "Cut texts that are too long, which is the default, or give errors");
  const auto set_stride = [&options](std::size_t stride) {
    options.stride = stride;
    options.truncation = false;
  };
  count(command->add_option_function<std::size_t>(
            "--stride", set_stride, "Read texts that are too long in windows, which share so many tokens"),
        0)
      ->needs(aggregation)
      ->excludes(truncation);
  count(command->add_option("--max-length", options.max_length,
                            "Tokens that are kept, or of a window; the model's if not given"),
        1);
  add_split_special_tokens(*command, options.split_special_tokens);
  auto* split = command->add_flag("--is-split-into-words", arguments.is_split_into_words,
                                  "Texts are words: with --jsonl lists of strings, else what is between delimiters");
  command->add_option("--delimiter", arguments.delimiter, "What stands between words in the text that offsets count in")
      ->needs(split)
      ->capture_default_str();
  add_offsets(*command, arguments.lines.unit);
  add_running(*command, arguments);
}

void add_qa(CLI::App& app, QaArguments& arguments) {
  auto* command =
      app.add_subcommand("qa", "Answer a question from a context, or from several (--jsonl: question, context)");
  add_model(*command, arguments.model);
  auto* question = command->add_option("--question", arguments.question, "The question");
  command
      ->add_option(
          "--context", arguments.contexts,
          "The context, or several, whose answers are ranked together; without it every line of standard input "
          "is one")
      ->type_name("TEXT")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->needs(question);
  bertha::AnswerOptions& options = arguments.options;
  count(command->add_option("--top-k", options.top_k, "How many answers"), 1, 10'000)->capture_default_str();
  count(command->add_option("--max-answer-len", options.max_answer_len, "Tokens of an answer at most"), 1)
      ->capture_default_str();
  count(command->add_option("--max-seq-len", options.max_seq_len,
                            "Tokens of a window, the question's included; the model's, 384 at most, if not given"),
        1);
  count(command->add_option("--doc-stride", options.doc_stride,
                            "Tokens that neighbouring windows share; half a window, 128 at most, if not given"),
        0);
  command->add_flag("--handle-impossible-answer", options.handle_impossible_answer, "\"\" is one of the answers");
  choose<bertha::ScoreRule>(
      command->add_option("--score-rule", options.score_rule,
                          "hf_4_57: equal answers add up, as in transformers; calibrated: contexts compare"),
      {{"hf_4_57", bertha::ScoreRule::hf_4_57},
       {"hf_4_52", bertha::ScoreRule::hf_4_52},
       {"best", bertha::ScoreRule::best},
       {"calibrated", bertha::ScoreRule::calibrated}})
      ->default_str("hf_4_57");
  command->add_flag("--align-to-words,!--no-align-to-words", options.align_to_words,
                    "Answers begin and end with whole words, as they do by default, or with tokens");
  command
      ->add_option("--no-answer-threshold", options.no_answer_threshold,
                   "\"\" comes first where the best answer's score is less")
      ->type_name("SCORE");
  add_split_special_tokens(*command, options.split_special_tokens);
  add_offsets(*command, arguments.lines.unit);
  add_running(*command, arguments);
}

/// How far texts are cut that are too long.
template <class Options>
void add_cutting(CLI::App& command, Options& options) {
  command.add_flag("--truncation,!--no-truncation", options.truncation,
                   "Cut texts that are too long, which is the default, or give errors");
  count(command.add_option("--max-length", options.max_length, "Tokens that are kept; the model's if not given"), 1);
}

void add_embed(CLI::App& app, EmbedArguments& arguments) {
  auto* command = app.add_subcommand("embed", "Make vectors of texts (--jsonl: text)");
  add_model(*command, arguments.model);
  add_texts(*command, arguments.texts);
  bertha::EmbeddingOptions& options = arguments.options;
  auto* name = command->add_option("--prompt", options.prompt_name, "The model's prompt of that name before each text")
                   ->type_name("NAME");
  command->add_option("--prompt-text", options.prompt, "This prompt before each text; \"\": none")->excludes(name);
  count(command->add_option("--dimensions", options.dimensions, "Cut vectors to so many, before they are normalised"),
        1);
  choose<bertha::PoolingMode>(
      command->add_option("--pooling", options.pooling, "What becomes of the tokens; as the model says if not given"),
      {{"first", bertha::PoolingMode::first},
       {"mean", bertha::PoolingMode::mean},
       {"max", bertha::PoolingMode::max},
       {"last", bertha::PoolingMode::last},
       {"mean_sqrt_len", bertha::PoolingMode::mean_sqrt_len},
       {"weighted_mean", bertha::PoolingMode::weighted_mean}});
  command->add_flag_function(
      "--normalize,!--no-normalize", [&options](std::int64_t count) { options.normalize = count > 0; },
      "Make vectors 1 long, or don't; as the model says if not given");
  command->add_flag("--tokens", options.tokens, "Print a list of vectors, one for each token");
  add_cutting(*command, options);
  add_running(*command, arguments);
}

void add_rerank(CLI::App& app, RerankArguments& arguments) {
  auto* command = app.add_subcommand("rerank", "Order texts by their relevance to a query (--jsonl: query, texts)");
  add_model(*command, arguments.model);
  command->add_option("text", arguments.texts, "Texts; without any, the lines of standard input")->type_name("TEXT");
  command->add_option("--query", arguments.query, "The query that all of the texts are for");
  count(command->add_option("--top-k", arguments.top_k, "How many of the best; all if not given"), 1);
  choose<bertha::ScoreFunction>(command->add_option("--score", arguments.options.score,
                                                    "The logit, or its sigmoid; as the model says if not given"),
                                {{"logit", bertha::ScoreFunction::none}, {"sigmoid", bertha::ScoreFunction::sigmoid}});
  add_cutting(*command, arguments.options);
  add_running(*command, arguments);
}

void add_zero_shot(CLI::App& app, ZeroShotArguments& arguments) {
  auto* command =
      app.add_subcommand("zero-shot", "Score labels that you name, by a model of inference (--jsonl: text)");
  add_model(*command, arguments.model);
  add_texts(*command, arguments.texts);
  bertha::ZeroShotOptions& options = arguments.options;
  const auto set_labels = [&options](const std::string& labels) { options.candidate_labels = split_list(labels); };
  command->add_option_function<std::string>("--labels,--candidate-labels", set_labels, "The labels, between commas")
      ->required()
      ->type_name("A,B,..");
  command->add_flag("--multi-label", options.multi_label, "Score each label alone; else scores are shares of 1");
  command
      ->add_option("--hypothesis-template", options.hypothesis_template,
                   "What a label says of a text; {} stands for the label")
      ->type_name("T")
      ->capture_default_str();
  command
      ->add_option("--entailment-label", options.entailment_label,
                   "The model's label for \"follows\", where none begins with \"entail\"")
      ->type_name("LABEL");
  add_running(*command, arguments);
}

void add_fill_mask(CLI::App& app, FillMaskArguments& arguments) {
  auto* command = app.add_subcommand("fill-mask", "Find the tokens that may stand at masks (--jsonl: text)");
  add_model(*command, arguments.model);
  add_texts(*command, arguments.texts);
  bertha::FillMaskOptions& options = arguments.options;
  count(command->add_option("--top-k", options.top_k, "How many tokens for each mask"), 1, std::size_t{1} << 24)
      ->capture_default_str();
  const auto set_targets = [&options](const std::string& targets) { options.targets = split_list(targets); };
  command
      ->add_option_function<std::string>("--targets", set_targets,
                                         "The only tokens to look at, between commas; of other texts their first one")
      ->type_name("A,B,..");
  auto* truncation = command->add_flag("--truncation", options.truncation, "Cut texts that are too long");
  count(command->add_option("--max-length", options.max_length, "Tokens that are kept; the model's if not given"), 1)
      ->needs(truncation);
  add_running(*command, arguments);
}

void add_logits(CLI::App& app, LogitsArguments& arguments) {
  auto* command = app.add_subcommand("logits", "Print what the head gives before decoding (--jsonl: text, text_pair)");
  add_model(*command, arguments.model);
  add_texts(*command, arguments.texts);
  add_encoding(*command, arguments.options);
  add_running(*command, arguments);
}

void add_tokenize(CLI::App& app, TokenizeArguments& arguments) {
  auto* command = app.add_subcommand("tokenize", "Print token ids (--jsonl: text, text_pair)");
  add_model(*command, arguments.model);
  add_texts(*command, arguments.texts);
  command->add_flag("--all", arguments.all, "Print word_ids and special_tokens_mask too");
  add_encoding(*command, arguments.options);
  auto* windows = command->add_flag("--windows", arguments.windows, "Print a list of all windows instead of cutting")
                      ->needs("--truncation");
  count(command->add_option("--stride", arguments.options.stride, "Tokens that neighbouring windows share"), 0)
      ->needs(windows);
  add_offsets(*command, arguments.lines.unit);
  add_lines(*command, arguments.lines);
}

void add_verify(CLI::App& app, VerifyArguments& arguments) {
  auto* command = app.add_subcommand("verify", "Check that this machine reproduces what the file recorded");
  add_model(*command, arguments.model);
  command->add_flag("--record", arguments.record, "Print the bits of the self-test's logits, for tools/convert.py");
}

void add_quantize(CLI::App& app, QuantizeArguments& arguments) {
  auto* command = app.add_subcommand("quantize", "Make an int8 file of a float32 file");
  add_model(*command, arguments.model);
  command->add_option("out", arguments.out, "The int8 file to write")->required()->type_name("OUT");
  command
      ->add_option("--calibration", arguments.calibration,
                   "Texts to calibrate and compare on, one per line, in place of those that are built in")
      ->type_name("TEXTS");
  command->add_flag("--plain", arguments.plain, "Calibrate nothing: what tools/convert.py --precision int8 writes");
  command->add_flag("--json", arguments.json, "Print the report for machines, as one line of JSON");
  add_threads(*command, arguments.threads);
}

/// What a timed call is: --batch, --length, --repeat.
std::array<CLI::Option*, 3> add_call(CLI::App& command, BenchArguments& call) {
  const std::array<CLI::Option*, 3> options = {
      count(command.add_option("--batch", call.batch, "Sequences"), 1, 65536),
      count(command.add_option("--length", call.length, "Tokens of each"), 1, 65536),
      count(command.add_option("--repeat", call.repeat, "Calls that are timed, after two to warm up"), 1, 1'000'000)};
  for (CLI::Option* option : options) option->capture_default_str();
  return options;
}

void add_inspect(CLI::App& app, BenchArguments& arguments, bool& profiled) {
  auto* command = app.add_subcommand("inspect", "Describe a model file and this CPU's kernels");
  add_model(*command, arguments.model);
  command->add_flag("--json", arguments.json, "Print the same for machines, as one line of JSON");
  auto* profile = command->add_flag("--profile", profiled, "Print where the time of a call goes instead");
  for (CLI::Option* option : add_call(*command, arguments)) option->needs(profile);
  add_threads(*command, arguments.threads)->needs(profile);
  for (CLI::Option* option : add_loading(*command, arguments.load)) option->needs(profile);
}

void add_bench(CLI::App& app, BenchArguments& arguments) {
  auto* command = app.add_subcommand("bench", "Time the model on random token ids, or (--jsonl: ids) on given ones");
  add_model(*command, arguments.model);
  const auto call = add_call(*command, arguments);
  auto* jsonl = command->add_flag("--jsonl", arguments.jsonl,
                                  "Time one call for every line of standard input, {\"ids\": [[...], ...]}: a list for "
                                  "each sequence");
  for (CLI::Option* option : call) jsonl->excludes(option);
  command->add_flag("--logits", arguments.logits, "Print the logits of each line too, a row per sequence or token")
      ->needs(jsonl);
  add_threads(*command, arguments.threads);
  add_loading(*command, arguments.load);
}

/// Texts come from the command line or from standard input, not both: --jsonl is about standard input.
void check_texts(const TextArguments& arguments) {
  if (!arguments.texts.empty() && arguments.lines.jsonl)
    throw CLI::ValidationError("--jsonl", "reads standard input; it can't go with texts on the command line");
}

void check_pairs(const NspArguments& arguments) {
  if (arguments.text && arguments.lines.jsonl)
    throw CLI::ValidationError("--jsonl", "has the pairs on standard input; it can't go with --text");
  if (!arguments.text && !arguments.lines.jsonl)
    throw CLI::ValidationError("nsp", "needs --text and --text-pair, or --jsonl with pairs on standard input");
}

void check_length(const ClassifyArguments& arguments) {
  const auto& options = arguments.options;
  if (options.max_length != 0 && options.truncation == bertha::Truncation::none && !options.windows)
    throw CLI::RequiresError("--max-length", "--truncation, --truncation-strategy or --stride");
}

void check_questions(const QaArguments& arguments) {
  if (arguments.question && arguments.lines.jsonl)
    throw CLI::ValidationError("--jsonl", "has the questions on standard input; it can't go with --question");
  if (!arguments.question && !arguments.lines.jsonl)
    throw CLI::ValidationError("qa", "needs --question, or --jsonl with questions on standard input");
}

void check_query(const RerankArguments& arguments) {
  if (arguments.query && arguments.lines.jsonl)
    throw CLI::ValidationError("--jsonl", "has the queries on standard input; it can't go with --query");
  if (!arguments.query && !arguments.lines.jsonl)
    throw CLI::ValidationError("rerank", "needs --query, or --jsonl with queries on standard input");
}

}  // namespace

int run_command_line(int argc, char** argv, Output& out) {
  CLI::App app("BERT-family encoders on CPUs: one JSON line out for every line in.", "bertha");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::to_string(BERTHA_VERSION_MAJOR) + '.' + std::to_string(BERTHA_VERSION_MINOR) +
                                        '.' + std::to_string(BERTHA_VERSION_PATCH));
  ClassifyArguments to_classify;
  NspArguments to_follow;
  NerArguments to_find;
  QaArguments to_answer;
  EmbedArguments to_embed;
  RerankArguments to_rerank;
  ZeroShotArguments to_score;
  FillMaskArguments to_fill;
  LogitsArguments to_run;
  TokenizeArguments to_tokenize;
  VerifyArguments to_verify;
  QuantizeArguments to_quantize;
  BenchArguments to_inspect, to_time;
  bool profiled = false;
  add_classify(app, to_classify);
  add_nsp(app, to_follow);
  add_ner(app, to_find);
  add_qa(app, to_answer);
  add_embed(app, to_embed);
  add_rerank(app, to_rerank);
  add_zero_shot(app, to_score);
  add_fill_mask(app, to_fill);
  add_logits(app, to_run);
  add_tokenize(app, to_tokenize);
  add_verify(app, to_verify);
  add_quantize(app, to_quantize);
  add_inspect(app, to_inspect, profiled);
  add_bench(app, to_time);
  remove_marks(app);

  try {
    app.parse(protect(app, argc, argv));
    for (const TextArguments* texts :
         {static_cast<const TextArguments*>(&to_classify), static_cast<const TextArguments*>(&to_find),
          static_cast<const TextArguments*>(&to_embed), static_cast<const TextArguments*>(&to_rerank),
          static_cast<const TextArguments*>(&to_score), static_cast<const TextArguments*>(&to_fill),
          static_cast<const TextArguments*>(&to_run), static_cast<const TextArguments*>(&to_tokenize)})
      check_texts(*texts);
    check_length(to_classify);
    if (app.got_subcommand("qa")) check_questions(to_answer);
    if (app.got_subcommand("nsp")) check_pairs(to_follow);
    if (app.got_subcommand("rerank")) check_query(to_rerank);
  } catch (const CLI::CallForHelp&) {
    out.text(app.help());
    return 0;
  } catch (const CLI::CallForVersion& version) {
    out.line(version.what());
    return 0;
  } catch (const CLI::ParseError& error) {
    std::fputs(("bertha: " + usage_error(error) + '\n').c_str(), stderr);
    return 2;
  }

  const std::string command = app.get_subcommands().front()->get_name();
  if (command == "classify") return classify(to_classify, out);
  if (command == "nsp") return nsp(to_follow, out);
  if (command == "ner") return ner(to_find, out);
  if (command == "qa") return qa(to_answer, out);
  if (command == "embed") return embed(to_embed, out);
  if (command == "rerank") return rerank(to_rerank, out);
  if (command == "zero-shot") return zero_shot(to_score, out);
  if (command == "fill-mask") return fill_mask(to_fill, out);
  if (command == "logits") return logits(to_run, out);
  if (command == "tokenize") return tokenize(to_tokenize, out);
  if (command == "verify") return verify(to_verify, out);
  if (command == "quantize") return quantize(to_quantize, out);
  if (command == "bench") return bench(to_time, out);
  return profiled ? profile(to_inspect, out) : inspect(to_inspect.model, to_inspect.json, out);
}

}  // namespace program
