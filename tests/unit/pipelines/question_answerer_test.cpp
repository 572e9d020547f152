// QuestionAnswerer: its options, windows, and what it says of questions and contexts that don't fit.

#include <array>
#include <bertha/pipelines/question_answerer.hpp>
#include <cfenv>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "../../support/expect_error.hpp"
#include "../../support/views.hpp"
#include "controlled_model.hpp"

namespace {

using bertha::Answer;
using bertha::AnswerOptions;
using bertha::AnswerResult;
using bertha::ErrorCode;
using bertha::Question;
using bertha::QuestionAnswerer;
using bertha_test::AlignedBytes;
using bertha_test::expect_error;
using bertha_test::TinyOptions;
using bertha_test::TokenLogits;

/// A model that answers from a "start" to an "end", or "both"; "half" is a weaker both. [CLS], the impossible answer,
/// has the logits that are given. "##y" continues words.
struct Loaded {
  explicit Loaded(std::vector<float> cls = {-5, -5})
      : bytes(bertha_test::controlled(options(), logits(std::move(cls))).bytes()),
        ask(QuestionAnswerer::load(bytes.span())) {}

  static TinyOptions options() {
    TinyOptions o;
    o.head = "question-answering";
    o.labels = {"start", "end"};
    o.vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "w",   "who", "start",
                    "end",   "both",  "half",  "##y",   ".",      "##b", "tail"};
    return o;
  }
  static TokenLogits logits(std::vector<float> cls) {
    return {{"start", {9, 0}}, {"end", {0, 9}}, {"both", {9, 9}},
            {"half", {7, 7}},  {"##b", {8, 8}}, {"[CLS]", std::move(cls)}};
  }

  AlignedBytes bytes;
  QuestionAnswerer ask;
};

std::string words(std::size_t n) {
  std::string text;
  for (std::size_t i = 0; i < n; ++i) text += "w ";
  return text;
}

/// "text start-end" for each answer.
std::string shown(const AnswerResult& result) {
  std::ostringstream text;
  for (const Answer& answer : result)
    text << (text.tellp() > 0 ? "; " : "") << answer.text << ' ' << answer.start << '-' << answer.end;
  return text.str();
}

TEST(QuestionAnswerer, FindsTheSpanAndItsPlaceInTheContext) {
  const Loaded model;
  const std::string context = "w w start w end w";
  const Answer answer = model.ask("who", context);
  EXPECT_EQ(answer.text, "start w end");
  EXPECT_EQ(answer.start, 4u);
  EXPECT_EQ(answer.end, 15u);
  EXPECT_EQ(context.substr(answer.start, answer.end - answer.start), answer.text);
  const double rest = std::exp(9.0) + 5 + std::exp(-5.0);  // the other five tokens of the context, and [CLS]
  EXPECT_NEAR(static_cast<double>(answer.score), std::exp(18.0) / (rest * rest), 1e-3);
  EXPECT_EQ(answer.info.n_tokens, 10u);
  EXPECT_EQ(answer.info.n_unknown, 0u);
  EXPECT_FALSE(answer.info.truncated);
  EXPECT_EQ(answer.info.covered, (bertha::Span{0, 17}));
}

TEST(QuestionAnswerer, KeepsAnswersAsShortAsAsked) {
  const Loaded model;
  const auto best = [&](std::size_t max_answer_len) {
    return model.ask.run("who", "w start w w end w", {.max_answer_len = max_answer_len})[0].text;
  };
  EXPECT_EQ(best(4), "start w w end");
  EXPECT_NE(best(3), "start w w end");
  EXPECT_EQ(best(std::numeric_limits<std::size_t>::max()), "start w w end");
  expect_error(ErrorCode::input, {"max_answer_len", "0"}, [&] { best(0); });
}

