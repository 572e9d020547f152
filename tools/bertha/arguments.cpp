#include "arguments.hpp"

#include <algorithm>

namespace program {
namespace {

/// CLI11 would cut the text "[a, b]" into two, "[MASK]" down to "MASK", and drop "++": texts travel behind this.
constexpr char kMark = '\x01';

/// Whether `argument` is an option of the command, and the argument behind it is its value.
bool takes_value(const CLI::App* command, const std::string& argument) {
  const CLI::Option* option = command ? command->get_option_no_throw(argument) : nullptr;
  return option && argument.starts_with("--") && option->get_expected_min() > 0;
}

}  // namespace

std::vector<std::string> split_list(std::string_view list) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  std::vector<std::string> parts;
  while (!list.empty()) {
    const std::string_view part = list.substr(0, list.find(','));
    list.remove_prefix(std::min(part.size() + 1, list.size()));
    const std::size_t first = part.find_first_not_of(kSpace);
    if (first == part.npos) continue;
    parts.emplace_back(part.substr(first, part.find_last_not_of(kSpace) + 1 - first));
  }
  return parts;
}

std::vector<std::string> protect(const CLI::App& app, int argc, char** argv) {
  const auto named =
      app.get_subcommands([&](const CLI::App* command) { return argc > 1 && command->get_name() == argv[1]; });
  const CLI::App* command = named.empty() ? nullptr : named.front();
  std::vector<std::string> arguments;
  bool only_texts = false;  // "--" was there; marked, texts need it no more
  bool is_value = false;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (only_texts || is_value || !argument.starts_with('-') || argument == "-") {
      if (i > 1) argument.insert(0, 1, kMark);  // the first one is the command
      is_value = false;
    } else {
      if (argument[1] != '-' && argument != "-h") throw CLI::ExtrasError({argument});
      is_value = takes_value(command, argument);
      const std::size_t value = argument.find('=') + 1;
      if (value > 0 && argument.find_first_of("[\x01", value) == value) argument.insert(value, 1, kMark);
      only_texts = argument == "--";
      if (only_texts) continue;
    }
    arguments.push_back(std::move(argument));
  }
  return {arguments.rbegin(), arguments.rend()};
}

void remove_marks(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; }))
    for (CLI::Option* option : command->get_options())
      option->transform([](const std::string& value) { return value.starts_with(kMark) ? value.substr(1) : value; });
}

std::string usage_error(const CLI::ParseError& error) {
  std::string message = error.what();
  std::erase(message, kMark);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) && message.find(" -") != std::string::npos)
    message += "\nTexts that begin with a hyphen come last, after --";
  return message + "\nRun with --help for more information.";
}

}  // namespace program
