#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"

#include <bertha/tokenizer/added_tokens.hpp>
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

TEST(AddedTokenFinder, TakesSpecialTokensForTextWhenTold) {
  auto plain = added(2, "b");
  plain.special = false;
  EXPECT_EQ(parts({added(1, "[S]"), plain}, "a[S]b", true), (Parts{"<a[S]>", "2<b>"}));
}

TEST(AddedTokenFinder, RefusesContentsThatAreEmptyRepeatedOrNotUtf8) {
  expect_error(ErrorCode::vocabulary, {"added token 1", "empty"}, [] { finder({added(1, "")}); });
  expect_error(ErrorCode::vocabulary, {"1 and 2", "'x'"}, [] { finder({added(1, "x"), added(2, "x")}); });
  expect_error(ErrorCode::vocabulary, {"added token 3", "UTF-8"}, [] { finder({added(3, "\xC3")}); });
}

}  // namespace