TEST(QuestionAnswerer, GivesTheTopKAnswersBestFirst) {
  const Loaded model;
  EXPECT_EQ(shown(model.ask.run("who", "both w w half", {.top_k = 1, .max_answer_len = 1})), "both 0-4");
  const auto two = model.ask.run("who", "both w w half", {.top_k = 2, .max_answer_len = 1});
  EXPECT_EQ(shown(two), "both 0-4; half 9-13");
  EXPECT_GT(two[0].score, two[1].score);
  const auto all =
      model.ask.run("who", "both w w half", {.top_k = std::numeric_limits<std::size_t>::max(), .max_answer_len = 4});
  EXPECT_GE(all.size(), 10u);  // of the ten spans two are "w", which is one answer; there are more of score 0
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_LE(all[i].score, all[i - 1].score);
  expect_error(ErrorCode::input, {"top_k", "0"}, [&] { model.ask.run("who", "w", {.top_k = 0}); });
}

TEST(QuestionAnswerer, AddsUpAnswersOfTheSameTextButForCase) {
  const Loaded model;
  const auto once = model.ask.run("who", "both w half", {.max_answer_len = 1});
  const auto twice = model.ask.run("who", "both w Both", {.top_k = 2, .max_answer_len = 1});
  EXPECT_EQ(twice[0].text, "both");
  EXPECT_EQ(twice[0].start, 0u);
  // Half of the probability of each end, twice: 1/4 + 1/4.
  EXPECT_NEAR(static_cast<double>(twice[0].score), 0.5, 1e-3);
  EXPECT_NE(twice[1].text, "Both");
  EXPECT_GT(once[0].score, 0.7f);
}

TEST(QuestionAnswerer, AlignsAnswersToWordsUnlessToldNotTo) {
  const Loaded model;
  const std::string context = "w wby w";  // w | w ##b ##y | w, of which ##b is the answer
  const auto aligned = model.ask.run("who", context, {.max_answer_len = 1});
  EXPECT_EQ(shown(aligned), "wby 2-5");
  const auto exact = model.ask.run("who", context, {.max_answer_len = 1, .align_to_words = false});
  EXPECT_EQ(shown(exact), "b 3-4");
}

TEST(QuestionAnswerer, TakesTheEmptyAnswerForACandidateOnlyWhenAsked) {
  const Loaded impossible({9, 9}), possible({-9, -9});
  const std::string context = "w half w";
  EXPECT_EQ(shown(impossible.ask.run("who", context, {.handle_impossible_answer = true})), " 0-0");
  EXPECT_EQ(shown(impossible.ask.run("who", context)), "half 2-6");
  EXPECT_EQ(shown(possible.ask.run("who", context, {.handle_impossible_answer = true})), "half 2-6");
  const auto both = impossible.ask.run("who", context, {.top_k = 2, .handle_impossible_answer = true});
  EXPECT_EQ(shown(both), " 0-0; half 2-6");
  const double null = std::exp(9.0) / (std::exp(9.0) + std::exp(7.0) + 2);
  EXPECT_NEAR(static_cast<double>(both[0].score), null * null, 1e-3);
}

TEST(QuestionAnswerer, TakesPlacesInTheQuestionForPlacesInTheContextAsPythonDoes) {
  const Loaded model({9, 9});  // so that a [CLS] in the question is the answer
  const std::string question = "\u00e9 [CLS]", context = "\u00e9 w w w w w";
  EXPECT_EQ(shown(model.ask.run(question, context, {.align_to_words = false})), "w w w 3-8");
  EXPECT_EQ(shown(model.ask.run(question, "w\u00e9", {.align_to_words = false})), " 3-3");
  EXPECT_EQ(shown(model.ask.run(question, "w", {.align_to_words = true})), " 1-1");
}

