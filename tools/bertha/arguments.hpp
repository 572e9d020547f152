// Arguments on their way into CLI11, which takes texts for more than they are.

#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace program {

/// The option's value is one of these names. CLI11's own transformer would show the values in messages, as characters.
template <class Value>
CLI::Option* choose(CLI::Option* option, const std::map<std::string, Value>& values) {
  std::string listed, alternatives;
  for (const auto& [name, value] : values) {
    listed += (listed.empty() ? "" : ", ") + name;
    alternatives += (alternatives.empty() ? "" : "|") + name;
  }
  const auto to_number = [values, listed](std::string& input) {
    const auto found = values.find(input);
    if (found == values.end()) return "expected " + listed + ", got '" + input + "'";
    input = std::to_string(static_cast<int>(found->second));
    return std::string();
  };
  return option->transform(CLI::Validator(to_number, ""))->type_name(alternatives);
}

/// The option's value is a number from `least` to `most`.
inline CLI::Option* count(CLI::Option* option, std::size_t least, std::size_t most = 1'000'000'000) {
  return option->check(CLI::Range(least, most).description(""))->type_name("N");
}

/// The parts of "a, b" between commas, without the spaces around them; empty ones are left out.
std::vector<std::string> split_list(std::string_view list);

/// The arguments, last one first as CLI11 wants them; texts and values marked, so that they stay what they are. To be
/// called when all options are there. Throws CLI::ParseError for "-hello", which CLI11 would take for -h and more.
std::vector<std::string> protect(const CLI::App& app, int argc, char** argv);

/// To be called when all options are there: they take the marks off.
void remove_marks(CLI::App& app);

/// What is said about arguments that are wrong.
std::string usage_error(const CLI::ParseError& error);

}  // namespace program
