#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"

#include <algorithm>
#include <bertha/tokenizer/added_tokens.hpp>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace bertha;
using bertha_test::expect_error;

AddedToken added(std::uint32_t id, std::string content) {
  AddedToken token;
  token.id = id;
  token.content = std::move(content);
  return token;
}

AddedTokenFinder finder(const std::vector<AddedToken>& tokens) {
  std::vector<std::string> contents;
  for (const AddedToken& token : tokens) contents.push_back(token.content);
  return {tokens, contents};
}

// The parts of a text: "7<part>" for a token with id 7, "<part>" for text between.
std::vector<std::string> parts(const std::vector<AddedToken>& tokens, const std::string& text, bool skip = false) {
  std::vector<std::string> result;
  finder(tokens).split(
      text, skip,
      [&](std::size_t begin, std::size_t end) { result.push_back("<" + text.substr(begin, end - begin) + ">"); },
      [&](std::uint32_t id, std::size_t begin, std::size_t end) {
        result.push_back(std::to_string(id) + "<" + text.substr(begin, end - begin) + ">");
      });
  return result;
}

using Parts = std::vector<std::string>;

TEST(AddedTokenFinder, TakesTheLeftmostAndOfThoseTheLongest) {
  const std::vector<AddedToken> tokens = {added(1, "ab"), added(2, "abab"), added(3, "bc")};
  EXPECT_EQ(parts(tokens, "xababab"), (Parts{"<x>", "2<abab>", "1<ab>"}));
  EXPECT_EQ(parts(tokens, "abcbc"), (Parts{"1<ab>", "<c>", "3<bc>"}));
  EXPECT_EQ(parts(tokens, "aba"), (Parts{"1<ab>", "<a>"}));
  EXPECT_EQ(parts(tokens, "xyz"), (Parts{"<xyz>"}));
  EXPECT_EQ(parts(tokens, ""), Parts{});
}

TEST(AddedTokenFinder, TakesTheWhiteSpaceThatItsFlagsName) {
  auto token = added(1, "[M]");
  token.lstrip = true;
  EXPECT_EQ(parts({token}, "a \u3000[M] b"), (Parts{"<a>", "1< \u3000[M]>", "< b>"}));
  token.rstrip = true;
  EXPECT_EQ(parts({token}, "a [M]\t\u2028b"), (Parts{"<a>", "1< [M]\t\u2028>", "<b>"}));
  EXPECT_EQ(parts({token}, "[M]  [M]"), (Parts{"1<[M]  >", "1<[M]>"}));  // the first one has taken the spaces
}

TEST(AddedTokenFinder, PassesOverAPartOfAWordWhenAskedForSingleWords) {
  auto token = added(1, "word");
  token.single_word = true;
  EXPECT_EQ(parts({token}, "word words sword"), (Parts{"1<word>", "< words sword>"}));
  EXPECT_EQ(parts({token}, "\u00e9word word\u0301 word_ 9word"), (Parts{"<\u00e9word word\u0301 word_ 9word>"}));
  EXPECT_EQ(parts({token}, "-word."), (Parts{"<->", "1<word>", "<.>"}));
}

TEST(AddedTokenFinder, PassesOverTheLongestMatchAsAWhole) {
  auto longer = added(1, "abab");
  longer.single_word = true;
  EXPECT_EQ(parts({longer, added(2, "ab")}, "ababc"), (Parts{"<ababc>"}));
}

TEST(AddedTokenFinder, TakesTheFirstOfThoseThatLookTheSame) {
  EXPECT_EQ(parts({added(3, "x"), added(1, "xy"), added(2, "x")}, "xaxy"), (Parts{"3<x>", "<a>", "1<xy>"}));
}

TEST(AddedTokenFinder, TakesSpecialTokensForTextWhenTold) {
  auto plain = added(2, "b");
  plain.special = false;
  EXPECT_EQ(parts({added(1, "[S]"), plain}, "a[S]b", true), (Parts{"<a[S]>", "2<b>"}));
}

TEST(AddedTokenFinder, LetsATokenBeginInWhiteSpaceThatAnotherHasTaken) {
  auto eager = added(1, "<R>"), space = added(2, " ");
  eager.rstrip = true;
  EXPECT_EQ(parts({eager, space}, "<R>  a b"), (Parts{"1<<R>  >", "2< >", "2< >", "<a>", "2< >", "<b>"}));
}

