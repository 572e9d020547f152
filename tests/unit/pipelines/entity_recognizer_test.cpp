// EntityRecognizer: labels that a test chooses, how they are grouped and left out, and what it takes.

#include <algorithm>
#include <array>
#include <bertha/pipelines/entity_recognizer.hpp>
#include <cfenv>
#include <cmath>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "../../support/expect_error.hpp"
#include "../../support/mapped_zeros.hpp"
#include "../../support/views.hpp"
#include "controlled_model.hpp"

namespace {

using bertha::AggregationStrategy;
using bertha::Entities;
using bertha::EntityOptions;
using bertha::EntityRecognizer;
using bertha::ErrorCode;
using bertha_test::AlignedBytes;
using bertha_test::expect_error;
using bertha_test::TinyOptions;
using bertha_test::TokenLogits;

constexpr auto kSimple = AggregationStrategy::simple;

/// A recogniser whose tokens have the labels of their names: "o", "bper" (B-PER), "iper", ...; "##x" is I-PER.
struct Loaded {
  Loaded() : bytes(bertha_test::controlled(options(), logits()).bytes()), find(EntityRecognizer::load(bytes.span())) {}

  static TinyOptions options() {
    TinyOptions o;
    o.head = "token-classification";
    o.labels = {"O", "B-PER", "I-PER", "B-LOC", "I-LOC", "LOC", "E-PER"};
    o.vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "o",    "bper", "iper",
                    "bloc",  "iloc",  "loc",   "eper",  "##x",    "weak", ","};
    return o;
  }
  static TokenLogits logits() {
    const auto only = [](std::size_t label, float logit) {
      std::vector<float> all(7, 0.0f);
      all[label] = logit;
      return all;
    };
    return {{"o", only(0, 9)},    {",", only(0, 9)},    {"bper", only(1, 6)}, {"iper", only(2, 6)},
            {"bloc", only(3, 6)}, {"iloc", only(4, 6)}, {"loc", only(5, 6)},  {"eper", only(6, 6)},
            {"##x", only(2, 4)},  {"weak", only(2, 1)}, {"[UNK]", only(3, 5)}};
  }

  AlignedBytes bytes;
  EntityRecognizer find;
};

/// The probability of a label whose logit is `logit` when the six others are 0.
double probability(double logit) { return std::exp(logit) / (std::exp(logit) + 6); }

/// "LABEL word start-end" for each entity.
std::string shown(const Entities& entities) {
  std::ostringstream text;
  for (const auto& entity : entities)
    text << (text.tellp() > 0 ? "; " : "") << entity.label << ' ' << entity.word << ' ' << entity.start << '-'
         << entity.end;
  return text.str();
}

TEST(EntityRecognizer, GivesEveryTokenItsLabelScoreAndPlace) {
  const Loaded model;
  const Entities found = model.find("o bper o iperx");
  EXPECT_EQ(shown(found), "B-PER bper 2-6; I-PER iper 9-13; I-PER ##x 13-14");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].index, 2u);
  EXPECT_EQ(found[1].index, 4u);
  EXPECT_EQ(found[2].index, 5u);
  EXPECT_NEAR(static_cast<double>(found[0].score), probability(6), 1e-5);
  EXPECT_NEAR(static_cast<double>(found[2].score), probability(4), 1e-5);
  EXPECT_EQ(found.info.n_tokens, 7u);
  EXPECT_EQ(found.info.covered, (bertha::Span{0, 14}));
}

TEST(EntityRecognizer, LeavesOutTheLabelsThatAreIgnored) {
  const Loaded model;
  const auto run = [&](std::vector<std::string> ignored, AggregationStrategy strategy) {
    return shown(model.find.run("o bper iper bloc", {.aggregation_strategy = strategy, .ignore_labels = ignored}));
  };
  EXPECT_EQ(run({}, AggregationStrategy::none), "O o 0-1; B-PER bper 2-6; I-PER iper 7-11; B-LOC bloc 12-16");
  EXPECT_EQ(run({"O", "I-PER"}, AggregationStrategy::none), "B-PER bper 2-6; B-LOC bloc 12-16");
  EXPECT_EQ(run({"PER"}, AggregationStrategy::none), "O o 0-1; B-PER bper 2-6; I-PER iper 7-11; B-LOC bloc 12-16");
  // Groups are named without B- and I-, and left out after they were made.
  EXPECT_EQ(run({}, kSimple), "O o 0-1; PER bper iper 2-11; LOC bloc 12-16");
  EXPECT_EQ(run({"PER"}, kSimple), "O o 0-1; LOC bloc 12-16");
  EXPECT_EQ(run({"O", "B-PER"}, kSimple), "PER bper iper 2-11; LOC bloc 12-16");
}

