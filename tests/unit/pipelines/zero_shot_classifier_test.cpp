// ZeroShotClassifier: its scores against those of TextClassifier for the same pairs, its options, and bad ones.

#include <bertha/pipelines/zero_shot_classifier.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "../../support/expect_error.hpp"
#include "controlled_model.hpp"

namespace {

using bertha::ErrorCode;
using bertha::ZeroShotClassifier;
using bertha::ZeroShotOptions;
using bertha_test::AlignedBytes;
using bertha_test::constant_classifier;
using bertha_test::expect_error;
using bertha_test::ModelWriter;
using Strings = std::vector<std::string>;

struct Loaded {
  explicit Loaded(const ModelWriter& writer)
      : bytes(writer.bytes()), zero_shot(ZeroShotClassifier::load(bytes.span())) {}
  AlignedBytes bytes;
  ZeroShotClassifier zero_shot;
};

/// A model of inference whose logits depend on what it reads.
ModelWriter inference(const Strings& labels) {
  bertha_test::TinyOptions options;
  options.labels = labels;
  return ModelWriter::tiny(options);
}

Strings labels_of(const bertha::ZeroShotResult& result) {
  Strings labels;
  for (const auto& label : result) labels.push_back(label.label);
  return labels;
}

TEST(ZeroShotClassifier, GivesWhatTheLogitsOfThePairsAmountTo) {
  for (const Strings& names : {Strings{"contradiction", "neutral", "ENTAILMENT"}, {"entailment", "not_entailment"}}) {
    const Loaded model(inference(names));
    const auto classify = bertha::TextClassifier::load(model.bytes.span());
    const std::size_t yes = names.size() == 3 ? 2 : 0, no = names.size() == 3 ? 0 : 1;
    const Strings labels = {"cat", "the", "sat"};
    std::vector<double> entails, of_two;
    for (const std::string& label : labels) {
      const std::string hypothesis = "a " + label + " {b}.";
      const auto result =
          classify.run({"the cats sat", hypothesis}, {.function_to_apply = bertha::FunctionToApply::none});
      std::vector<double> logits(names.size());
      for (const auto& [name, score] : result)
        for (std::size_t i = 0; i < names.size(); ++i)
          if (names[i] == name) logits[i] = static_cast<double>(score);
      entails.push_back(std::exp(logits[yes]));
      of_two.push_back(1 / (1 + std::exp(logits[no] - logits[yes])));
    }
    const double sum = entails[0] + entails[1] + entails[2];
    for (const bool multi_label : {false, true}) {
      const auto result = model.zero_shot.run(
          "the cats sat",
          {.candidate_labels = labels, .hypothesis_template = "a {} {{b}}.", .multi_label = multi_label});
      ASSERT_EQ(result.size(), 3u);
      for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_GE(result[i == 0 ? 0 : i - 1].score, result[i].score);
        const auto which =
            static_cast<std::size_t>(std::find(labels.begin(), labels.end(), result[i].label) - labels.begin());
        ASSERT_LT(which, 3u);
        EXPECT_NEAR(static_cast<double>(result[i].score), multi_label ? of_two[which] : entails[which] / sum, 1e-6);
      }
    }
    const auto one =
        model.zero_shot.run("the cats sat", {.candidate_labels = {"cat"}, .hypothesis_template = "a {0} {{b}}."});
    EXPECT_NEAR(static_cast<double>(one[0].score), of_two[0], 1e-6) << "one label is judged alone";
    EXPECT_EQ(model.zero_shot("the", {"cat"}).score,
              model.zero_shot.run("the", {.candidate_labels = {"cat"}})[0].score);
  }
}

TEST(ZeroShotClassifier, PutsTheLabelNamedLastBeforeOthersOfItsScore) {
  const Loaded model(constant_classifier({"contradiction", "neutral", "entailment"}, {1, 5, 3}));
  const auto shares = model.zero_shot.run("the", {.candidate_labels = {"a", "b", "c", "d"}});
  EXPECT_EQ(labels_of(shares), (Strings{"d", "c", "b", "a"}));
  EXPECT_EQ(shares[2].score, 0.25f);
  const auto each = model.zero_shot.run("the", {.candidate_labels = {"a", "b"}, .multi_label = true});
  EXPECT_EQ(labels_of(each), (Strings{"b", "a"}));
  EXPECT_NEAR(static_cast<double>(each[0].score), 1 / (1 + std::exp(-2.0)), 1e-6);
}

