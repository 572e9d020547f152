// TextClassifier: its options, the ranges that it takes, and what it says of a text that doesn't fit.

#include <algorithm>
#include <array>
#include <bertha/pipelines/text_classifier.hpp>
#include <cfenv>
#include <cmath>
#include <forward_list>
#include <functional>
#include <map>
#include <optional>
#include <ranges>
#include <span>
#include <sstream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "../../support/expect_error.hpp"
#include "../../support/views.hpp"
#include "controlled_model.hpp"

namespace {

using bertha::ErrorCode;
using bertha::FunctionToApply;
using bertha::TextClassifier;
using bertha::TextInput;
using bertha_test::AlignedBytes;
using bertha_test::constant_classifier;
using bertha_test::expect_error;
using bertha_test::Json;
using bertha_test::ModelWriter;

/// A classifier and the bytes that it was loaded from.
struct Loaded {
  explicit Loaded(const ModelWriter& writer) : bytes(writer.bytes()), classify(TextClassifier::load(bytes.span())) {}
  AlignedBytes bytes;
  TextClassifier classify;
};

/// Label and score of all labels, as text.
std::string shown(const bertha::ClassificationResult& result) {
  std::ostringstream text;
  text.precision(9);
  for (const auto& [label, score] : result) text << label << ' ' << score << "; ";
  return text.str();
}
std::string shown(const std::vector<bertha::ClassificationResult>& results) {
  std::string text;
  for (const auto& result : results) text += shown(result) + "\n";
  return text;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST(TextClassifier, AppliesTheFunctionThatWasAskedFor) {
  const Loaded model(constant_classifier({"a", "b", "c"}, {1, 3, -2}));
  const auto run = [&](FunctionToApply function) { return model.classify.run("the", {.function_to_apply = function}); };
  const double sum = std::exp(1.0) + std::exp(3.0) + std::exp(-2.0);
  const auto softmax = run(FunctionToApply::softmax);
  ASSERT_EQ(softmax.size(), 3u);
  EXPECT_EQ(softmax[0].label, "b");
  EXPECT_EQ(softmax[1].label, "a");
  EXPECT_EQ(softmax[2].label, "c");
  EXPECT_NEAR(static_cast<double>(softmax[0].score), std::exp(3.0) / sum, 1e-6);
  EXPECT_NEAR(static_cast<double>(softmax[2].score), std::exp(-2.0) / sum, 1e-6);
  EXPECT_NEAR(static_cast<double>(run(FunctionToApply::sigmoid)[1].score), sigmoid(1), 1e-6);
  EXPECT_EQ(run(FunctionToApply::none)[0].score, 3.0f);
  EXPECT_EQ(run(FunctionToApply::none)[2].score, -2.0f);
  EXPECT_EQ(shown(run(FunctionToApply::automatic)), shown(softmax));
}

TEST(TextClassifier, AppliesWhatTheModelIsFor) {
  const auto score = [](const char* problem, const std::vector<float>& logits) {
    ModelWriter writer = constant_classifier(std::vector<std::string>(logits.size(), "x"), logits);
    for (std::size_t i = 0; i < logits.size(); ++i) writer.config["labels"][i] = "label " + std::to_string(i);
    if (problem != nullptr) writer.config["problem_type"] = problem;
    const Loaded model(writer);
    return static_cast<double>(model.classify("the").score);
  };
  EXPECT_EQ(score("regression", {2.5f}), 2.5);
  EXPECT_NEAR(score(nullptr, {2.5f}), sigmoid(2.5), 1e-6);
  EXPECT_NEAR(score("single_label_classification", {2.5f}), sigmoid(2.5), 1e-6);
  EXPECT_NEAR(score("multi_label_classification", {2.5f, 1.0f}), sigmoid(2.5), 1e-6);
  EXPECT_NEAR(score(nullptr, {2.5f, 1.0f}), sigmoid(1.5), 1e-6);  // the softmax of two
}

TEST(TextClassifier, GivesTheTopKLabelsAndEqualScoresInTheirOrder) {
  const Loaded model(constant_classifier({"a", "b", "c", "d"}, {1, 3, 1, 3}));
  const auto labels = [&](std::optional<std::size_t> top_k) {
    std::string text;
    for (const auto& label : model.classify.run("the", {.top_k = top_k})) text += label.label;
    return text;
  };
  EXPECT_EQ(labels({}), "bdac");
  EXPECT_EQ(labels(1), "b");
  EXPECT_EQ(labels(3), "bda");
  EXPECT_EQ(labels(4), "bdac");
  EXPECT_EQ(labels(std::numeric_limits<std::size_t>::max()), "bdac");
  EXPECT_EQ(model.classify("the").label, "b");
  expect_error(ErrorCode::input, {"top_k", "0"}, [&] { labels(0); });
}

TEST(TextClassifier, PutsNotANumberLast) {
  const Loaded model(constant_classifier({"a", "b", "c"}, {NAN, -1, 2}));
  const auto result = model.classify.run("the", {.function_to_apply = FunctionToApply::none});
  EXPECT_EQ(result[0].label, "c");
  EXPECT_EQ(result[1].label, "b");
  EXPECT_TRUE(std::isnan(result[2].score));
}

/// A model whose scores depend on the text.
ModelWriter tiny() { return ModelWriter::tiny(); }

TEST(TextClassifier, GivesOneTextAndManyTheSame) {
  const Loaded model(tiny());
  const std::vector<std::string> texts = {"the cat", "", "a b c", "the cats sat."};
  std::string expected;
  for (const std::string& text : texts) expected += shown(model.classify.run(text)) + "\n";
  const auto run = [&](auto&& range) { return shown(model.classify.run(range)); };
  EXPECT_EQ(run(texts), expected);
  EXPECT_EQ(shown(model.classify.run(std::vector<std::string>(texts))), expected);
  EXPECT_EQ(run(std::span(texts)), expected);
  EXPECT_EQ(run(std::forward_list<std::string>(texts.begin(), texts.end())), expected);
  EXPECT_EQ(run(std::array<std::string_view, 4>{"the cat", "", "a b c", "the cats sat."}), expected);
  EXPECT_EQ(run(std::initializer_list<std::string_view>{"the cat", "", "a b c", "the cats sat."}), expected);
  EXPECT_EQ(run(std::initializer_list<const char*>{"the cat", "", "a b c", "the cats sat."}), expected);
  EXPECT_EQ(run(std::vector<TextInput>(texts.begin(), texts.end())), expected);
  const char* const literals[] = {"the cat", "", "a b c", "the cats sat."};
  EXPECT_EQ(run(literals), expected);
#if defined(BERTHA_TEST_HAS_VIEWS)
  EXPECT_EQ(run(std::views::transform(texts, [](const std::string& text) { return std::string_view(text); })),
            expected);
  EXPECT_EQ(run(std::views::transform(texts, [](const std::string& text) { return TextInput(text); })), expected);
  EXPECT_EQ(run(std::views::filter(texts, [](const std::string& text) { return text.size() != 1; })), expected);
#endif
  EXPECT_EQ(run(std::vector<std::string>{}), "");
}

TEST(TextClassifier, ReadsPairs) {
  const Loaded model(tiny());
  const auto pair = model.classify.run({"the cat", "sat"});
  EXPECT_NE(shown(pair), shown(model.classify.run("the cat")));
  EXPECT_NE(shown(pair), shown(model.classify.run("the cat sat")));
  EXPECT_NE(shown(pair), shown(model.classify.run({"sat", "the cat"})));
  EXPECT_EQ(pair.info.n_tokens, 6u);
  EXPECT_EQ(pair.info.covered, (bertha::Span{0, 7}));
  const std::vector<TextInput> inputs = {"the cat", {"the cat", "sat"}};
  EXPECT_EQ(shown(model.classify.run(inputs)), shown(model.classify.run("the cat")) + "\n" + shown(pair) + "\n");
  EXPECT_EQ(model.classify(TextInput("the cat", "sat")).score, pair[0].score);
}

TEST(TextClassifier, TellsWhatBecameOfTheText) {
  const Loaded model(tiny());
  const auto result = model.classify("  the cats, zebra \xC3\x9C.");
  EXPECT_EQ(result.info.n_tokens, 2u + 7u);  // the cat ##s [UNK] [UNK] [UNK] .
  EXPECT_EQ(result.info.n_unknown, 3u);
  EXPECT_FALSE(result.info.truncated);
  EXPECT_EQ(result.info.covered, (bertha::Span{2, 21}));
  const auto empty = model.classify("");
  EXPECT_EQ(empty.info.n_tokens, 2u);
  EXPECT_EQ(empty.info.n_unknown, 0u);
  EXPECT_EQ(empty.info.covered, (bertha::Span{0, 0}));
  EXPECT_EQ(model.classify("  \t ").score, empty.score);
}

std::string words(std::size_t n) {
  std::string text;
  for (std::size_t i = 0; i < n; ++i) text += i % 2 == 0 ? "the " : "cat ";
  return text;
}

TEST(TextClassifier, RefusesATextThatIsTooLongWithBothNumbersAndWhatToDo) {
  const Loaded model(tiny());
  EXPECT_EQ(model.classify.max_length(), 24u);
  EXPECT_EQ(model.classify(words(22)).info.n_tokens, 24u);
  expect_error(ErrorCode::input, {"25", "24", "shorten", "truncation"}, [&] { model.classify(words(23)); });
  expect_error(ErrorCode::input, {"25", "24"}, [&] { model.classify({words(11), words(11)}); });
  const std::vector<std::string> texts = {"the", words(40)};
  expect_error(ErrorCode::input, {"42"}, [&] { model.classify.run(texts); });
}

TEST(TextClassifier, RefusesOptionsThatMeanNothing) {
  const Loaded model(tiny());
  expect_error(ErrorCode::input, {"max_length is 10", "truncation"},
               [&] { model.classify.run("the", {.max_length = 10}); });
  expect_error(ErrorCode::input, {"function_to_apply", "4"},
               [&] { model.classify.run("the", {.function_to_apply = static_cast<FunctionToApply>(4)}); });
}

/// A list of texts of which some are bad, each for a reason of its own.
const std::vector<std::string> kSomeBad = {"the cat", "a \xFF", "the", words(40), "", "\xC3"};

TEST(TextClassifier, NamesTheFirstBadTextOfMany) {
  const Loaded model(tiny());
  try {
    model.classify.run(kSomeBad);
    FAIL();
  } catch (const bertha::Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::input);
    EXPECT_EQ(error.item(), std::size_t{1});
    EXPECT_TRUE(std::string_view(error.what()).starts_with("text 2 of 6: byte 2 (0xff) is not UTF-8")) << error.what();
  }
  try {
    model.classify.run(std::vector<TextInput>{{"the", "cat"}, {"the", "a\x80"}});
    FAIL();
  } catch (const bertha::Error& error) {
    EXPECT_EQ(error.item(), std::size_t{1});
    EXPECT_TRUE(std::string_view(error.what()).starts_with("text 2 of 2: text_pair: byte 1 (0x80)")) << error.what();
  }
  expect_error(ErrorCode::input, {"top_k"}, [&] { model.classify.run(kSomeBad, {.top_k = 0}); });
}

TEST(TextClassifier, GivesEveryTextAnOutcomeOfItsOwn) {
  const Loaded model(tiny());
  const auto outcomes = model.classify.try_run(kSomeBad);
  ASSERT_EQ(outcomes.size(), kSomeBad.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const bool bad = i == 1 || i == 3 || i == 5;
    ASSERT_EQ(outcomes[i].has_value(), !bad) << i;
    if (bad) {
      EXPECT_EQ(outcomes[i].error().item(), i);
      EXPECT_EQ(expect_error(ErrorCode::input, {}, [&] { outcomes[i].value(); }), outcomes[i].error().what());
      EXPECT_EQ(expect_error(ErrorCode::input, {}, [&] { model.classify.run(kSomeBad[i]); }),
                outcomes[i].error().what());
    } else {
      EXPECT_EQ(shown(*outcomes[i]), shown(model.classify.run(kSomeBad[i])));
    }
  }
  EXPECT_TRUE(model.classify.try_run(std::vector<std::string>()).empty());
  expect_error(ErrorCode::input, {"top_k"}, [&] { model.classify.try_run(kSomeBad, {.top_k = 0}); });
  std::stop_source source;
  source.request_stop();
  expect_error(ErrorCode::stopped, {},
               [&] { model.classify.try_run(kSomeBad, {}, {.stop_token = source.get_token()}); });
}

/// What a stream says, line by line.
struct Visited {
  void operator()(std::size_t i, bertha::Outcome<bertha::ClassificationResult>&& outcome) {
    text += std::to_string(i) + ' ' + (outcome ? shown(*outcome) : outcome.error().what()) + '\n';
    if (!outcome) {
      EXPECT_EQ(outcome.error().item(), i);
    }
  }
  std::string text;
};

TEST(TextClassifier, TakesAStreamFromRangesAndFunctionsAndKeepsItsOrder) {
  const Loaded model(tiny());
  Visited expected;
  const auto outcomes = model.classify.try_run(kSomeBad);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    auto outcome = outcomes[i];
    expected(i, std::move(outcome));
  }
  Visited of_range, of_function;
  EXPECT_EQ(model.classify.run_stream(kSomeBad, std::ref(of_range)), kSomeBad.size());
  EXPECT_EQ(of_range.text, expected.text);
  std::size_t at = 0;
  const auto next = [&] { return at < kSomeBad.size() ? std::optional<std::string>(kSomeBad[at++]) : std::nullopt; };
  EXPECT_EQ(model.classify.run_stream(next, std::ref(of_function)), kSomeBad.size());
  EXPECT_EQ(of_function.text, expected.text);

