// The program's reading of lines, and of JSON in them, from a pipe, and its writing of lines.
//
// Input: the bytes of standard input.

#include "../../tools/bertha/line_reader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "../../tools/bertha/json_line.hpp"
#include "../../tools/bertha/streams.hpp"
#include "input.hpp"

#include <cstdio>
#include <string>
#include <vector>

namespace {

/// The lines, found the plain way.
std::vector<std::string> lines_of(std::string text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    if (lines.back().ends_with('\r')) lines.back().pop_back();
    begin = end + 1;
  }
  return lines;
}

/// What the program writes of these lines: all at once, and each in parts.
void check_output(const std::vector<std::string>& lines) {
  static std::FILE* const file = std::tmpfile();
  bertha_fuzz::require(file != nullptr, "there is a file");
  const int descriptor = fileno(file);
  bertha_fuzz::require(ftruncate(descriptor, 0) == 0 && lseek(descriptor, 0, SEEK_SET) == 0, "it is empty");
  program::Output out(descriptor);
  std::string expected;
  for (const std::string& line : lines) {
    out.line(line);
    std::size_t at = 0;
    out.long_line([&](std::string& part) {
      part = line.substr(at, 7);
      at += part.size();
      return at < line.size();
    });
    expected += line + '\n' + line + '\n';
  }
  out.flush();
  std::string found(expected.size() + 1, '\0');
  const ssize_t size = pread(descriptor, found.data(), found.size(), 0);
  bertha_fuzz::require(size >= 0 && found.substr(0, static_cast<std::size_t>(size)) == expected, "what was written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bertha_fuzz::Input input(data, size);
  const std::string text = input.rest().substr(0, 60'000);  // what a pipe takes at once
  int ends[2];
  bertha_fuzz::require(pipe(ends) == 0, "there is a pipe");
  bertha_fuzz::require(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()), "it is written");
  close(ends[1]);
  program::LineReader reader(ends[0]);
  const auto expected = lines_of(text);
  std::string line;
  for (const std::string& its : expected) {
    bertha_fuzz::require(reader.ready(), "all is there");
    bertha_fuzz::require(reader.next(line), "a line for each");
    bertha_fuzz::require(line == its, "the line's bytes");
    for (const auto second :
         {program::Second::optional, program::Second::required, program::Second::refused, program::Second::list}) {
      for (const auto list : {program::List::none, program::List::text, program::List::pair}) {
        const program::Line read = program::parse_line(line, {.second = second, .list = list});
        bertha_fuzz::require(read.error || !program::is_blank(line), "a blank line is no object");
        if (read.error || read.others.empty()) continue;
        const auto others = nlohmann::json::parse("{" + read.others + "}");
        const auto whole = nlohmann::json::parse(line);
        for (const auto& [key, value] : others.items())
          bertha_fuzz::require(whole.contains(key) && whole[key] == value, "other members are those of the line");
      }
    }
  }
  check_output(expected);
  bertha_fuzz::require(!reader.next(line), "and no more");
  close(ends[0]);
  return 0;
}
