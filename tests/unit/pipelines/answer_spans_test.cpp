// answer_spans and best_spans: against a search of all pairs of tokens.

#include <gtest/gtest.h>
#include <algorithm>
#include <bertha/pipelines/answer_spans.hpp>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace {

using bertha::detail::best_spans;
using bertha::detail::TokenSpan;
using Spans = std::vector<std::tuple<std::size_t, std::size_t, float>>;

Spans plain(const std::vector<TokenSpan>& spans) {
  Spans result;
  for (const TokenSpan& span : spans) result.emplace_back(span.start, span.end, span.score);
  return result;
}

/// Every pair of tokens, a span or not (score 0 then), best first and equal ones in their order.
Spans all_pairs(const std::vector<float>& start, const std::vector<float>& end, std::size_t max_answer_len) {
  Spans all;
  for (std::size_t s = 0; s < start.size(); ++s)
    for (std::size_t e = 0; e < end.size(); ++e)
      all.emplace_back(s, e, e >= s && e - s < max_answer_len ? start[s] * end[e] : 0.0f);
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return std::get<2>(a) > std::get<2>(b); });
  return all;
}

TEST(BestSpans, AreThoseOfASearchOfAllPairs) {
  std::mt19937 random(11);
  for (int round = 0; round < 400; ++round) {
    const std::size_t tokens = 1 + random() % 12;
    std::vector<float> start(tokens), end(tokens);
    // Few different values, so that there are ties, and zeros.
    const std::uint32_t values = round % 2 == 0 ? 3 : 1'000'000;
    for (float& p : start) p = static_cast<float>(random() % values) / static_cast<float>(values);
    for (float& p : end) p = static_cast<float>(random() % values) / static_cast<float>(values);
    const std::size_t longest = 1 + random() % 14;
    const Spans expected = all_pairs(start, end, longest);
    for (const std::size_t n : {std::size_t{1}, std::size_t{2}, std::size_t{7}, tokens * tokens, tokens * tokens + 5}) {
      const Spans best(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(std::min(n, expected.size())));
      ASSERT_EQ(plain(best_spans(start, end, n, longest).spans), best) << tokens << ' ' << n << ' ' << longest;
    }
  }
}

TEST(BestSpans, AreNoLongerThanAllowed) {
  const std::vector<float> start = {1, 0, 0, 0}, end = {0, 0, 0.5f, 1};
  EXPECT_EQ(plain(best_spans(start, end, 1, 4).spans), (Spans{{0, 3, 1.0f}}));
  EXPECT_EQ(plain(best_spans(start, end, 1, 3).spans), (Spans{{0, 2, 0.5f}}));
  EXPECT_EQ(plain(best_spans(start, end, 1, 2).spans), (Spans{{0, 0, 0.0f}}));
  EXPECT_EQ(plain(best_spans(start, end, 1, std::numeric_limits<std::size_t>::max()).spans), (Spans{{0, 3, 1.0f}}));
}

/// A search of all spans of 8192 tokens takes 33 million steps, one of the spans of 15 an eighth of a million.
TEST(BestSpans, TakeFewStepsHoweverLongSpansMayBe) {
  constexpr std::size_t kTokens = 8192, kSpans = 40;
  std::mt19937 random(7);
  std::vector<float> start(kTokens), end(kTokens);
  const auto expect_few = [&] {
    for (const std::size_t longest : {std::size_t{1}, std::size_t{15}, kTokens}) {
      const std::size_t steps = best_spans(start, end, kSpans, longest).steps;
      EXPECT_GE(steps, kTokens) << longest;
      EXPECT_LE(steps, 4 * (kTokens + kSpans) * std::bit_width(kTokens)) << longest;
    }
  };
  for (auto* all : {&start, &end})
    for (float& p : *all) p = static_cast<float>(random() % 1000) / 1000;
  expect_few();
  for (std::size_t i = 0; i < kTokens; ++i) start[i] = end[i] = static_cast<float>(i);  // the last is the best for all
  expect_few();
  start.assign(start.size(), 0.5f);  // all spans are equally good
  end.assign(end.size(), 0.5f);
  expect_few();
  const auto found = best_spans(start, end, 3, kTokens).spans;
  EXPECT_EQ(plain(found), (Spans{{0, 0, 0.25f}, {0, 1, 0.25f}, {0, 2, 0.25f}}));
}

TEST(BestSpans, TakeNotANumberForNoSpan) {
  const std::vector<float> start = {NAN, 1}, end = {1, 0.5f};
  EXPECT_EQ(plain(best_spans(start, end, 2, 2).spans), (Spans{{1, 1, 0.5f}, {0, 0, 0.0f}}));
}

