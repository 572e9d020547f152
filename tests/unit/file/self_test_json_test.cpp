#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"

#include <bertha/file/self_test_json.hpp>
#include <string>
#include <vector>

namespace {

using bertha::ErrorCode;
using bertha::HeadKind;
using bertha::ModelConfig;
using bertha::PrecisionKind;
using bertha::SelfTestCase;
using bertha_test::expect_error;
using bertha_test::Json;

ModelConfig config() {
  ModelConfig config;
  config.head = HeadKind::sequence_classification;
  config.labels = {"a", "b"};
  config.precision = PrecisionKind::int8;
  return config;
}

Json one_case() {
  return {{"text", "a b"},
          {"text_pair", nullptr},
          {"ids", {2, 5, 3}},
          {"type_ids", {0, 0, 0}},
          {"offsets", {{0, 0}, {0, 1}, {0, 0}}},
          {"logits", {{0.5, -1.25}}},
          {"logits_bytes", "0000003f0000a0bf"},
          {"answer", R"([{"label":"a","score":0.9012653827667236}])"}};
}

std::vector<SelfTestCase> read(const Json& list, const ModelConfig& model = config()) {
  return bertha::detail::read_self_test(list.dump(), model, "f: selftest");
}

void expect_refused(const Json& change, std::initializer_list<std::string_view> words,
                    const ModelConfig& model = config()) {
  Json item = one_case();
  item.update(change);
  const Json list = Json::array({one_case(), item});
  expect_error(
      ErrorCode::format, {"f: selftest"}, [&] { read(list, model); }, change.dump());
  expect_error(
      ErrorCode::format, words, [&] { read(list, model); }, change.dump());
}

TEST(SelfTestJson, ReadsEveryField) {
  Json pair = one_case();
  pair.update({{"text_pair", "c"}, {"logits", nullptr}, {"logits_bytes", nullptr}, {"answer", nullptr}});
  const auto cases = read(Json::array({one_case(), pair}));
  ASSERT_EQ(cases.size(), 2u);
  EXPECT_EQ(cases[0].text, "a b");
  EXPECT_EQ(cases[0].text_pair, std::nullopt);
  EXPECT_EQ(cases[0].ids, (std::vector<std::uint32_t>{2, 5, 3}));
  EXPECT_EQ(cases[0].type_ids, (std::vector<std::uint32_t>{0, 0, 0}));
  EXPECT_EQ(cases[0].offsets, (std::vector<std::size_t>{0, 0, 0, 1, 0, 0}));
  EXPECT_EQ(cases[0].logits, (std::vector<float>{0.5f, -1.25f}));
  EXPECT_EQ(cases[0].logits_bytes, "0000003f0000a0bf");
  EXPECT_EQ(cases[0].answer, R"([{"label":"a","score":0.9012653827667236}])");  // keys and digits as they were
  EXPECT_EQ(cases[1].text_pair, "c");
  EXPECT_TRUE(cases[1].logits.empty());
  EXPECT_EQ(cases[1].logits_bytes, "");
  EXPECT_EQ(cases[1].answer, "");
  EXPECT_TRUE(read(Json::array()).empty());
}

TEST(SelfTestJson, ReadsARowOfLogitsForEachTokenOfOtherHeads) {
  ModelConfig model = config();
  model.head = HeadKind::token_classification;
  Json item = one_case();
  item.update({{"logits", {{1, 2}, {3, 4}, {5, 6}}}, {"logits_bytes", nullptr}});
  EXPECT_EQ(read(Json::array({item}), model)[0].logits, (std::vector<float>{1, 2, 3, 4, 5, 6}));
  expect_refused(Json::object(), {"selftest[0]", "'logits'", "3 rows"}, model);
  model.head = HeadKind::custom;
  item["logits"] = {{1, 2, 3}};
  EXPECT_EQ(read(Json::array({item}), model)[0].logits, (std::vector<float>{1, 2, 3}));
}

TEST(SelfTestJson, NamesTheCaseAndTheFieldThatIsWrong) {
  expect_refused({{"text", 1}}, {"selftest[1]", "'text'", "string"});
  expect_refused({{"text_pair", 1}}, {"selftest[1]", "'text_pair'"});
  expect_refused({{"ids", {2, -5, 3}}}, {"'ids'"});
  expect_refused({{"ids", {2, 5.0, 3}}}, {"'ids'"});
  expect_refused({{"ids", {2, 4294967296, 3}}}, {"'ids'"});
  expect_refused({{"ids", "2"}}, {"'ids'", "list"});
  expect_refused({{"type_ids", {0, 0}}}, {"'type_ids'", "as long as ids"});
  expect_refused({{"offsets", {{0, 0}, {0, 1}}}}, {"'offsets'", "3 tokens"});
  expect_refused({{"offsets", {{0, 0}, {1, 0}, {0, 0}}}}, {"'offsets'"});
  expect_refused({{"offsets", {{0, 0}, {0, 1, 2}, {0, 0}}}}, {"'offsets'"});
  expect_refused({{"offsets", {{0, 0}, {-1, 1}, {0, 0}}}}, {"'offsets'"});
  expect_refused({{"offsets", {0, 1, 2}}}, {"'offsets'"});
  expect_refused({{"logits", {0.5, -1.25}}}, {"'logits'"});
  expect_refused({{"logits", {{0.5}}}}, {"'logits'", "rows of 2"});
  expect_refused({{"logits", {{0.5, "x"}}}}, {"'logits'"});
  expect_refused({{"logits", {{0.5, 1e39}}}}, {"'logits'", "float32"});
  expect_refused({{"logits_bytes", "0000003f"}}, {"'logits_bytes'"});
  expect_refused({{"logits_bytes", "0000003F0000A0BF"}}, {"'logits_bytes'"});
  expect_refused({{"logits_bytes", 5}}, {"'logits_bytes'", "string"});
  expect_refused({{"answer", {1}}}, {"'answer'"});
  expect_refused({{"more", 1}}, {"\"more\"", "unknown"});
  const Json whole = one_case();
  for (const auto& [key, value] : whole.items()) {
    Json item = one_case();
    item.erase(key);
    expect_error(ErrorCode::format, {"selftest[0]", "'" + key + "'", "missing"}, [&] { read(Json::array({item})); });
  }
  expect_error(ErrorCode::format, {"list"}, [] { read(Json::object()); });
}

TEST(SelfTestJson, HoldsLogitsAgainstTheModel) {
  ModelConfig model = config();
  model.precision = PrecisionKind::float32;
  expect_refused(Json::object(), {"'logits_bytes'", "int8"}, model);
  model = config();
  model.head = HeadKind::none;
  expect_refused(Json::object(), {"'logits'", "without a head"}, model);
}

}  // namespace
