// A line of --jsonl: an object with one or two texts, and what else its maker put into it.

#pragma once

#include <bertha/error.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace program {

/// One line, read: the texts it holds, or what is wrong with it.
struct Line {
  std::string text;                                    // or the question
  std::optional<std::string> pair = {};                // the other text, or the context
  std::optional<std::vector<std::string>> texts = {};  // several, in place of one of the two
  std::string others = {};  // the object's other members, as they are written there: "id":7,"lang":"tr"
  std::optional<bertha::Error> error = {};
};

/// Whether a command reads the second of two keys, and that it is a list of texts.
enum class Second { optional, required, refused, list };

/// Which of two values may be a list of strings.
enum class List { none, text, pair };

/// The two keys that commands read.
struct Keys {
  const char* text = "text";
  const char* pair = "text_pair";
  Second second = Second::optional;
  List list = List::none;
};

/// The object of a line. Throws Error{input} when it is none.
nlohmann::json parse_object(const std::string& line);

/// Reads a line; never throws for what is in it.
Line parse_line(const std::string& text, const Keys& keys);

/// Nothing but spaces and tabs: between lines of JSON that means nothing.
bool is_blank(const std::string& line);

}  // namespace program
