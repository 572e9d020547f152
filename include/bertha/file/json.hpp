// JSON, read strictly into a flat document; the only place where nlohmann/json is included, for its parser. Refused
// beyond what that refuses: keys named twice in one object, nesting deeper than 16, a byte order mark, NUL bytes.
//
// A document is one array of nodes of 16 bytes in the order of the text. A container is followed by what is in it, a
// key by its value:
//
//     {"a":[1,2],"b":null}   is   object, "a", list, 1, 2, "b", null
//
// So a text of n bytes takes at most 17 n bytes of memory, beside what the parser needs for its longest token, and n
// steps (n log n to find keys that are named twice), whatever a stranger wrote into it.

#pragma once

#include <bertha/error.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>
#if defined(BERTHA_DEFINES_FUNCTIONS)
#include <algorithm>
#include <nlohmann/json.hpp>
#endif

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// Throws Error{format}: `what` is wrong at `where`.
[[noreturn]] BERTHA_FUNCTION void refuse_format(std::string_view where, std::string_view what);

/// What a node of a document is; numbers lie together.
enum class JsonKind : std::uint8_t { null, boolean, natural, negative, real, string, list, object };

/// A value or a key, as it lies in the document's array.
struct JsonNode {
  union {
    std::uint64_t natural;  // and booleans: 0 or 1
    std::int64_t negative;
    double real;
    const char* text;    // in JsonDocument::text
    std::uint64_t span;  // of a container: nodes from this one to the next that isn't in it
  };
  std::uint32_t size = 0;  // bytes of a string, elements of a list, members of an object
  JsonKind kind = JsonKind::null;
};

/// A value of a JsonDocument, in which it lies: valid as long as that.
class Json {
 public:
  explicit Json(const JsonNode* node) : node_(node) {}

  bool is_null() const { return node_->kind == JsonKind::null; }
  bool is_boolean() const { return node_->kind == JsonKind::boolean; }
  /// True of integers below 2^64 that are written without sign, fraction or exponent.
  bool is_natural() const { return node_->kind == JsonKind::natural; }
  bool is_number() const { return node_->kind >= JsonKind::natural && node_->kind <= JsonKind::real; }
  bool is_string() const { return node_->kind == JsonKind::string; }
  bool is_list() const { return node_->kind == JsonKind::list; }
  bool is_object() const { return node_->kind == JsonKind::object; }

  // The value, of one of that kind.
  bool boolean() const { return node_->natural != 0; }
  std::uint64_t natural() const { return node_->natural; }
  double number() const;
  std::string_view string() const { return {node_->text, node_->size}; }  // UTF-8

  /// Elements of a list, or members of an object.
  std::size_t size() const { return node_->size; }
  /// An element of a list, found by going through those before it.
  Json element(std::size_t index) const;
  /// What stands in a list or an object, in the order of the text: `for (auto [key, value] : json.items())`. The keys
  /// of a list's elements are empty.
  class Items;
  Items items() const;

  /// The value for a message: short, and ASCII.
  std::string shown() const;

 private:
  const JsonNode* node_;
};

/// The elements of a list or the members of an object.
class Json::Items {
 public:
  struct Item {
    std::string_view key;
    Json value;
  };
  class Iterator {
   public:
    Iterator(const JsonNode* at, bool keys) : at_(at), keys_(keys) {}
    Item operator*() const { return {keys_ ? Json(at_).string() : std::string_view(), Json(at_ + keys_)}; }
    Iterator& operator++() {
      at_ += keys_;
      at_ += at_->kind >= JsonKind::list ? at_->span : 1;
      return *this;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    const JsonNode* at_;
    bool keys_;  // a key stands before each value
  };
  explicit Items(const JsonNode* container) : container_(container) {}
  Iterator begin() const { return {container_ + 1, container_->kind == JsonKind::object}; }
  Iterator end() const { return {container_ + container_->span, false}; }

 private:
  const JsonNode* container_;
};

inline Json::Items Json::items() const { return Items(node_); }

/// A parsed text. Movable; what it hands out stays valid.
struct JsonDocument {
  std::vector<JsonNode> nodes;
  std::vector<char> text;  // the bytes of all strings

  Json root() const { return Json(nodes.data()); }
};

/// Parses an object or a list. Throws Error{format} naming `where`.
BERTHA_FUNCTION JsonDocument parse_json(std::string_view text, std::string_view where);

#if defined(BERTHA_DEFINES_FUNCTIONS)

inline constexpr std::size_t kMaxJsonDepth = 16;

BERTHA_FUNCTION void refuse_format(std::string_view where, std::string_view what) {
  throw_error(ErrorCode::format,
              {where, ": ", what, ". The file is damaged or not made by convert.py: convert it again."});
}

BERTHA_FUNCTION double Json::number() const {
  if (node_->kind == JsonKind::natural) return static_cast<double>(node_->natural);
  if (node_->kind == JsonKind::negative) return static_cast<double>(node_->negative);
  return node_->real;
}

BERTHA_FUNCTION Json Json::element(std::size_t index) const {
  auto at = items().begin();
  for (; index > 0; --index) ++at;
  return (*at).value;
}

BERTHA_FUNCTION std::string Json::shown() const {
  switch (node_->kind) {
    case JsonKind::null: return "null";
    case JsonKind::boolean: return boolean() ? "true" : "false";
    case JsonKind::natural: return std::to_string(node_->natural);
    case JsonKind::negative: return std::to_string(node_->negative);
    case JsonKind::real: return detail::shown(node_->real);
    case JsonKind::string: return detail::shown(string());
    case JsonKind::list: break;
    case JsonKind::object: return "an object";
  }
  if (size() > 4) return "a list of " + std::to_string(size());
  std::string text = "[";
  for (const auto [key, value] : items()) {
    text += text.size() > 1 ? ", " : "";
    text += value.is_list() ? "a list" : value.shown();
  }
  return text + "]";
}

/// Makes a document of what nlohmann's parser reports: its SAX interface, whose names these are.
class JsonBuilder {
 public:
  JsonBuilder(JsonDocument& document, std::string_view where) : document_(document), where_(where) {}

