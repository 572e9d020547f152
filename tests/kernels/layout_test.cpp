// Where weights lie, as tools/format.md says it: the rows of its table of linear layers are read and held against
// layout.hpp, which everything else goes by.

#include <gtest/gtest.h>

#include <array>
#include <bertha/kernels/layout.hpp>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "../support/format_page.hpp"

namespace bertha::testing {
namespace {

using Numbers = std::vector<std::size_t>;

std::size_t number(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); }

/// What stands between `open` and the next ']', at the commas.
std::vector<std::string> list_after(const std::string& text, const std::string& open) {
  const std::size_t begin = text.find(open);
  if (begin == text.npos) return {};
  std::vector<std::string> items;
  std::istringstream list(text.substr(begin + open.size(), text.find(']', begin) - begin - open.size()));
  for (std::string item; std::getline(list, item, ',');) items.push_back(bertha_test::trimmed(item));
  return items;
}

/// "N'/16", "K2/2", "K" or "4": section 1 says what the letters are.
std::size_t dimension(const std::string& text, std::size_t outputs, std::size_t inputs) {
  const std::string letters = text.substr(0, text.find('/'));
  const std::size_t divisor = text.find('/') == text.npos ? 1 : number(text.substr(text.find('/') + 1));
  const auto up = [](std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; };
  if (letters == "N'") return up(outputs, 16) / divisor;
  if (letters == "K") return inputs / divisor;
  if (letters == "K2") return up(inputs, 32) / divisor;
  if (letters == "K4") return up(inputs, 64) / divisor;
  return number(text);
}

/// "16 p + j" or "k", of the values of letters.
std::size_t sum(const std::string& text, const std::map<char, std::size_t>& values) {
  std::istringstream terms(text);
  std::size_t total = 0, factor = 1;
  for (std::string word; terms >> word;) {
    if (const auto letter = values.find(word[0]); letter != values.end()) {
      total += factor * letter->second;
      factor = 1;
    } else if (word != "+") {
      factor = number(word);
    }
  }
  return total;
}

/// Every element of the panels of [outputs, inputs] lies where the row `precision` of the page has it.
template <class Element>
void expect_layout(const std::string& precision, std::size_t outputs, std::size_t inputs) {
  std::vector<std::string> row;
  for (const auto& cells : bertha_test::table(5))
    if (cells.at(0) == precision && cells.at(1) == "`weight`" && cells.at(3)[1] == 'N') row = cells;
  ASSERT_FALSE(row.empty()) << precision;
  const std::vector<std::string> weight = list_after(row.at(4), "["), letters = list_after(row.at(4), "at [");
  Numbers shape;
  for (const std::string& text : list_after(row.at(3), "[")) shape.push_back(dimension(text, outputs, inputs));
  ASSERT_EQ(weight.size(), 2u);
  ASSERT_EQ(letters.size(), shape.size());

  const kernels::PanelLayout<Element> layout(outputs, inputs);
  const auto stored = layout.shape();
  EXPECT_EQ(Numbers(stored.begin(), stored.end()), shape);
  std::size_t size = 1;
  for (const std::size_t extent : shape) size *= extent;
  ASSERT_EQ(layout.size(), size);
  std::size_t weights = 0;
  for (std::size_t place = 0; place < size; ++place) {
    std::map<char, std::size_t>
        at;  // the index of `place` in each dimension, by its letter; the last one counts fastest
    for (std::size_t i = shape.size(), left = place; i-- > 0; left /= shape[i]) at[letters[i].at(0)] = left % shape[i];
    const std::size_t output = sum(weight[0], at), input = sum(weight[1], at);
    if (output >= outputs || input >= inputs) continue;
    ASSERT_EQ(layout.at(output, input), place) << precision << " [" << output << ", " << input << "]";
    ++weights;
  }
  EXPECT_EQ(weights, outputs * inputs);
}

TEST(Layout, IsThatOfTheFormatPage) {
  const std::size_t sizes[][2] = {{1, 1}, {16, 64}, {17, 65}, {5, 36}, {33, 3}, {48, 128}};
  for (const auto& [outputs, inputs] : sizes) {
    expect_layout<float>("float32", outputs, inputs);
    expect_layout<bf16>("bfloat16", outputs, inputs);
    expect_layout<std::int8_t>("int8", outputs, inputs);
  }
}

}  // namespace
}  // namespace bertha::testing
