#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"

#include <bertha/file/json.hpp>
#include <string>
#include <utility>

namespace {

using bertha::ErrorCode;
using bertha::detail::Json;
using bertha::detail::JsonDocument;
using bertha::detail::parse_json;
using bertha_test::expect_error;

void expect_refused(const std::string& text, std::string_view words) {
  expect_error(
      ErrorCode::format, {"where", words}, [&] { parse_json(text, "where"); }, text);
}

/// A document written again without spaces, strings as they are and all numbers as doubles.
std::string written(Json json) {
  if (json.is_null()) return "null";
  if (json.is_boolean()) return json.boolean() ? "true" : "false";
  if (json.is_number()) return std::to_string(json.number());
  if (json.is_string()) return '"' + std::string(json.string()) + '"';
  std::string text;
  for (const auto [key, value] : json.items()) {
    text += text.empty() ? "" : ",";
    if (json.is_object()) text += '"' + std::string(key) + "\":";
    text += written(value);
  }
  return json.is_object() ? '{' + text + '}' : '[' + text + ']';
}

TEST(StrictJson, KeepsValuesAndTheirOrder) {
  const JsonDocument document = parse_json(
      R"({"z":1,"a":[true,false,null,-2,0.5,"\u00e9\n\ud83d\ude00"], "m" : {"b":{},"a":[],"":[[{"x":[]}],3]}} )",
      "where");
  EXPECT_EQ(written(document.root()),
            "{\"z\":1.000000,\"a\":[true,false,null,-2.000000,0.500000,\"\xc3\xa9\n\xf0\x9f\x98\x80\"],"
            "\"m\":{\"b\":{},\"a\":[],\"\":[[{\"x\":[]}],3.000000]}}");
  EXPECT_EQ(document.root().size(), 3u);
  EXPECT_EQ(document.root().element(1).size(), 6u);
  EXPECT_EQ(document.root().element(1).element(4).number(), 0.5);
  EXPECT_EQ(document.root().element(2).size(), 3u);
  EXPECT_EQ(written(parse_json("[1]   \n", "where").root()), "[1.000000]");
  EXPECT_EQ(written(parse_json("[]", "where").root()), "[]");
  EXPECT_EQ(written(parse_json("{}", "where").root()), "{}");
}

TEST(StrictJson, TellsKindsOfNumbersApart) {
  const JsonDocument document = parse_json("[18446744073709551615,-1,-0,1.0,1e2,18446744073709551616]", "where");
  const Json list = document.root();
  EXPECT_TRUE(list.element(0).is_natural());
  EXPECT_EQ(list.element(0).natural(), 18446744073709551615u);
  for (std::size_t i = 1; i < 6; ++i) {
    EXPECT_FALSE(list.element(i).is_natural()) << i;
    EXPECT_TRUE(list.element(i).is_number()) << i;
  }
  EXPECT_EQ(list.element(1).number(), -1.0);
  EXPECT_EQ(list.element(4).number(), 100.0);
}

TEST(StrictJson, StaysValidWhenTheDocumentIsMoved) {
  JsonDocument first = parse_json(R"(["a","bc"])", "where");
  const Json second_string = first.root().element(1);
  const JsonDocument document = std::move(first);
  EXPECT_EQ(second_string.string(), "bc");
}

TEST(StrictJson, RefusesAKeyNamedTwiceAtAnyLevel) {
  expect_refused(R"({"a":1,"b":2,"a":3})", "\"a\"");
  expect_refused(R"({"x":[0,{"y":{"deep":1,"deep":1}}]})", "\"deep\"");
  expect_refused(R"({"a":1,"\u0061":2})", "\"a\"");
  EXPECT_NO_THROW(parse_json(R"([{"a":1},{"a":{"a":2}}])", "where"));  // the same key in different objects is fine
}

TEST(StrictJson, RefusesNestingDeeperThan16) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(parse_json(nested(16), "where"));
  expect_refused(nested(17), "deeper than 16");
  expect_refused(std::string(2000000, '['), "deeper than 16");
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  expect_refused(objects, "deeper than 16");
}

TEST(StrictJson, RefusesWhatIsNoJson) {
  for (const char* text :
       {"{", "[1,]", "{\"a\":}", "[01]", "[1]]", "{\"a\" 1}", "[NaN]", "['a']", "{a:1}", "[\"\t\"]"}) {
    expect_refused(text, "byte");
  }
  expect_refused("[1e999]", "too large");
  expect_refused("[1" + std::string(400, '0') + "]", "too large");
  for (const char* text : {"", " {}", "\xef\xbb\xbf{}", "1", "\"a\"", "null"}) expect_refused(text, "start");
}

TEST(StrictJson, RefusesInvalidUtf8) {
  for (const char* text : {"[\"\xff\"]", "[\"\xc3\"]", "[\"\xed\xa0\x80\"]", "[\"\xc0\x80\"]", "[\"\\ud800\"]",
                           "[\"\xf4\x90\x80\x80\"]"}) {
    expect_refused(text, "byte");
  }
}

TEST(StrictJson, RefusesNulBytesInsteadOfEndingThere) {
  expect_refused(std::string("{}\0 garbage", 11), "NUL");
  expect_refused(std::string("[\"a\0b\"]", 7), "NUL");
}

}  // namespace
