// JSON as text: pieces keep their characters, and strings come out as Python writes them.

#include <bertha/file/json_text.hpp>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include "../../support/model_writer.hpp"

namespace {

using bertha::detail::json_of;
using bertha::detail::json_pieces;
using bertha::detail::json_string;

TEST(JsonText, TakesContainersApartWithoutChangingWhatIsInThem) {
  const std::string text = R"( { "a" : 1.50 ,"b,:":[1, {"c":"]}"}],  "d\"":"x\\" , "e":{} ,"f":null, "":-1E+05} )";
  std::vector<std::string> found;
  for (const auto& piece : json_pieces(text)) found.push_back(std::string(piece.key) + "=" + std::string(piece.value));
  EXPECT_EQ(found, (std::vector<std::string>{R"("a"=1.50)", R"("b,:"=[1, {"c":"]}"}])", R"("d\""="x\\")", R"("e"={})",
                                             R"("f"=null)", R"(""=-1E+05)"}));
  const std::string compact = R"({"a":1.50,"b":[1,{"c":"]}"}]})";
  EXPECT_EQ(json_of(json_pieces(compact), true), compact);
  EXPECT_EQ(json_of(json_pieces(" [ 1 ,[2, 3], \"a,b\" ]\n"), false), R"([1,[2, 3],"a,b"])");
  EXPECT_TRUE(json_pieces("{}").empty());
  EXPECT_TRUE(json_pieces(" [ ] ").empty());
}

TEST(JsonText, WritesStringsThatReadBackAndOnlyEscapesWhatItMust) {
  std::string all;
  for (char c = 1; c < 127; ++c) all += c;
  all += "\x7f\xc3\xa9\xe2\x82\xac";
  EXPECT_EQ(bertha_test::Json::parse(json_string(all)).get<std::string>(), all);
  EXPECT_EQ(json_string("a/\"\\\n\t\x1f\x7f\xc3\xa9"), "\"a/\\\"\\\\\\n\\t\\u001f\x7f\xc3\xa9\"");
}

}  // namespace