TEST(QuestionAnswerer, ReadsALongContextInWindows) {
  const Loaded model;
  const std::string context = words(50) + "start end " + words(50);
  const auto result = model.ask.run("who", context);
  EXPECT_EQ(shown(result), "start end 100-109");
  EXPECT_EQ(result.info.covered, (bertha::Span{0, 50 * 4 + 9}));
  EXPECT_FALSE(result.info.truncated);
  // 24 tokens a window, 4 of them not of the context; the next begins 20 - 12 later: 102 tokens need 12 windows, of
  // which the last has 14.
  EXPECT_EQ(result.info.n_tokens, 11u * 24u + 18u);
  const auto wide = model.ask.run("who", context, {.doc_stride = 0});
  EXPECT_EQ(wide.info.n_tokens, 5u * 24u + 6u);
  const auto narrow = model.ask.run("who", context, {.doc_stride = 1, .max_seq_len = 8});
  EXPECT_EQ(narrow.info.n_tokens, 33u * 8u + 7u);
  EXPECT_EQ(narrow[0].text, "w");  // equal texts add up: all that the other 32 windows have to say is "w"
  EXPECT_GT(narrow[0].score, 1.0f);
}

TEST(QuestionAnswerer, CountsUnknownTokensOfAllWindows) {
  const Loaded model;
  EXPECT_EQ(model.ask("who", "w zebra w").info.n_unknown, 1u);
  EXPECT_EQ(model.ask("zebra", words(30)).info.n_unknown, 3u);  // the question is in all three windows
}

TEST(QuestionAnswerer, RefusesWhatDoesNotFitWithBothNumbers) {
  const Loaded model;
  const auto run = [&](std::string_view question, std::string_view context, const AnswerOptions& options = {}) {
    model.ask.run(question, context, options);
  };
  expect_error(ErrorCode::input, {"question", "empty"}, [&] { run("", "w"); });
  expect_error(ErrorCode::input, {"context", "empty"}, [&] { run("who", ""); });
  expect_error(ErrorCode::input, {"max_seq_len", "25", "24"}, [&] { run("who", "w", {.max_seq_len = 25}); });
  expect_error(ErrorCode::input, {"doc_stride", "11", "max_seq_len", "10"},
               [&] { run("who", "w", {.doc_stride = 11, .max_seq_len = 10}); });
  expect_error(ErrorCode::input, {"doc_stride", "7", "max_seq_len", "10"},
               [&] { run("who", "w", {.doc_stride = 7, .max_seq_len = 10}); });
  // What a question leaves too little room for matters only when there is a second window.
  EXPECT_NO_THROW(run("who", "w", {.doc_stride = 6, .max_seq_len = 10}));
  expect_error(ErrorCode::input, {"doc_stride is 6", "room for 6 tokens", "max_seq_len 10"},
               [&] { run("who", words(30), {.doc_stride = 6, .max_seq_len = 10}); });
  EXPECT_EQ(model.ask.run("who", words(2), {.max_seq_len = 6}).info.n_tokens, 6u);  // unset, it's never too large
  expect_error(ErrorCode::input, {"the question has 30 tokens, which leaves no room for the context in max_seq_len 24"},
               [&] { run(words(30), "both"); });
  expect_error(ErrorCode::input, {"the question has 1 token,", "max_seq_len 3"},
               [&] { run("who", "both", {.max_seq_len = 3}); });
  expect_error(ErrorCode::input, {"max_seq_len is 2", "special tokens", "3"},
               [&] { run("who", "both", {.max_seq_len = 2}); });
  // A question that fills the window leaves room for a context without tokens.
  EXPECT_EQ(model.ask(words(21), " ").text, "");
  expect_error(ErrorCode::input, {"score_rule", "9"},
               [&] { run("who", "w", {.score_rule = static_cast<bertha::ScoreRule>(9)}); });
}

TEST(QuestionAnswerer, RefusesInvalidUtf8WithThePositionOfTheByte) {
  const Loaded model;
  expect_error(ErrorCode::input, {"UTF-8", "3"}, [&] { model.ask("who\xFF", "w"); });
  expect_error(ErrorCode::input, {"UTF-8", "2"}, [&] { model.ask("who", "w \xE2\x82"); });
}

TEST(QuestionAnswerer, CountsBytesOfTheContext) {
  const Loaded model;
  const std::string context = "\xC4\xB0\xF0\x9F\x98\x80 both";
  const Answer answer = model.ask("who", context);
  EXPECT_EQ(answer.text, "both");
  EXPECT_EQ(answer.start, 7u);
  EXPECT_EQ(answer.info.covered, (bertha::Span{0, 11}));
}