  std::istringstream words("the cat sat");  // whose iterator makes strings that the next step overwrites
  Visited of_words, of_none;
  EXPECT_EQ(model.classify.run_stream(std::views::istream<std::string>(words), std::ref(of_words)), 3u);
  EXPECT_EQ(of_words.text, "0 " + shown(model.classify.run("the")) + "\n1 " + shown(model.classify.run("cat")) +
                               "\n2 " + shown(model.classify.run("sat")) + "\n");
  EXPECT_EQ(model.classify.run_stream(std::vector<TextInput>(), std::ref(of_none)), 0u);
  EXPECT_EQ(of_none.text, "");
}

TEST(TextClassifier, HoldsNoMoreOfAStreamThanTextsThatRunTogether) {
  const Loaded model(tiny());
  constexpr std::size_t kTexts = 60'000;
  std::size_t given = 0, visited = 0, held = 0;
  const auto next = [&]() -> std::optional<std::string> {
    held = std::max(held, given - visited);
    if (given == kTexts) return std::nullopt;
    ++given;
    return "the cat";
  };
  const auto visit = [&](std::size_t i, const auto& outcome) {
    EXPECT_TRUE(outcome);
    EXPECT_EQ(i, visited++);
  };
  EXPECT_EQ(model.classify.run_stream(next, visit), kTexts);
  EXPECT_EQ(visited, kTexts);
  EXPECT_LT(held, 20'000u);
}

TEST(TextClassifier, EndsAStreamWithTheErrorOfItsSourceItsVisitorOrItsStop) {
  const Loaded model(tiny());
  const std::vector<std::string> texts(3, "the cat");
  struct Enough {};
  const auto ignore = [](std::size_t, const auto&) {};
  EXPECT_THROW(model.classify.run_stream([]() -> std::optional<std::string> { throw Enough(); }, ignore), Enough);
  EXPECT_THROW(model.classify.run_stream(texts, [](std::size_t, const auto&) { throw Enough(); }), Enough);
  std::stop_source source;
  source.request_stop();
  expect_error(ErrorCode::stopped, {},
               [&] { model.classify.run_stream(texts, ignore, {}, {.stop_token = source.get_token()}); });
  expect_error(ErrorCode::input, {"top_k"}, [&] { model.classify.run_stream(texts, ignore, {.top_k = 0}); });
  EXPECT_EQ(model.classify.run_stream(texts, ignore), 3u);
}

TEST(TextClassifier, StopsBetweenTextsWhenTheDeadlineHasPassed) {
  const Loaded model(tiny());
  const std::vector<std::string> texts(100, "the cat");
  const auto now = std::chrono::steady_clock::now();
  expect_error(ErrorCode::stopped, {"deadline"}, [&] { model.classify.run(texts, {}, {.deadline = now}); });
  EXPECT_NO_THROW(model.classify.run(texts, {}, {.deadline = now + std::chrono::hours(1)}));
}

TEST(TextClassifier, TakesAnEmptyPairForNone) {
  const Loaded model(tiny());
  const auto alone = model.classify.run({"the cat", ""});
  EXPECT_EQ(alone.info.n_tokens, 4u);
  EXPECT_EQ(shown(alone), shown(model.classify.run("the cat")));
}

TEST(TextClassifier, CutsATextWhereTruncationIsAllowed) {
  const Loaded model(tiny());
  const auto cut = model.classify.run(words(40), {.truncation = bertha::Truncation::longest_first});
  EXPECT_EQ(shown(cut), shown(model.classify.run(words(22))));
  EXPECT_EQ(cut.info.n_tokens, 24u);
  EXPECT_TRUE(cut.info.truncated);
  EXPECT_EQ(cut.info.covered, (bertha::Span{0, 22 * 4 - 1}));
  const auto shorter =
      model.classify.run(words(40), {.truncation = bertha::Truncation::longest_first, .max_length = 10});
  EXPECT_EQ(shown(shorter), shown(model.classify.run(words(8))));
  EXPECT_EQ(shorter.info.n_tokens, 10u);
  EXPECT_EQ(model.classify.run(words(40), {.truncation = bertha::Truncation::longest_first, .max_length = 1000})
                .info.n_tokens,
            24u);
  const auto fits = model.classify.run(words(8), {.truncation = bertha::Truncation::longest_first});
  EXPECT_FALSE(fits.info.truncated);
  const auto pair =
      model.classify.run({words(3), words(30)}, {.truncation = bertha::Truncation::longest_first, .max_length = 12});
  EXPECT_EQ(shown(pair), shown(model.classify.run({words(3), words(6)})));
  EXPECT_TRUE(pair.info.truncated);
}

TEST(TextClassifier, ReadsALongTextInWindowsAndReducesTheirScores) {
  const Loaded model(tiny());
  std::string text;
  for (int i = 0; i < 26; ++i)
    text += i % 3 == 0 ? "cat " : "the ";  // 10 tokens of text a window, of which 2 are shared
  const auto run = [&](bertha::Reduce reduce) {
    return model.classify.run(text, {.max_length = 12, .windows = {{.stride = 2, .reduce = reduce}}});
  };
  const auto mean = run(bertha::Reduce::mean);
  ASSERT_EQ(mean.windows.size(), 3u);
  EXPECT_EQ(mean.info.n_tokens, 12u + 12u + 12u);
  EXPECT_FALSE(mean.info.truncated);
  EXPECT_EQ(mean.windows[1].covered, (bertha::Span{32, 71}));
  EXPECT_FALSE(mean.windows[1].covered_pair);
  std::map<std::string, std::vector<float>> said;
  for (const std::size_t first : {0u, 8u, 16u}) {
    const auto alone = model.classify.run(text.substr(4 * first, 40));
    std::string window;
    for (const auto& [label, score] : mean.windows[first / 8].labels) window += label + std::to_string(score);
    std::string expected;
    for (const auto& [label, score] : alone) expected += label + std::to_string(score);
    EXPECT_EQ(window, expected);
    for (const auto& [label, score] : alone) said[label].push_back(score);
  }
  for (const auto& [label, score] : mean)
    EXPECT_NEAR(static_cast<double>(score), static_cast<double>(said[label][0] + said[label][1] + said[label][2]) / 3,
                1e-6)
        << label;
  for (const auto& [label, score] : run(bertha::Reduce::max))
    EXPECT_EQ(score, *std::max_element(said[label].begin(), said[label].end())) << label;
  for (const auto& [label, score] : run(bertha::Reduce::first)) EXPECT_EQ(score, said[label][0]) << label;
  EXPECT_EQ(model.classify.run("the", {.windows = bertha::ClassificationWindows{}}).windows.size(), 1u);
  EXPECT_TRUE(model.classify.run("the").windows.empty());
  EXPECT_EQ(model.classify.run(text, {.top_k = 1, .max_length = 12, .windows = bertha::ClassificationWindows{}})
                .windows[0]
                .labels.size(),
            1u);
}

TEST(TextClassifier, ReadsOneTextOfAPairInWindows) {
  const Loaded model(tiny());
  const auto second =
      model.classify.run({"the cat", words(20)},
                         {.truncation = bertha::Truncation::only_second, .max_length = 12, .windows = {{.stride = 1}}});
  ASSERT_EQ(second.windows.size(), 4u);  // of 7 tokens, each beginning 6 after the one before
  for (const auto& window : second.windows) EXPECT_EQ(window.covered, (bertha::Span{0, 7}));
  EXPECT_EQ(second.windows[1].covered_pair, (bertha::Span{24, 51}));
  const auto refuse = [&](std::size_t stride) {
    expect_error(ErrorCode::input, {"stride is " + std::to_string(stride)}, [&] {
      model.classify.run(
          {"the cat", words(20)},
          {.truncation = bertha::Truncation::only_second, .max_length = 12, .windows = {{.stride = stride}}});
    });
  };
  refuse(7);
  expect_error(ErrorCode::input, {"reduce", "9"},
               [&] { model.classify.run("the", {.windows = {{.reduce = static_cast<bertha::Reduce>(9)}}}); });
}

TEST(TextClassifier, RefusesAStrideThatNoTextCouldBeReadWith) {
  const Loaded model(tiny());  // of 24 tokens
  const auto run = [&](const bertha::TextInput& input, std::size_t stride, std::size_t max_length = 0) {
    model.classify.run(input, {.max_length = max_length, .windows = {{.stride = stride}}});
  };
  expect_error(ErrorCode::input, {"stride is 22", "room for 22"}, [&] { run("the", 22); });
  expect_error(ErrorCode::input, {"stride is 99", "room for 8", "max_length"}, [&] { run("the", 99, 10); });
  expect_error(ErrorCode::input, {"stride is 0", "room for 0"}, [&] { run("the", 0, 2); });
  const std::vector<std::string> texts = {"the", words(40)};  // no input's fault
  EXPECT_THROW(model.classify.try_run(texts, {.windows = {{.stride = 22}}}), bertha::Error);
  EXPECT_NO_THROW(run("the", 21));
  expect_error(ErrorCode::input, {"stride is 21", "room for 21"}, [&] { run({"the", "cat"}, 21); });
  EXPECT_NO_THROW(run({"the", "cat"}, 20));
}

TEST(TextClassifier, RefusesInvalidUtf8WithThePositionOfTheByte) {
  const Loaded model(tiny());
  expect_error(ErrorCode::input, {"UTF-8", "4"}, [&] { model.classify("the \xFF cat"); });
  expect_error(ErrorCode::input, {"UTF-8", "1"}, [&] { model.classify({"the", "a\xC3"}); });
  const std::vector<std::string> texts = {"the", "the cat \x80"};
  expect_error(ErrorCode::input, {"UTF-8", "8"}, [&] { model.classify.run(texts); });
}

TEST(TextClassifier, ComesToTheSameBitsInAnyRoundingMode) {
  const Loaded model(tiny());
  const std::string expected = shown(model.classify.run("the cat sat"));
  for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(mode);
    const auto result = model.classify.run("the cat sat");
    const int after = std::fegetround();
    std::fesetround(FE_TONEAREST);
    EXPECT_EQ(shown(result), expected);
    EXPECT_EQ(after, mode);
  }
}

