// Reads the tables of tools/format.md, for tests that hold code against the page.

#pragma once

#include <cstddef>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace bertha_test {

using Rows = std::vector<std::vector<std::string>>;

inline std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(' ');
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

/// The text between the heading "## <number>." and the next one.
inline std::string section(int number) {
  std::ifstream file(std::string(BERTHA_TEST_DATA) + "/../tools/format.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const std::size_t begin = page.find("\n## " + std::to_string(number) + ".");
  return begin == page.npos ? "" : page.substr(begin, page.find("\n## ", begin + 1) - begin);
}

/// The cells of the section's table, without its two lines of heading.
inline Rows table(int number) {
  Rows rows;
  const std::string text = section(number);
  for (std::size_t at = 0; (at = text.find("\n|", at)) != text.npos; ++at) {
    std::vector<std::string> cells;
    const std::string line = text.substr(at + 2, text.find('\n', at + 1) - at - 2);
    for (std::size_t cell = 0; cell < line.size(); cell = line.find('|', cell) + 1) {
      cells.push_back(trimmed(line.substr(cell, line.find('|', cell) - cell)));
    }
    rows.push_back(cells);
  }
  if (rows.size() > 2) rows.erase(rows.begin(), rows.begin() + 2);
  return rows;
}

}  // namespace bertha_test