TEST(ZeroShotClassifier, TakesTheFirstLabelThatBeginsWithEntailOrTheOneThatIsNamed) {
  const auto score = [](const Strings& names, const std::string& named) {
    const Loaded model(constant_classifier(names, {1, 2, 4}));
    const auto result =
        model.zero_shot.run("the", {.candidate_labels = {"a"}, .entailment_label = named});  // against contradiction
    return static_cast<double>(result[0].score);
  };
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  EXPECT_NEAR(score({"no", "Entailed", "entailment"}, ""), sigmoid(1), 1e-6);
  EXPECT_NEAR(score({"entail", "x", "y"}, ""), sigmoid(-3), 1e-6) << "where it is the first, the last contradicts";
  EXPECT_NEAR(score({"LABEL_0", "LABEL_1", "LABEL_2"}, "LABEL_2"), sigmoid(3), 1e-6);
  const Loaded model(constant_classifier({"negative", "non-entailment"}, {1, 2}));
  expect_error(ErrorCode::input,
               {"none of the model's 2 labels", "\"entail\"", "\"non-entailment\"", "entailment_label"},
               [&] { model.zero_shot("the", {"a"}); });
  expect_error(ErrorCode::input, {"none of the model's 2 labels is \"x\""},
               [&] { model.zero_shot.run("the", {.candidate_labels = {"a"}, .entailment_label = "x"}); });
}

TEST(ZeroShotClassifier, RefusesOptionsThatMeanNothing) {
  const Loaded model(inference({"no", "entails"}));
  const auto run = [&](Strings labels, std::string format) {
    model.zero_shot.run("the cat", {.candidate_labels = std::move(labels), .hypothesis_template = std::move(format)});
  };
  expect_error(ErrorCode::input, {"candidate_labels is empty"}, [&] { run({}, "{}"); });
  for (const char* format : {"", "This is it.", "{{}}"})
    expect_error(ErrorCode::input, {"hypothesis_template", "no place for the label", "{}"},
                 [&] { run({"a"}, format); });
  for (const char* format : {"{} {", "}", "{1}", "{label} {}", "{:>10}", "{"})
    expect_error(ErrorCode::input, {"a brace that stands for no label"}, [&] { run({"a"}, format); });
  for (const char* format : {"{} {}", "{0} {}"})
    expect_error(ErrorCode::input, {"more than one {}"}, [&] { run({"a"}, format); });
  EXPECT_NO_THROW(run({"a"}, "{0} or {0}"));
  expect_error(ErrorCode::input, {"candidate_labels", "UTF-8"}, [&] { run({"a", "\xFF"}, "{}"); });
  expect_error(ErrorCode::input, {"hypothesis_template", "UTF-8"}, [&] { run({"a"}, "{} \xFF"); });
}

TEST(ZeroShotClassifier, CutsTheTextAndNeverTheHypothesis) {
  const Loaded model(inference({"no", "entails"}));
  std::string text;
  for (int i = 0; i < 100; ++i) text += "the cat ";
  const auto result = model.zero_shot.run(text, {.candidate_labels = {"a", "b b b"}, .hypothesis_template = "{}"});
  EXPECT_TRUE(result.info.truncated);
  EXPECT_EQ(result.info.n_tokens, 2 * model.zero_shot.max_length());
  EXPECT_EQ(result.info.covered, (bertha::Span{0, 20 * 4 - 1}));  // 24, but for three special tokens and "a"
  expect_error(ErrorCode::input, {"only_first", "too short"},
               [&] { model.zero_shot.run("a", {.candidate_labels = {text}, .hypothesis_template = "{}"}); });
}

TEST(ZeroShotClassifier, GivesManyTextsWhatEachGetsAlone) {
  const Loaded model(inference({"no", "entails"}));
  const Strings texts = {"the cat", "", "sat", "a \xFF", "cats"};
  ZeroShotOptions options = {.candidate_labels = {"a", "the cat", "sat"}, .hypothesis_template = "{}"};
  const auto outcomes = model.zero_shot.try_run(texts, options, {.max_batch_tokens = 8});
  for (std::size_t i = 0; i < texts.size(); ++i) {
    ASSERT_EQ(outcomes[i].has_value(), i != 1 && i != 3);
    if (!outcomes[i]) continue;
    const auto alone = model.zero_shot.run(texts[i], options);
    EXPECT_EQ(labels_of(*outcomes[i]), labels_of(alone));
    for (std::size_t l = 0; l < alone.size(); ++l) EXPECT_EQ((*outcomes[i])[l].score, alone[l].score);
  }
  EXPECT_TRUE(std::string_view(outcomes[1].error().what()).find("empty") != std::string_view::npos);
}

TEST(ZeroShotClassifier, CountsATextOnceForEachLabelWhereItBoundsWhatIsHeld) {
  const Loaded model(inference({"no", "entails"}));
  const auto most_held = [&](std::size_t n_labels) {
    const ZeroShotOptions options = {.candidate_labels = Strings(n_labels, "a" + std::string(10'000, ' ')),
                                     .hypothesis_template = "{}"};
    std::size_t asked = 0, visited = 0, most = 0;
    const auto next = [&]() -> std::optional<std::string> {
      if (asked == 60) return std::nullopt;
      ++asked;
      most = std::max(most, asked - visited);
      return "the cat";
    };
    model.zero_shot.run_stream(
        next, [&](std::size_t, const auto& outcome) { visited += outcome.has_value(); }, options);
    EXPECT_EQ(visited, 60u);
    return most;
  };
  EXPECT_EQ(most_held(1), 60u);
  EXPECT_LT(most_held(10), 15u);  // a megabyte of 100 KB each
}

}  // namespace