TEST(EntityRecognizer, GroupsNeighboursOfOneTagAndBeginsAnewAtB) {
  const Loaded model;
  const auto group = [&](const char* text) { return shown(model.find.run(text, {.aggregation_strategy = kSimple})); };
  EXPECT_EQ(group("bper iper iper"), "PER bper iper iper 0-14");
  EXPECT_EQ(group("bper bper"), "PER bper 0-4; PER bper 5-9");
  EXPECT_EQ(group("iper iper"), "PER iper iper 0-9");
  EXPECT_EQ(group("iper bper iper"), "PER iper 0-4; PER bper iper 5-14");
  EXPECT_EQ(group("bper iloc"), "PER bper 0-4; LOC iloc 5-9");
  EXPECT_EQ(group("bper o iper"), "PER bper 0-4; PER iper 7-11");
  EXPECT_EQ(group("bper, iper"), "PER bper 0-4; PER iper 6-10");
  EXPECT_EQ(group("bloc loc iloc"), "LOC bloc loc iloc 0-13");  // a bare label goes on with its own name
  EXPECT_EQ(group("eper eper"), "PER eper eper 0-9");           // any other prefix is part of the tag, not of the name
  EXPECT_EQ(group("iper eper"), "PER iper 0-4; PER eper 5-9");
  EXPECT_EQ(group("bperx"), "PER bperx 0-5");
  EXPECT_EQ(group("o o"), "");
  EXPECT_EQ(group(""), "");
}

TEST(EntityRecognizer, GivesAGroupTheMeanScoreAndItsFirstIndex) {
  const Loaded model;
  const Entities found = model.find.run("o bper weak iperx", {.aggregation_strategy = kSimple});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].index, 2u);
  const double mean = (2 * probability(6) + probability(1) + probability(4)) / 4;
  EXPECT_NEAR(static_cast<double>(found[0].score), mean, 1e-5);
}

TEST(EntityRecognizer, ShowsTheTextWhereTheVocabularyHasNothing) {
  const Loaded model;
  const Entities found = model.find("o \xC4\xB0zmir! bper");
  EXPECT_EQ(shown(found), "B-LOC \xC4\xB0zmir 2-8; B-LOC ! 8-9; B-PER bper 10-14");
  EXPECT_EQ(found.info.n_unknown, 2u);
}

TEST(EntityRecognizer, KeepsSpecialTokensOfTheTextButNotOfTheTemplate) {
  const Loaded model;
  const auto found = model.find.run("bper [SEP] bper", {.ignore_labels = {}});
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[1].word, "[SEP]");
  EXPECT_EQ(found[1].start, 5u);
}

std::string repeated(const std::string& word, std::size_t n) {
  std::string text;
  for (std::size_t i = 0; i < n; ++i) text += word + " ";
  return text;
}

TEST(EntityRecognizer, RefusesATextThatIsTooLongUnlessToldToCutIt) {
  const Loaded model;
  const std::string text = repeated("bper", 40);
  expect_error(ErrorCode::input, {"42 tokens", "at most 24", "truncation"}, [&] { model.find(text); });
  EXPECT_EQ(model.find(repeated("bper", 22)).size(), 22u);
  const Entities found = model.find.run(text, {.truncation = true});
  EXPECT_EQ(found.size(), 22u);
  EXPECT_TRUE(found.info.truncated);
  EXPECT_EQ(found.info.n_tokens, 24u);
  EXPECT_EQ(found.info.covered, (bertha::Span{0, 22 * 5 - 1}));
  EXPECT_FALSE(model.find.run("bper", {.truncation = true}).info.truncated);
}

