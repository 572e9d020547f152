#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"

#include <bertha/file/json.hpp>
#include <string>
#include <vector>

namespace {

using bertha::ErrorCode;
using bertha::detail::Json;
using bertha::detail::JsonObject;
using bertha::detail::parse_json;
using bertha_test::expect_error;

void expect_refused(const std::string& text, std::string_view words) {
  expect_error(
      ErrorCode::format, {"where", words}, [&] { parse_json(text, "where"); }, text);
}

TEST(StrictJson, KeepsValues) {
  const std::string text = R"({"z":1,"a":[true,false,null,-2,0.5,"\u00e9\n"],"m":{"b":{},"a":[]}})";
  const Json json = parse_json(text, "where");
  EXPECT_EQ(json["a"], Json::array({true, false, nullptr, -2, 0.5, "\xc3\xa9\n"}));
  EXPECT_EQ(json["z"], 1);
  EXPECT_EQ(json["m"], Json({{"a", Json::array()}, {"b", Json::object()}}));
  EXPECT_EQ(json.size(), 3u);
  EXPECT_EQ(parse_json("[1]   \n", "where"), Json::array({1}));
}

TEST(StrictJson, TellsTheOuterKeysInTheOrderOfTheText) {
  std::vector<std::string> keys;
  parse_json(R"({"z":1,"a":{"inner":2},"m":[{"deep":3}],"b":null})", "where", &keys);
  EXPECT_EQ(keys, (std::vector<std::string>{"z", "a", "m", "b"}));
}

TEST(StrictJson, RefusesAKeyNamedTwiceAtAnyLevel) {
  expect_refused(R"({"a":1,"b":2,"a":3})", "\"a\"");
  expect_refused(R"({"x":[0,{"y":{"deep":1,"deep":1}}]})", "\"deep\"");
  expect_refused(R"({"a":1,"\u0061":2})", "\"a\"");
  EXPECT_EQ(parse_json(R"([{"a":1},{"a":{"a":2}}])", "where").size(), 2u);  // the same key in different objects is fine
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

TEST(JsonObject, NamesMissingAndUnknownKeys) {
  const Json json = parse_json(R"({"known":true,"extra":1})", "where");
  JsonObject object(json, "where");
  expect_error(ErrorCode::format, {"where", "'absent'", "missing"}, [&] { object.require<bool>("absent"); });
  EXPECT_TRUE(object.require<bool>("known"));
  expect_error(ErrorCode::format, {"where", "\"extra\"", "unknown"}, [&] { object.finish(); });
  EXPECT_EQ(object.integer("extra", 0, 1), 1u);
  EXPECT_NO_THROW(object.finish());
  const Json list = parse_json("[]", "where");
  expect_error(ErrorCode::format, {"where", "object"}, [&] { JsonObject wrong(list, "where"); });
}

TEST(JsonObject, TakesIntegersOnlyAsIntegers) {
  const Json json =
      parse_json(R"({"i":7,"f":7.0,"e":7e0,"n":-7,"z":-0,"h":18446744073709551616,"s":"7","b":true,"u":null})", "w");
  JsonObject object(json, "w");
  EXPECT_EQ(object.integer("i", 7, 7), 7u);
  expect_error(ErrorCode::format, {"'i'", "8 to 9", "got 7"}, [&] { object.integer("i", 8, 9); });
  expect_error(ErrorCode::format, {"'i'", "0 to 6", "got 7"}, [&] { object.integer("i", 0, 6); });
  for (const char* key : {"f", "e", "n", "z", "h", "s", "b", "u"}) {
    expect_error(
        ErrorCode::format, {"integer"}, [&] { object.integer(key, 0, 100); }, key);
  }
  EXPECT_EQ(object.require<double>("f"), 7.0);
  EXPECT_EQ(object.require<double>("i"), 7.0);
  expect_error(ErrorCode::format, {"number"}, [&] { object.require<double>("s"); });
  expect_error(ErrorCode::format, {"string"}, [&] { object.require<std::string>("i"); });
  expect_error(ErrorCode::format, {"true or false", "got 7"}, [&] { object.require<bool>("i"); });
}

TEST(JsonObject, NamesTheWordsThatItKnows) {
  const Json json = parse_json(R"({"act":"swish","number":3})", "w");
  JsonObject object(json, "w");
  EXPECT_EQ(object.choice<int>("act", {{"relu", 1}, {"swish", 2}}), 2);
  expect_error(ErrorCode::unsupported, {"'act'", "\"swish\"", "relu, gelu"}, [&] {
    object.choice<int>("act", {{"relu", 1}, {"gelu", 2}});
  });
  expect_error(ErrorCode::format, {"'number'", "string"}, [&] { object.choice<int>("number", {{"3", 1}}); });
}

TEST(JsonObject, ShowsValuesShortlyAndInAscii) {
  const Json json =
      parse_json("{\"long\":\"" + std::string(500, 'x') +
                     "\",\"odd\":\"a\xc3\xa9\\n\",\"pair\":[128,\"z\"],\"list\":[1,2,3,4,5],\"object\":{}}",
                 "w");
  JsonObject object(json, "w");
  EXPECT_LT(expect_error(ErrorCode::format, {"xxx...\""}, [&] { object.require<bool>("long"); }).size(), 200u);
  expect_error(ErrorCode::format, {R"("a???")"}, [&] { object.require<bool>("odd"); });
  expect_error(ErrorCode::format, {R"([128, "z"])"}, [&] { object.require<bool>("pair"); });
  expect_error(ErrorCode::format, {"a list of 5"}, [&] { object.require<bool>("list"); });
  expect_error(ErrorCode::format, {"an object"}, [&] { object.require<bool>("object"); });
}

}  // namespace