// What split does, written as tokenizers' find_matches is.
Parts parts_by_trying(const std::vector<AddedToken>& tokens, const std::string& text, bool skip) {
  Parts result;
  const auto is = [&](std::size_t at, std::uint16_t flag) { return unicode::starts_with(text.substr(at), flag); };
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const AddedToken* longest = nullptr;
    for (const AddedToken& token : tokens) {
      if (text.compare(at, token.content.size(), token.content) != 0) continue;
      if (longest == nullptr || token.content.size() > longest->content.size()) longest = &token;
    }
    if (longest == nullptr) {
      ++at;
      continue;
    }
    std::size_t begin = at, end = at + longest->content.size();
    at = end;
    if (skip && longest->special) continue;
    if (longest->single_word && ((begin > 0 && is(begin - 1, unicode::kWord)) || is(end, unicode::kWord))) continue;
    if (longest->lstrip) {
      while (begin > 0 && is(begin - 1, unicode::kWhiteSpace)) --begin;
      begin = std::max(begin, done);
    }
    while (longest->rstrip && is(end, unicode::kWhiteSpace)) ++end;
    if (done < begin) result.push_back("<" + text.substr(done, begin - done) + ">");
    if (begin < end) result.push_back(std::to_string(longest->id) + "<" + text.substr(begin, end - begin) + ">");
    done = end;
  }
  if (done < text.size()) result.push_back("<" + text.substr(done) + ">");
  return result;
}

TEST(AddedTokenFinder, CutsAsTryingEveryTokenAtEveryPlaceDoes) {
  std::mt19937 random(7);
  const auto word = [&](std::size_t longest) {
    std::string made;
    for (std::size_t n = 1 + random() % longest; n > 0; --n) made += "ab -"[random() % 4];
    return made;
  };
  for (int round = 0; round < 5000; ++round) {
    std::vector<AddedToken> tokens;
    for (std::uint32_t n = static_cast<std::uint32_t>(random() % 5); n > 0; --n) {
      const std::string content = word(4);
      const auto is_same = [&](const AddedToken& token) { return token.content == content; };
      if (std::any_of(tokens.begin(), tokens.end(), is_same)) continue;
      tokens.push_back({n, content, random() % 4 == 0, random() % 2 == 0, random() % 2 == 0, false, random() % 3 > 0});
    }
    const std::string text = word(30);
    const bool skip = random() % 4 == 0;
    ASSERT_EQ(parts(tokens, text, skip), parts_by_trying(tokens, text, skip)) << text;
  }
}

TEST(AddedTokenFinder, TakesNoMoreThanAFewStepsForEachByteOfAText) {
  constexpr std::size_t kSize = 100000;
  const auto steps = [](const std::vector<AddedToken>& tokens, const std::string& text) {
    return finder(tokens).split(
        text, false, [](std::size_t, std::size_t) {}, [](std::uint32_t, std::size_t, std::size_t) {});
  };
  const std::string spaces(kSize, ' ');
  auto greedy = added(1, "[M]"), space = added(2, " "), word = added(3, "a");
  greedy.lstrip = greedy.rstrip = space.lstrip = space.rstrip = true;
  word.single_word = true;
  EXPECT_LE(steps({greedy}, spaces + "[M]" + spaces), 5 * kSize);
  EXPECT_LE(steps({greedy, space}, "[M]" + spaces), 5 * kSize);
  EXPECT_LE(steps({word}, std::string(kSize, 'a')), 5 * kSize);
  std::string many;
  for (std::size_t i = 0; i < kSize / 4; ++i) many += "[M] ";
  EXPECT_LE(steps({greedy, space}, many), 5 * kSize);
  std::vector<AddedToken> unused;
  for (std::uint32_t i = 0; i < 10000; ++i) unused.push_back(added(i, "[unused" + std::to_string(i) + "]"));
  EXPECT_LE(steps(unused, std::string(kSize, '[')), 5 * kSize);
}

TEST(AddedTokenFinder, RefusesContentsThatAreEmptyOrNotUtf8) {
  expect_error(ErrorCode::vocabulary, {"added token 1", "empty"}, [] { finder({added(1, "")}); });
  expect_error(ErrorCode::vocabulary, {"added token 3", "UTF-8"}, [] { finder({added(3, "\xC3")}); });
}

}  // namespace