TEST(EntityRecognizer, ReadsALongTextInWindowsThatShareTokens) {
  const Loaded model;
  // 22 tokens a window: the second begins at the token 22 - 4, so that the entity at the seam is in both.
  const std::string text = repeated("o", 17) + "bper iper iper " + repeated("o", 20) + "bloc";
  const auto found = model.find.run(text, {.aggregation_strategy = kSimple, .stride = 4});
  EXPECT_EQ(shown(found), "PER bper iper iper 34-48; LOC bloc 89-93");
  EXPECT_EQ(found.info.n_tokens, 24u + 24u + 2u + 5u);
  EXPECT_FALSE(found.info.truncated);
  EXPECT_EQ(found.info.covered, (bertha::Span{0, 93}));
  // Windows without overlap cut the entity into two.
  const std::string seam = repeated("o", 21) + "bper iper";
  EXPECT_EQ(shown(model.find.run(seam, {.aggregation_strategy = kSimple, .stride = 0})),
            "PER bper 42-46; PER iper 47-51");
  EXPECT_EQ(shown(model.find.run(seam, {.aggregation_strategy = kSimple, .stride = 1})), "PER bper iper 42-51");
  EXPECT_EQ(shown(model.find.run("o bper", {.aggregation_strategy = kSimple, .stride = 1})), "PER bper 2-6");
}

TEST(EntityRecognizer, RefusesAStrideThatMeansNothing) {
  const Loaded model;
  const auto run = [&](const EntityOptions& options) { model.find.run("bper", options); };
  expect_error(ErrorCode::input, {"stride", "aggregation_strategy"}, [&] { run({.stride = 4}); });
  expect_error(ErrorCode::input, {"stride", "truncation"},
               [&] { run({.aggregation_strategy = kSimple, .truncation = true, .stride = 4}); });
  expect_error(ErrorCode::input, {"stride is 22", "room for 22"},
               [&] { run({.aggregation_strategy = kSimple, .stride = 22}); });
  EXPECT_NO_THROW(run({.aggregation_strategy = kSimple, .stride = 21}));
}

TEST(EntityRecognizer, RefusesAStrategyThatThereIsNot) {
  const Loaded model;
  expect_error(ErrorCode::input, {"aggregation_strategy", "7"},
               [&] { model.find.run("bper", {.aggregation_strategy = static_cast<AggregationStrategy>(7)}); });
}

TEST(EntityRecognizer, GivesAllTokensOfAWordOneLabel) {
  const Loaded model;
  const auto group = [&](const char* text, AggregationStrategy strategy) {
    return shown(model.find.run(text, {.aggregation_strategy = strategy}));
  };
  // "bloc" says B-LOC by 6, "##x" I-PER by 4; "weak" I-PER by 1.
  EXPECT_EQ(group("blocx", kSimple), "LOC bloc 0-4; PER ##x 4-5");
  EXPECT_EQ(group("blocx", AggregationStrategy::first), "LOC blocx 0-5");
  EXPECT_EQ(group("blocx", AggregationStrategy::max), "LOC blocx 0-5");
  EXPECT_EQ(group("blocx", AggregationStrategy::average), "LOC blocx 0-5");
  EXPECT_EQ(group("weakx", AggregationStrategy::first), "PER weakx 0-5");
  EXPECT_EQ(group("blocxx", AggregationStrategy::average), "PER blocxx 0-6");  // twice 4 against 6
  EXPECT_EQ(group("blocx iloc", AggregationStrategy::first), "LOC blocx iloc 0-10");
  EXPECT_EQ(group("bper, iper", AggregationStrategy::first), "PER bper 0-4; PER iper 6-10");
  EXPECT_EQ(group("", AggregationStrategy::max), "");
  const auto score = [&](const char* text, AggregationStrategy strategy) {
    return static_cast<double>(model.find.run(text, {.aggregation_strategy = strategy})[0].score);
  };
  EXPECT_NEAR(score("weakx", AggregationStrategy::first), probability(1), 1e-5);
  EXPECT_NEAR(score("weakx", AggregationStrategy::max), probability(4), 1e-5);
  EXPECT_NEAR(score("weakx", AggregationStrategy::average), (probability(1) + probability(4)) / 2, 1e-5);
}