TEST(TextClassifier, KeepsTheOptionsOfTheCall) {
  const Loaded model(tiny());
  std::stop_source source;
  source.request_stop();
  expect_error(ErrorCode::stopped, {}, [&] { model.classify.run("the", {}, {.stop_token = source.get_token()}); });
  const std::vector<std::string> texts = {"the cat", "", "a b c", "the cats sat."};
  EXPECT_EQ(shown(model.classify.run(texts, {}, {.max_threads = 1, .max_batch_tokens = 1})),
            shown(model.classify.run(texts)));
}

TEST(TextClassifier, TakesThousandsOfTextsOfAllLengthsAndKeepsTheirOrder) {
  const Loaded model(ModelWriter::tiny());
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 10'000; ++i) {
    std::string text;  // from none to as many tokens as the model takes
    for (std::size_t word = 0; word < i * 7 % 23; ++word) text += "ab"[(i + word) % 2];
    for (std::size_t j = 1; j < text.size(); j += 2) text.insert(j, " ");
    texts.push_back(text);
  }
  const auto results = model.classify.run(texts);
  ASSERT_EQ(results.size(), texts.size());
  std::size_t longest = 0, shortest = 100;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    longest = std::max(longest, results[i].info.n_tokens);
    shortest = std::min(shortest, results[i].info.n_tokens);
    if (i % 97 != 0) continue;
    EXPECT_EQ(shown(results[i]), shown(model.classify.run(texts[i]))) << texts[i];
  }
  EXPECT_EQ(shortest, 2u);
  EXPECT_EQ(longest, model.classify.max_length());
}

