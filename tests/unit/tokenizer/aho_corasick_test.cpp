#include <gtest/gtest.h>

#include <bertha/tokenizer/aho_corasick.hpp>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace bertha;

using Found = std::vector<std::pair<std::size_t, std::size_t>>;  // place and string, from the first place on

Found find(const std::vector<std::string>& strings, std::string_view text) {
  const AhoCorasick automaton(std::vector<std::string_view>(strings.begin(), strings.end()));
  std::vector<AhoCorasick::Match> matches;
  automaton.find(text, matches);
  Found found;
  for (auto match = matches.rbegin(); match != matches.rend(); ++match) found.emplace_back(match->begin, match->string);
  return found;
}

/// The same by trying every string at every place.
Found find_by_trying(const std::vector<std::string>& strings, std::string_view text) {
  Found found;
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::size_t longest = strings.size();
    for (std::size_t i = 0; i < strings.size(); ++i) {
      const bool longer = longest == strings.size() || strings[i].size() > strings[longest].size();
      if (longer && text.substr(at).starts_with(strings[i])) longest = i;
    }
    if (longest < strings.size()) found.emplace_back(at, longest);
  }
  return found;
}

std::size_t states_looked_at(const std::vector<std::string>& strings, std::string_view text) {
  const AhoCorasick automaton(std::vector<std::string_view>(strings.begin(), strings.end()));
  std::vector<AhoCorasick::Match> matches;
  return automaton.find(text, matches);
}

TEST(AhoCorasick, FindsTheLongestStringAtEachPlace) {
  EXPECT_EQ(find({"ab", "abab", "b"}, "xababa"), (Found{{1, 1}, {2, 2}, {3, 0}, {4, 2}}));
  EXPECT_EQ(find({"\xff", std::string(1, '\0')}, std::string_view("\0\xff\0a", 4)), (Found{{0, 1}, {1, 0}, {2, 1}}));
  EXPECT_EQ(find({"abc"}, "ab"), Found{});
  EXPECT_EQ(find({"abc"}, ""), Found{});
  EXPECT_EQ(find({}, "abc"), Found{});
}

TEST(AhoCorasick, FindsWhatTryingEveryStringFinds) {
  std::mt19937 random(5);
  for (int round = 0; round < 2000; ++round) {
    const auto letters = 1 + random() % 3;
    const auto word = [&](std::size_t longest) {
      std::string made;
      for (std::size_t n = 1 + random() % longest; n > 0; --n) made += static_cast<char>('a' + random() % letters);
      return made;
    };
    std::vector<std::string> strings;
    for (std::size_t n = random() % 8; n > 0; --n) {
      const std::string made = word(6);
      if (std::find(strings.begin(), strings.end(), made) == strings.end()) strings.push_back(made);
    }
    const std::string text = word(40);
    ASSERT_EQ(find(strings, text), find_by_trying(strings, text)) << text;
  }
}

TEST(AhoCorasick, LooksAtNoMoreThanTwoStatesForEachByteOfTheText) {
  constexpr std::size_t kSize = 200000;
  const std::string text(kSize, 'a'), long_string(100000, 'a');
  EXPECT_LE(states_looked_at({long_string}, text), 2 * kSize);
  EXPECT_LE(states_looked_at({"a", long_string + "b"}, text), 2 * kSize);
  EXPECT_LE(states_looked_at({"a", "b" + long_string}, text), 2 * kSize);
  EXPECT_LE(states_looked_at({"a", "b" + long_string, long_string + "b", "ba"}, text + "b" + text), 4 * kSize + 2);
  std::vector<std::string> unused;
  for (int i = 0; i < 10000; ++i) unused.push_back("[unused" + std::to_string(i) + "]");
  EXPECT_LE(states_looked_at(unused, std::string(kSize, '[')), 2 * kSize);
  EXPECT_LE(states_looked_at(unused, std::string(kSize, ']')), 2 * kSize);
  EXPECT_EQ(states_looked_at(unused, text), 0u);  // no string ends with such a byte
}

}  // namespace