/// [CLS] question [SEP] context... [SEP]; every token but the special ones has id 9.
bertha::Encoding window(std::size_t question, std::size_t context) {
  bertha::Encoding encoding;
  const auto add = [&](std::uint32_t id, std::uint32_t sequence) {
    const bool special = sequence == bertha::Encoding::kNone;
    encoding.ids.push_back(id);
    encoding.type_ids.push_back(0);
    encoding.offsets.push_back({0, 0});
    encoding.words.push_back(0);
    encoding.sequences.push_back(sequence);
    encoding.special.push_back(special);
  };
  add(2, bertha::Encoding::kNone);
  for (std::size_t i = 0; i < question; ++i) add(9, 0);
  add(3, bertha::Encoding::kNone);
  for (std::size_t i = 0; i < context; ++i) add(9, 1);
  add(3, bertha::Encoding::kNone);
  return encoding;
}

/// Softmax over the tokens of the context and every token with the id of [CLS], in double.
std::vector<double> probabilities(const std::vector<float>& logits, std::size_t column,
                                  const bertha::Encoding& encoding) {
  std::vector<double> result(encoding.size());
  double sum = 0;
  for (std::size_t i = 0; i < result.size(); ++i) {
    const bool allowed = encoding.ids[i] == 2 || (encoding.sequences[i] == 1 && encoding.special[i] == 0);
    result[i] = allowed ? std::exp(static_cast<double>(logits[2 * i + column])) : 0;
    sum += result[i];
  }
  for (double& p : result) p /= sum;
  return result;
}

TEST(AnswerSpans, AreTheMostProbableSpansOfTheContext) {
  std::mt19937 random(13);
  std::normal_distribution<float> normal(0, 3);
  for (int round = 0; round < 200; ++round) {
    bertha::Encoding encoding = window(random() % 5, 1 + random() % 20);
    if (round % 4 == 0) encoding.ids[encoding.size() - 2] = 2;  // a [CLS] that was written into the context
    std::vector<float> logits(2 * encoding.size());
    for (float& logit : logits) logit = normal(random);
    const std::size_t longest = 1 + random() % 20;
    const auto start = probabilities(logits, 0, encoding), end = probabilities(logits, 1, encoding);
    double best = 0;
    for (std::size_t s = 1; s < encoding.size(); ++s)
      for (std::size_t e = s; e < std::min(encoding.size(), s + longest); ++e) best = std::max(best, start[s] * end[e]);
    const auto found = bertha::detail::answer_spans({logits.data(), encoding.size(), 2, 2}, encoding, 2, 5, longest);
    ASSERT_FALSE(found.spans.empty());
    const TokenSpan first = found.spans.front();
    EXPECT_NEAR(static_cast<double>(first.score), best, 1e-6);
    EXPECT_NEAR(start[first.start] * end[first.end], best, 1e-6);
    EXPECT_GE(first.start, 1u);
    EXPECT_NEAR(static_cast<double>(found.null_score), start[0] * end[0], 1e-6);
    for (std::size_t i = 0; i < found.spans.size(); ++i) {
      const auto& [s, e, score] = found.spans[i];
      EXPECT_TRUE(s == 0 || encoding.sequences[s] == 1 || encoding.ids[s] == 2);
      EXPECT_TRUE(e == 0 || encoding.sequences[e] == 1 || encoding.ids[e] == 2);
      EXPECT_LE(score, found.spans[i == 0 ? 0 : i - 1].score);
      EXPECT_TRUE(score == 0 || (e >= s && e - s < longest));
    }
  }
}

TEST(AnswerSpans, GiveTokenZeroNoProbabilityButTheNullScore) {
  const bertha::Encoding encoding = window(1, 1);  // [CLS] q [SEP] c [SEP]
  const std::vector<float> logits = {5, 5, 9, 9, 9, 9, 0, 0, 9, 9};
  const auto found = bertha::detail::answer_spans({logits.data(), 5, 2, 2}, encoding, 2, 1, 15);
  const double null = 1 / (1 + std::exp(-5.0));
  EXPECT_NEAR(static_cast<double>(found.null_score), null * null, 1e-6);
  ASSERT_EQ(found.spans.size(), 1u);
  EXPECT_EQ(found.spans[0].start, 3u);
  EXPECT_EQ(found.spans[0].end, 3u);
  EXPECT_NEAR(static_cast<double>(found.spans[0].score), (1 - null) * (1 - null), 1e-6);
}

}  // namespace