TEST(EntityRecognizer, TakesWordsThatAreCutAlready) {
  const Loaded model;
  const std::vector<std::string> words = {"bper,iper", "", "bloc x"};
  const bertha::SplitText split(words, "--");
  EXPECT_EQ(split.text, "bper,iper----bloc x");
  EXPECT_EQ(shown(model.find.run(split, {.aggregation_strategy = kSimple})),
            "PER bper 0-4; PER iper 5-9; LOC bloc 13-17; LOC x 18-19");
  EXPECT_EQ(shown(model.find.run(split, {.aggregation_strategy = AggregationStrategy::first,
                                         .word_grouping = bertha::WordGrouping::true_words})),
            "PER bper, iper 0-9; LOC bloc x 13-19");
  EXPECT_EQ(shown(model.find(bertha::SplitText(std::vector<std::string>{}))), "");
  // Words may also be places in a text of one's own.
  const std::vector<bertha::Span> places = {{0, 4}, {5, 9}};
  EXPECT_EQ(shown(model.find({"bper bloc bper", places})), "B-PER bper 0-4; B-LOC bloc 5-9");
  const auto refuse = [&](const std::vector<bertha::Span>& bad) {
    expect_error(ErrorCode::input, {"word 1", "in order"}, [&] { model.find({"bper bloc", bad}); });
  };
  refuse({{0, 4}, {3, 9}});
  refuse({{0, 4}, {9, 5}});
  refuse({{0, 4}, {5, 10}});
  expect_error(ErrorCode::input, {"word 1", "UTF-8"}, [&] {
    model.find({"bper \u00e9", std::vector<bertha::Span>{{0, 4}, {6, 7}}});
  });
  const bertha::SplitText longer(std::vector<std::string>(40, "bper"));
  expect_error(ErrorCode::input, {"42 tokens"}, [&] { model.find(longer); });
  EXPECT_EQ(model.find.run(longer, {.truncation = true}).size(), 22u);
  EXPECT_EQ(model.find.run(longer, {.aggregation_strategy = kSimple, .stride = 3}).size(), 40u);
}

TEST(EntityRecognizer, RefusesWordsPastTheLargestOffsetBeforeItCopiesThem) {
  const bertha_test::MappedZeros bytes(std::size_t{1} << 32);
  const std::vector<std::string_view> words = {"a", bytes.text().substr(2)};
  expect_error(ErrorCode::input, {"the words have 4294967296 bytes"}, [&] { bertha::SplitText split(words, "-"); });
}

TEST(EntityRecognizer, ReadsLabelsOfBioes) {
  const Loaded model;
  const auto group = [&](const char* text) {
    return shown(model.find.run(text, {.aggregation_strategy = kSimple, .label_scheme = bertha::LabelScheme::bioes}));
  };
  EXPECT_EQ(group("bper iper eper"), "PER bper iper eper 0-14");
  EXPECT_EQ(group("bper eper iper"), "PER bper eper 0-9; PER iper 10-14");
  EXPECT_EQ(group("eper eper"), "PER eper 0-4; PER eper 5-9");
  EXPECT_EQ(group("bloc loc"), "LOC bloc loc 0-8");
}

TEST(EntityRecognizer, GivesTheMostProbableValidLabels) {
  const Loaded model;
  const auto valid = [&](const char* text, AggregationStrategy strategy = AggregationStrategy::none) {
    return shown(model.find.run(text, {.aggregation_strategy = strategy,
                                       .label_scheme = bertha::LabelScheme::bioes,
                                       .decoding = bertha::LabelDecoding::valid}));
  };
  EXPECT_EQ(valid("bper iper eper"), "B-PER bper 0-4; I-PER iper 5-9; E-PER eper 10-14");
  EXPECT_EQ(valid("bloc iloc o"), "B-LOC bloc 0-4; I-LOC iloc 5-9");
  EXPECT_EQ(valid("o iloc iloc"), "B-LOC iloc 2-6; I-LOC iloc 7-11");  // an I-LOC of two is given up for its B-LOC
  EXPECT_EQ(valid("bper o"), "");                                      // no E-PER follows
  EXPECT_EQ(valid("o iloc iloc", kSimple), "LOC iloc iloc 2-11");
  expect_error(ErrorCode::input, {"label_scheme", "E-PER", "B-PER", "bioes"},
               [&] { model.find.run("o", {.decoding = bertha::LabelDecoding::valid}); });
}