  bool null() { return add(JsonKind::null), true; }
  bool boolean(bool value) { return add(JsonKind::boolean).natural = value, true; }
  bool number_unsigned(std::uint64_t value) { return add(JsonKind::natural).natural = value, true; }
  bool number_integer(std::int64_t value) { return add(JsonKind::negative).negative = value, true; }
  bool number_float(double value, const std::string&) { return add(JsonKind::real).real = value, true; }
  bool string(const std::string& value) { return add_string(value), true; }
  bool binary(const std::vector<std::uint8_t>&) { return false; }  // JSON has none
  bool key(const std::string& name) { return add_string(name), true; }
  bool start_object(std::size_t) { return open(JsonKind::object), true; }
  bool start_array(std::size_t) { return open(JsonKind::list), true; }
  bool end_array() { return close(), true; }
  bool end_object() {
    JsonNode& object = close();
    keys_.clear();
    for (const auto [key, value] : Json(&object).items()) keys_.push_back(key);
    std::sort(keys_.begin(), keys_.end());
    const auto twice = std::adjacent_find(keys_.begin(), keys_.end());
    if (twice != keys_.end()) refuse_format(where_, concat({"the key ", shown(*twice), " is given twice"}));
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) {
    if (error.id == 406) refuse_format(where_, "a number in JSON is too large");
    refuse_format(where_, concat({"no valid JSON at byte ", position}));
  }

 private:
  // Room was made for all nodes and strings of the text; there are more only if somebody rewrites it meanwhile.
  JsonNode& add(JsonKind kind) {
    if (document_.nodes.size() == document_.nodes.capacity()) refuse_format(where_, "JSON changed while it was read");
    if (!open_.empty()) ++entries_.back();
    JsonNode& node = document_.nodes.emplace_back();
    node.kind = kind;
    return node;
  }
  void add_string(const std::string& value) {
    JsonNode& node = add(JsonKind::string);
    auto& text = document_.text;
    if (value.size() > text.capacity() - text.size()) refuse_format(where_, "JSON changed while it was read");
    node.text = text.data() + text.size();
    node.size = static_cast<std::uint32_t>(value.size());
    text.insert(text.end(), value.begin(), value.end());
  }
  void open(JsonKind kind) {
    if (open_.size() == kMaxJsonDepth) refuse_format(where_, concat({"JSON is nested deeper than ", kMaxJsonDepth}));
    add(kind);
    open_.push_back(document_.nodes.size() - 1);
    entries_.push_back(0);
  }
  JsonNode& close() {
    JsonNode& container = document_.nodes[open_.back()];
    container.span = document_.nodes.size() - open_.back();
    container.size = entries_.back() / (container.kind == JsonKind::object ? 2 : 1);
    open_.pop_back();
    entries_.pop_back();
    return container;
  }

  JsonDocument& document_;
  std::string_view where_;
  std::vector<std::size_t> open_;       // indices of the containers that are not closed yet, outermost first
  std::vector<std::uint32_t> entries_;  // nodes that stand directly in each of them
  std::vector<std::string_view> keys_;  // of the object that was closed last, sorted
};

BERTHA_FUNCTION JsonDocument parse_json(std::string_view text, std::string_view where) {
  // The parser would skip a byte order mark and take a NUL for the end of the text.
  if (text.empty() || (text.front() != '{' && text.front() != '[')) refuse_format(where, "JSON must start with { or [");
  // A key follows '{' or ',', a value follows '[', ',' or ':'.
  std::size_t most_nodes = 1;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\0') refuse_format(where, "a NUL byte in JSON");
    if (c == '"') in_string = !in_string;
    if (in_string && c == '\\') ++i;
    most_nodes += !in_string && (c == ',' || c == ':' || c == '[' || c == '{');
  }
  JsonDocument document;
  document.nodes.reserve(most_nodes);
  document.text.reserve(text.size());  // no escape is shorter than what it stands for
  JsonBuilder builder(document, where);
  // What json::sax_parse() does for JSON; that would also compile nlohmann's readers of binary formats.
  auto input = nlohmann::detail::input_adapter(text.data(), text.data() + text.size());
  nlohmann::detail::parser<nlohmann::json, decltype(input)>(std::move(input)).sax_parse(&builder);
  return document;
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