TEST(QuestionAnswerer, GivesOneQuestionAndManyTheSame) {
  const Loaded model;
  const std::string longer = words(40) + "start end";
  const std::vector<Question> questions = {{"who", "w both w"}, {"w w", longer}, {"who", "half"}};
  const auto all = [&](auto&& range, bertha::CallOptions call = {}) {
    std::ostringstream text;
    text.precision(9);
    for (const AnswerResult& result : model.ask.run(range, {.top_k = 3}, call)) {
      text << shown(result) << ' ' << result.info.n_tokens;
      for (const Answer& answer : result) text << ' ' << answer.score;
      text << '\n';
    }
    return text.str();
  };
  std::string expected;
  for (const Question& question : questions) expected += all(std::array<Question, 1>{question});
  EXPECT_EQ(all(questions), expected);
  EXPECT_EQ(all(questions, {.max_threads = 1, .max_batch_tokens = 1}), expected);
  EXPECT_EQ(all(std::initializer_list<Question>{questions[0], questions[1], questions[2]}), expected);
#if defined(BERTHA_TEST_HAS_VIEWS)
  EXPECT_EQ(all(std::views::transform(questions, [](const Question& question) { return question; })), expected);
#endif
  EXPECT_EQ(all(std::vector<Question>{}), "");
}

TEST(QuestionAnswerer, ReadsWindowsOf384TokensThatShare128UnlessToldOtherwise) {
  TinyOptions options = Loaded::options();
  options.max_position_embeddings = 600;
  const AlignedBytes bytes(bertha_test::controlled(options, Loaded::logits({-5, -5})).bytes());
  const auto ask = QuestionAnswerer::load(bytes.span());
  const auto n_tokens = [&](std::size_t n, const AnswerOptions& asked = {}) {
    return ask.run("who", words(n), asked).info.n_tokens;
  };
  // 4 tokens of a window are not of the context, and the next begins 380 - 128 later.
  EXPECT_EQ(n_tokens(380), 384u);
  EXPECT_EQ(n_tokens(381), 384u + 4u + 129u);
  EXPECT_EQ(n_tokens(380 + 252), 384u + 384u);
  EXPECT_EQ(n_tokens(381), n_tokens(381, {.doc_stride = 128, .max_seq_len = 384}));
  EXPECT_EQ(n_tokens(596, {.max_seq_len = 600}), 600u);
}

TEST(QuestionAnswerer, TellsWhereTheContextBegins) {
  const Loaded model;
  EXPECT_EQ(model.ask("who", "  w both ").info.covered, (bertha::Span{2, 8}));
  const auto result = model.ask.run("who", "   " + words(40) + "both", {.top_k = 2});
  EXPECT_EQ(result.info.covered, (bertha::Span{3, 87}));
  ASSERT_EQ(result.size(), 2u);
  for (const Answer& answer : result) {
    EXPECT_EQ(answer.info.covered, result.info.covered);
    EXPECT_EQ(answer.info.n_tokens, result.info.n_tokens);
  }
}

TEST(QuestionAnswerer, ComesToTheSameScoresInAnyRoundingMode) {
  const Loaded model;
  const auto scores = [&] {
    std::vector<float> all;
    for (const Answer& answer : model.ask.run("who", words(30) + "half w both w start w end", {.top_k = 20}))
      all.push_back(answer.score);
    return all;
  };
  const auto expected = scores();
  for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(mode);
    const auto found = scores();
    std::fesetround(FE_TONEAREST);
    EXPECT_EQ(found, expected) << mode;
  }
}

