// AnswerCandidates: which are one answer, their order, and how long it takes to find out.

#include <gtest/gtest.h>
#include <bertha/pipelines/answer_candidates.hpp>
#include <bit>
#include <string>
#include <vector>

namespace {

using bertha::ScoreRule;
using bertha::detail::AnswerCandidate;
using bertha::detail::AnswerCandidates;

std::string shown(const AnswerCandidates& candidates, std::size_t n) {
  std::string text;
  for (const AnswerCandidate& one : candidates.best(n).answers)
    text +=
        std::string(one.text) + " " + std::to_string(one.start) + " " + std::to_string(one.score).substr(0, 4) + "; ";
  return text;
}

AnswerCandidates filled(ScoreRule rule) {
  AnswerCandidates candidates(rule);
  candidates.add({"Ada", 0.25, 1, 4});
  candidates.add({"Tom", 0.5, 5, 8});
  candidates.add({"ada", 0.5, 9, 12});
  return candidates;
}

TEST(AnswerCandidates, AreOneWhenTheirTextsAreEqualButForCase) {
  EXPECT_EQ(shown(filled(ScoreRule::hf_4_57), 9), "Ada 1 0.75; Tom 5 0.50; ");
  EXPECT_EQ(shown(filled(ScoreRule::best), 9), "ada 9 0.50; Tom 5 0.50; ");
  EXPECT_EQ(shown(filled(ScoreRule::hf_4_57), 1), "Ada 1 0.75; ");
}

TEST(AnswerCandidates, OfEqualScoresComeInTheirOrder) {
  AnswerCandidates candidates(ScoreRule::hf_4_57);
  std::string expected;
  for (std::size_t i = 0; i < 100; ++i) {
    static const std::string kLetters = "abcdefghijklmnopqrstuvwxyz0123456789,.-!";
    candidates.add({std::string_view(kLetters).substr(i % 40, 1), 0.125, i, i + 1});
    if (i >= 60 && i < 80) expected += kLetters.substr(i - 40, 1);
  }
  std::string found;  // letters 0 to 19 came three times, the others twice
  for (const AnswerCandidate& one : candidates.best(40).answers) found += one.text;
  EXPECT_EQ(found, std::string("abcdefghijklmnopqrst") + expected);
}

TEST(AnswerCandidates, OfTheImpossibleAnswerAreNoOneElses) {
  AnswerCandidates candidates(ScoreRule::hf_4_57);
  candidates.add({"", 0.25, 3, 3});
  candidates.add_impossible(0.5f);
  EXPECT_EQ(shown(candidates, 9), " 0 0.50;  3 0.25; ");
}

/// Looking through all earlier candidates takes a square: 200 million comparisons of 20,000.
TEST(AnswerCandidates, TakeFewComparisonsWhetherTheyAreEqualOrNot) {
  constexpr std::size_t kMany = 20'000;
  std::string digits;
  for (std::size_t i = 0; i < kMany; ++i) digits += std::to_string(100'000 + i);
  const auto compared = [&](const auto& place) {
    AnswerCandidates candidates(ScoreRule::hf_4_57);
    for (std::size_t i = 0; i < kMany; ++i) candidates.add({std::string_view(digits).substr(place(i), 6), 1, i, i});
    return candidates.best(kMany).comparisons;
  };
  const std::size_t most = 3 * kMany * std::bit_width(kMany);
  for (const std::size_t comparisons :
       {compared([](std::size_t i) { return 0 * i; }), compared([](std::size_t i) { return 6 * i; }),
        compared([](std::size_t i) { return 6 * (kMany - 1 - i); }),
        compared([](std::size_t i) { return i % 2 * 6 * i; })}) {
    EXPECT_GE(comparisons, kMany - 1);
    EXPECT_LE(comparisons, most);
  }
}

}  // namespace
