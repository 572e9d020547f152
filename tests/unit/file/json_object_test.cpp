#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"

#include <bertha/file/json_object.hpp>
#include <string>

namespace {

using bertha::ErrorCode;
using bertha::detail::JsonDocument;
using bertha::detail::JsonObject;
using bertha::detail::parse_json;
using bertha_test::expect_error;

TEST(JsonObject, NamesMissingAndUnknownKeys) {
  const JsonDocument document = parse_json(R"({"known":true,"extra":1})", "where");
  JsonObject object(document.root(), "where");
  expect_error(ErrorCode::format, {"where", "'absent'", "missing"}, [&] { object.boolean("absent"); });
  EXPECT_TRUE(object.boolean("known"));
  expect_error(ErrorCode::format, {"where", "\"extra\"", "unknown"}, [&] { object.finish(); });
  EXPECT_EQ(object.integer("extra", 0, 1), 1u);
  EXPECT_NO_THROW(object.finish());
  const JsonDocument list = parse_json("[]", "where");
  expect_error(ErrorCode::format, {"where", "object"}, [&] { JsonObject wrong(list.root(), "where"); });
}

TEST(JsonObject, TakesIntegersOnlyAsIntegers) {
  const JsonDocument document =
      parse_json(R"({"i":7,"f":7.0,"e":7e0,"n":-7,"z":-0,"h":18446744073709551616,"s":"7","b":true,"u":null})", "w");
  JsonObject object(document.root(), "w");
  EXPECT_EQ(object.integer("i", 7, 7), 7u);
  expect_error(ErrorCode::format, {"'i'", "8 to 9", "got 7"}, [&] { object.integer("i", 8, 9); });
  expect_error(ErrorCode::format, {"'i'", "0 to 6", "got 7"}, [&] { object.integer("i", 0, 6); });
  for (const char* key : {"f", "e", "n", "z", "h", "s", "b", "u"}) {
    expect_error(
        ErrorCode::format, {"integer"}, [&] { object.integer(key, 0, 100); }, key);
  }
  EXPECT_EQ(object.number("f"), 7.0);
  EXPECT_EQ(object.number("i"), 7.0);
  expect_error(ErrorCode::format, {"number"}, [&] { object.number("s"); });
  expect_error(ErrorCode::format, {"string"}, [&] { object.string("i"); });
  expect_error(ErrorCode::format, {"true or false", "got 7"}, [&] { object.boolean("i"); });
}

TEST(JsonObject, NamesTheWordsThatItKnows) {
  const JsonDocument document = parse_json(R"({"act":"swish","number":3})", "w");
  JsonObject object(document.root(), "w");
  EXPECT_EQ(object.choice<int>("act", {{"relu", 1}, {"swish", 2}}), 2);
  expect_error(ErrorCode::unsupported, {"'act'", "\"swish\"", "relu, gelu"}, [&] {
    object.choice<int>("act", {{"relu", 1}, {"gelu", 2}});
  });
  expect_error(ErrorCode::format, {"'number'", "string"}, [&] { object.choice<int>("number", {{"3", 1}}); });
}

TEST(JsonObject, RefusesMoreThan64Keys) {
  std::string text = "{\"key0\":0";
  for (int i = 1; i < 64; ++i) text += ",\"key" + std::to_string(i) + "\":" + std::to_string(i);
  const JsonDocument most = parse_json(text + "}", "w");
  JsonObject object(most.root(), "w");
  for (std::size_t i = 0; i < 63; ++i) EXPECT_EQ(object.integer("key" + std::to_string(i), i, i), i);
  expect_error(ErrorCode::format, {"\"key63\"", "unknown"}, [&] { object.finish(); });
  EXPECT_EQ(object.integer("key63", 0, 63), 63u);
  EXPECT_NO_THROW(object.finish());
  const JsonDocument more = parse_json(text + ",\"x\":0}", "w");
  expect_error(ErrorCode::format, {"w", "65 keys", "at most 64"}, [&] { JsonObject wrong(more.root(), "w"); });
}

TEST(JsonObject, ShowsValuesShortlyAndInAscii) {
  const std::string x500(500, 'x');
  const JsonDocument document =
      parse_json("{\"long\":\"" + x500 +
                     "\",\"odd\":\"a\xc3\xa9\\n\",\"pair\":[128,\"z\"],\"list\":[1,2,3,4,5],\"object\":{},"
                     "\"nested\":[[1,[2]],[],-1,0.5]}",
                 "w");
  JsonObject object(document.root(), "w");
  EXPECT_LT(expect_error(ErrorCode::format, {"xxx...\""}, [&] { object.boolean("long"); }).size(), 200u);
  expect_error(ErrorCode::format, {R"("a???")"}, [&] { object.boolean("odd"); });
  expect_error(ErrorCode::format, {R"([128, "z"])"}, [&] { object.boolean("pair"); });
  expect_error(ErrorCode::format, {"a list of 5"}, [&] { object.boolean("list"); });
  expect_error(ErrorCode::format, {"an object"}, [&] { object.boolean("object"); });
  expect_error(ErrorCode::format, {"[a list, a list, -1, 0.500000]"}, [&] { object.boolean("nested"); });
}

}  // namespace