TEST(QuestionAnswerer, KeepsTheHighestSingleScoreByTheRuleOfTheBest) {
  const Loaded model;
  const AnswerOptions best = {.max_answer_len = 1, .score_rule = bertha::ScoreRule::best};
  // In the first window "both" competes with "Both"; in the last one it is alone.
  const std::string context = "both Both " + words(60) + "both";
  const auto sum = model.ask.run("who", context, {.max_answer_len = 1}), single = model.ask.run("who", context, best);
  EXPECT_GT(sum[0].score, 1.2f);
  EXPECT_EQ(sum[0].start, 0u);
  EXPECT_LE(single[0].score, 1.0f);
  EXPECT_GT(single[0].score, 0.9f);
  EXPECT_EQ(single[0].start, 130u);
  EXPECT_EQ(single[0].text, "both");
}

TEST(QuestionAnswerer, AddsNothingUpByTheRuleOfTransformers452) {
  const Loaded model;
  const auto twice =
      model.ask.run("who", "both w Both", {.top_k = 3, .max_answer_len = 1, .score_rule = bertha::ScoreRule::hf_4_52});
  EXPECT_EQ(shown(twice), "both 0-4; Both 7-11; w 5-6");
  EXPECT_NEAR(static_cast<double>(twice[0].score), 0.25, 1e-3);
}

TEST(QuestionAnswerer, NamesTheTextOfEveryAnswerInTheContext) {
  const Loaded model;
  for (const auto rule : {bertha::ScoreRule::hf_4_57, bertha::ScoreRule::hf_4_52, bertha::ScoreRule::best})
    for (const bool align : {true, false}) {
      // More than there are spans: pairs of tokens whose end comes before their start are among the candidates too.
      const auto result =
          model.ask.run("who", "both w Both", {.top_k = 50, .align_to_words = align, .score_rule = rule});
      for (const bertha::Answer& answer : result) {
        ASSERT_LE(answer.start, answer.end);
        EXPECT_EQ(std::string("both w Both").substr(answer.start, answer.end - answer.start), answer.text);
      }
    }
}

TEST(QuestionAnswerer, SharesOneProbabilityOutToAllSpansWhenCalibrated) {
  const Loaded model;
  const auto run = [&](std::string_view context, std::size_t top_k = 10'000) {
    return model.ask.run("who", context,
                         {.top_k = top_k, .max_answer_len = 2, .score_rule = bertha::ScoreRule::calibrated});
  };
  const auto sum = [](const AnswerResult& result) {
    double all = 0;
    for (const Answer& answer : result) all += static_cast<double>(answer.score);
    return all;
  };
  EXPECT_NEAR(sum(run("w both w half")), 1, 1e-5);
  // Over windows that share tokens too: spans count once, and a span at the edge of what a window owns is seen whole.
  const std::string context = "both " + words(60) + "both half " + words(30);
  const auto found = run(context);
  EXPECT_NEAR(sum(found), 1, 1e-5);
  EXPECT_EQ(found[0].text, "both");
  // Of one token or two: both twice, both half, half, and with a neighbour of no weight both twice and half once.
  const double whole = 2 * std::exp(18.0) + std::exp(16.0) + std::exp(14.0) + 2 * std::exp(9.0) + std::exp(7.0) + 177;
  EXPECT_NEAR(static_cast<double>(found[0].score), 2 * std::exp(18.0) / whole, 1e-6);
  EXPECT_EQ(run(" ").size(), 0u);
}