/// Fails after a while; until then, runs its tasks late, on a thread that it starts for them, or all on the caller's.
class OddExecutor final : public bertha::Executor {
 public:
  explicit OddExecutor(std::size_t good_runs) : left_(good_runs) {}
  std::size_t concurrency() const noexcept override { return 3; }
  void run(std::size_t tasks, bertha::TaskRef task) override {
    if (left_-- == 0) throw std::runtime_error("no threads today");
    if (left_ % 2 == 0) {
      for (std::size_t i = tasks; i-- > 0;) task(i);
    } else {
      std::thread([&] {
        std::this_thread::yield();
        for (std::size_t i = 0; i < tasks; ++i) task(i);
      }).join();
    }
  }

 private:
  std::size_t left_;
};

TEST(TextClassifier, IsSharedByThreadsThatCallStreamStopAndFailAtOnce) {
  const Loaded model(ModelWriter::tiny({.num_hidden_layers = 2, .max_position_embeddings = 80}));
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 40; ++i) {
    texts.emplace_back("the");
    for (std::size_t word = 0; word < i * 7 % 20; ++word) texts.back() += word % 3 == 0 ? " cat" : " sat ab";
  }
  const std::string expected = shown(model.classify.run(texts));
  std::vector<std::string> with_bad = texts;
  with_bad[7] = "\xff";
  std::vector<int> wrong(16);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (std::size_t round = 0; round < 3; ++round) {
        switch ((t + round) % 6) {
          case 0: wrong[t] += shown(model.classify.run(texts, {}, {.max_threads = round % 3})) != expected; break;
          case 1: {
            std::vector<bertha::ClassificationResult> results;
            model.classify.run_stream(texts, [&](std::size_t, auto&& outcome) { results.push_back(*outcome); }, {},
                                      {.max_batch_tokens = 50});
            wrong[t] += shown(results) != expected;
            break;
          }
          case 2: {
            std::stop_source source;
            std::size_t seen = 0;
            try {
              const auto endless = [&] { return std::optional<std::string>(texts[seen % texts.size()]); };
              const auto stop_at_third = [&](std::size_t, auto&&) {
                if (++seen == 3) source.request_stop();
              };
              model.classify.run_stream(endless, stop_at_third, {}, {.stop_token = source.get_token()});
              ++wrong[t];
            } catch (const bertha::Error& error) {
              wrong[t] += error.code() != ErrorCode::stopped;
            }
            break;
          }
          case 3: {
            const auto outcomes = model.classify.try_run(with_bad);
            for (std::size_t i = 0; i < outcomes.size(); ++i) wrong[t] += outcomes[i].has_value() == (i == 7);
            break;
          }
          case 4:
            try {
              model.classify.run(with_bad);
              ++wrong[t];
            } catch (const bertha::Error& error) {
              wrong[t] += error.item() != 7u;
            }
            break;
          default: {
            OddExecutor odd(t + round);
            try {
              wrong[t] += shown(model.classify.run(texts, {}, {.executor = &odd})) != expected;
            } catch (const std::runtime_error&) {
            }
          }
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(wrong.size()));
  EXPECT_EQ(shown(model.classify.run(texts)), expected);
}

TEST(TextClassifier, TakesNoTextsAndAnEmptyOne) {
  const Loaded model(ModelWriter::tiny());
  EXPECT_TRUE(model.classify.run(std::vector<std::string>()).empty());
  const auto empty = model.classify.run("");
  EXPECT_EQ(empty.info.n_tokens, 2u);
  EXPECT_EQ(shown(model.classify.run(std::vector<std::string>{"a", "", "b"})[1]), shown(empty));
}

}  // namespace