/// Of all sequences of labels the valid one with the largest product of probabilities; of several, that whose last
/// labels come first.
std::vector<std::size_t> best_by_trying(const std::vector<float>& probabilities, std::size_t n,
                                        const std::vector<std::string>& names) {
  const auto is = [&](std::size_t label, char part) { return names[label][0] == part && names[label][1] == '-'; };
  const auto tag = [&](std::size_t label) { return names[label].substr(2); };
  const auto has = [&](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  std::vector<std::size_t> sequence(n), best;
  double largest = -1;
  for (;;) {
    double product = 1;
    bool valid = true;
    for (std::size_t i = 0; i <= n; ++i) {
      const bool open = i > 0 && (is(sequence[i - 1], 'B') || is(sequence[i - 1], 'I'));
      const bool goes_on = i < n && (is(sequence[i], 'I') || is(sequence[i], 'E'));
      const bool begins = !open && goes_on && is(sequence[i], 'I') && !has("B-" + tag(sequence[i]));
      valid = valid && (begins || open == goes_on) && (!open || tag(sequence[i - 1]) == tag(sequence[i]));
      if (i < n) product *= static_cast<double>(probabilities[i * names.size() + sequence[i]]);
    }
    if (valid && product > largest) {
      largest = product;
      best = sequence;
    }
    std::size_t at = 0;
    while (at < n && ++sequence[at] == names.size()) sequence[at++] = 0;
    if (at == n) return best;
  }
}

TEST(MostProbableValid, IsTheBestOfAllSequences) {
  const std::vector<std::vector<std::string>> sets = {
      {"O", "B-A", "I-A", "E-A", "S-A", "B-B", "I-B", "E-B", "S-B"},
      {"I-A", "O", "E-A", "S-A", "E-B", "I-B"},  // an entity that may begin with I, and has to go on
  };
  std::uint32_t state = 1;
  const auto random = [&] {
    state = state * 1664525u + 1013904223u;
    return static_cast<float>(state >> 8) * 0x1p-24f;
  };
  for (const auto& names : sets) {
    const bertha::detail::EntityLabels labels(names, {.label_scheme = bertha::LabelScheme::bioes});
    for (int round = 0; round < 120; ++round) {
      const std::size_t n = 1 + static_cast<std::size_t>(round) % 5;
      const bool has_equal_ones = round % 2 == 1;
      std::vector<float> probabilities(n * names.size());
      for (float& p : probabilities) {
        p = random();
        p = has_equal_ones ? (p < 0.5f ? 0.25f : 0.5f) : p * p * p;
      }
      const bertha::MatrixView<const float> view{probabilities.data(), n, names.size(), names.size()};
      EXPECT_EQ(bertha::detail::most_probable_valid(view, labels), best_by_trying(probabilities, n, names)) << round;
    }
  }
}

TEST(MostProbableValid, ComparesSequencesThatAreNextToImpossible) {
  const std::vector<std::string> names = {"O", "B-A", "I-A"};
  const bertha::detail::EntityLabels labels(names, {});
  std::vector<float> probabilities;
  for (int i = 0; i < 2000; ++i) probabilities.insert(probabilities.end(), {0.0f, 0.0f, 1.0f});
  const auto found = bertha::detail::most_probable_valid({probabilities.data(), 2000, 3, 3}, labels);
  EXPECT_EQ(found[0], 1u);
  EXPECT_EQ(std::count(found.begin(), found.end(), std::size_t{2}), 1999);
  // Where a lone token can't be an entity, the text may end within one.
  const std::vector<std::string> open = {"B-A", "I-A", "E-A"};
  const bertha::detail::EntityLabels no_single(open, {.label_scheme = bertha::LabelScheme::bioes});
  EXPECT_EQ(bertha::detail::most_probable_valid({probabilities.data(), 1, 3, 3}, no_single),
            std::vector<std::size_t>{0});
}

TEST(EntityRecognizer, ListsTheBestLabelsOfATokenWhenAsked) {
  const Loaded model;
  EXPECT_TRUE(model.find("bper")[0].top_labels.empty());
  const auto found = model.find.run("bper", {.top_k = 2});
  ASSERT_EQ(found[0].top_labels.size(), 2u);
  EXPECT_EQ(found[0].top_labels[0].label, "B-PER");
  EXPECT_EQ(found[0].top_labels[0].score, found[0].score);
  EXPECT_EQ(found[0].top_labels[1].label, "O");  // the first of equals
  EXPECT_EQ(model.find.run("bper", {.top_k = 99})[0].top_labels.size(), 7u);
  expect_error(ErrorCode::input, {"top_k is 2", "aggregation_strategy"},
               [&] { model.find.run("bper", {.aggregation_strategy = kSimple, .top_k = 2}); });
}

TEST(EntityRecognizer, CutsOrReadsInWindowsOfTheLengthThatIsGiven) {
  const Loaded model;
  const std::string text = repeated("bper", 20);
  EXPECT_EQ(model.find.run(text, {.truncation = true, .max_length = 10}).size(), 8u);
  EXPECT_EQ(model.find.run(text, {.aggregation_strategy = kSimple, .stride = 2, .max_length = 10}).info.n_tokens, 30u);
  expect_error(ErrorCode::input, {"max_length is 10"}, [&] { model.find.run(text, {.max_length = 10}); });
  expect_error(ErrorCode::input, {"stride is 8", "room for 8"},
               [&] { model.find.run(text, {.aggregation_strategy = kSimple, .stride = 8, .max_length = 10}); });
  EXPECT_EQ(model.find.run("[SEP]", {.ignore_labels = {}, .split_special_tokens = true}).size(), 3u);
}

TEST(EntityRecognizer, RefusesEnumeratorsThatThereAreNot) {
  const Loaded model;
  const auto refuse = [&](const char* name, const EntityOptions& options) {
    expect_error(ErrorCode::input, {name, "9"}, [&] { model.find.run("bper", options); });
  };
  refuse("word_grouping", {.word_grouping = static_cast<bertha::WordGrouping>(9)});
  refuse("label_scheme", {.label_scheme = static_cast<bertha::LabelScheme>(9)});
  refuse("decoding", {.label_scheme = bertha::LabelScheme::bioes, .decoding = static_cast<bertha::LabelDecoding>(9)});
}

TEST(EntityRecognizer, TakesTheFirstOfLabelsThatAreEquallyGood) {
  TinyOptions options = Loaded::options();
  options.pooler = "";
  bertha_test::ModelWriter writer = bertha_test::ModelWriter::tiny(options);
  std::string& weight = writer.tensor("head.output.weight").bytes;
  weight.assign(weight.size(), '\0');
  const float bias[] = {0, 0, 1, 1, 0, 1, 0};
  std::memcpy(writer.tensor("head.output.bias").bytes.data(), bias, sizeof bias);
  const AlignedBytes bytes(writer.bytes());
  EXPECT_EQ(shown(EntityRecognizer::load(bytes.span())("o")), "I-PER o 0-1");
}

TEST(EntityRecognizer, GivesNothingForAnEmptyText) {
  const Loaded model;
  const Entities found = model.find("");
  EXPECT_TRUE(found.empty());
  EXPECT_EQ(found.begin(), found.end());
  EXPECT_EQ(found.info.n_tokens, 2u);
}

TEST(EntityRecognizer, GivesOneTextAndManyTheSame) {
  const Loaded model;
  const std::vector<std::string> texts = {"o bper", "", "bloc iloc", "zebra"};
  const auto all = [&](auto&& range, bertha::CallOptions call = {}) {
    std::string text;
    for (const Entities& entities : model.find.run(range, {.aggregation_strategy = kSimple}, call))
      text += shown(entities) + "\n";
    return text;
  };
  std::string expected;
  for (const std::string& text : texts)
    expected += shown(model.find.run(text, {.aggregation_strategy = kSimple})) + "\n";
  EXPECT_EQ(all(texts), expected);
  EXPECT_EQ(all(texts, {.max_threads = 1, .max_batch_tokens = 1}), expected);
  EXPECT_EQ(all(std::array<std::string_view, 4>{"o bper", "", "bloc iloc", "zebra"}), expected);
  EXPECT_EQ(all(std::initializer_list<const char*>{"o bper", "", "bloc iloc", "zebra"}), expected);
#if defined(BERTHA_TEST_HAS_VIEWS)
  EXPECT_EQ(all(std::views::transform(texts, [](const auto& text) { return std::string_view(text); })), expected);
#endif
  EXPECT_EQ(all(std::vector<std::string>{}), "");
}

TEST(EntityRecognizer, RefusesInvalidUtf8WithThePositionOfTheByte) {
  const Loaded model;
  expect_error(ErrorCode::input, {"UTF-8", "5"}, [&] { model.find("bper \xFF"); });
}

TEST(EntityRecognizer, ComesToTheSameScoresInAnyRoundingMode) {
  const Loaded model;
  const auto scores = [&] {
    std::vector<float> all;
    for (const auto strategy : {AggregationStrategy::none, kSimple})
      for (const auto& entity :
           model.find.run("bper weak iperx weak weak o bloc weak", {.aggregation_strategy = strategy}))
        all.push_back(entity.score);
    return all;
  };
  const auto expected = scores();
  EXPECT_GT(expected.size(), 8u);
  for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(mode);
    const auto found = scores();
    std::fesetround(FE_TONEAREST);
    EXPECT_EQ(found, expected) << mode;
  }
}

}  // namespace