TEST(QuestionAnswerer, RanksTheAnswersOfSeveralPassagesTogether) {
  const Loaded model;
  const std::string longer = words(40) + "both w";
  const std::vector<std::string_view> passages = {"w half w", longer, "w w", "Both"};
  const auto run = [&](const AnswerOptions& options) { return model.ask.run({"who", {}, passages}, options); };
  const auto calibrated = run({.top_k = 3, .max_answer_len = 1, .score_rule = bertha::ScoreRule::calibrated});
  ASSERT_EQ(shown(calibrated), "both 80-84; Both 0-4; half 2-6");
  EXPECT_EQ(calibrated[0].passage, 1u);
  EXPECT_EQ(calibrated[1].passage, 3u);
  EXPECT_EQ(calibrated[2].passage, 0u);
  EXPECT_NEAR(static_cast<double>(calibrated[0].score), 0.5, 0.01);
  EXPECT_EQ(calibrated[0].info.covered, (bertha::Span{0, 86}));
  EXPECT_EQ(calibrated[1].info.n_tokens, 5u);
  EXPECT_GT(calibrated.info.n_tokens, calibrated[0].info.n_tokens);
  // By the rules of transformers each passage is by itself: "Both", alone, is as sure as can be.
  const auto apart = run({.top_k = 2, .max_answer_len = 1});
  EXPECT_EQ(apart[0].passage, 3u);
  expect_error(ErrorCode::input, {"passage 1 is empty"}, [&] {
    const std::vector<std::string_view> empty = {"w", ""};
    model.ask.run({"who", {}, empty});
  });
}

TEST(QuestionAnswerer, GivesNoAnswerWhereNoneHasTheScoreThatIsAskedFor) {
  const Loaded model({3, 3});
  const auto run = [&](float threshold, bertha::ScoreRule rule = bertha::ScoreRule::hf_4_57, std::size_t top_k = 1) {
    return shown(
        model.ask.run("who", "w half w",
                      {.top_k = top_k, .max_answer_len = 1, .score_rule = rule, .no_answer_threshold = threshold}));
  };
  EXPECT_EQ(run(0.5f), "half 2-6");
  EXPECT_EQ(run(0.999f), " 0-0");
  EXPECT_EQ(run(0.999f, bertha::ScoreRule::calibrated), "half 2-6");
  EXPECT_EQ(run(1.1f, bertha::ScoreRule::calibrated, 2), " 0-0; half 2-6");
}

TEST(SharedTokens, AreMadeOnceOfATextThatComesAgain) {
  const Loaded model;
  bertha::detail::SharedTokens shared;
  const std::string one = words(5), same = words(5), other = words(6);
  const auto tokens = [&](const std::string& text) { return shared(model.ask.model().tokenizer(), text, {}); };
  const auto first = tokens(one);
  EXPECT_EQ(first->size(), 5u);
  EXPECT_EQ(tokens(same), first);
  EXPECT_NE(tokens(other), first);
  EXPECT_EQ(tokens(one), first);
  std::vector<std::string> many(4);
  for (std::size_t i = 0; i < many.size(); ++i) tokens(many[i] = words(10 + i));
  EXPECT_NE(tokens(one), first);  // forgotten meanwhile, though it is still there for who has it
  EXPECT_EQ(first->size(), 5u);
}

TEST(QuestionAnswerer, NamesTheBadQuestionAndTheBadPartOfIt) {
  const Loaded model;
  const std::string longer = words(30);
  const std::vector<Question> questions = {{"who", "w"}, {"who", "w \xFF"}, {"", "w"}, {"wh\xFF", "w"}, {longer, "w"}};
  EXPECT_TRUE(std::string_view(expect_error(ErrorCode::input, {}, [&] {
                model.ask.run(questions);
              })).starts_with("question 2 of 5: context: byte 2 (0xff)"));
  const auto outcomes = model.ask.try_run(questions);
  const char* const begins[] = {"", "context: byte 2", "the question is empty", "question: byte 2",
                                "the question has 30"};
  EXPECT_TRUE(outcomes[0]);
  for (std::size_t i = 1; i < outcomes.size(); ++i) {
    ASSERT_FALSE(outcomes[i]);
    EXPECT_TRUE(std::string_view(outcomes[i].error().what()).starts_with(begins[i])) << outcomes[i].error().what();
    EXPECT_EQ(outcomes[i].error().item(), i);
  }
}

TEST(QuestionAnswerer, AnswersFromAContextWithoutTokensWithNothing) {
  const Loaded model;
  const Answer answer = model.ask("who", " \t ");
  EXPECT_EQ(answer.text, "");
  EXPECT_EQ(answer.score, 0.0f);
  EXPECT_EQ(answer.info.covered, (bertha::Span{0, 0}));
}

}  // namespace
