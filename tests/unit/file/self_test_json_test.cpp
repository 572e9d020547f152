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
  config.max_length = 3;
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
  item.update({{"logits", {{1, 2}, {3, 4}, {5, 6}}}, {"logits_bytes", nullptr}, {"answer", nullptr}});
  EXPECT_EQ(read(Json::array({item}), model)[0].logits, (std::vector<float>{1, 2, 3, 4, 5, 6}));
  expect_refused(Json::object(), {"selftest[0]", "'logits'", "3 rows"}, model);
  model.head = HeadKind::custom;
  item["logits"] = {{1, 2, 3}};
  EXPECT_EQ(read(Json::array({item}), model)[0].logits, (std::vector<float>{1, 2, 3}));
}

TEST(SelfTestJson, ReadsSomeColumnsOfTheMasksOfAMaskedLmHead) {
  ModelConfig model = config();
  model.head = HeadKind::masked_lm;
  model.labels.clear();
  model.vocab_size = 9;
  Json item = one_case();
  const std::string filling = R"({"score":0.5,"token":7,"token_str":"a","sequence":"a b"})";
  item.update({{"positions", {0, 2}},
               {"columns", {1, 7, 8}},
               {"logits", {{1, 2, 3}, {4, 5, 6}}},
               {"logits_bytes", nullptr},
               {"answer", "[[" + filling + "],[" + filling + "]]"}});
  const auto read_one = [&] { return read(Json::array({item}), model)[0]; };
  EXPECT_EQ(read_one().positions, (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(read_one().columns, (std::vector<std::uint32_t>{1, 7, 8}));
  EXPECT_EQ(read_one().logits, (std::vector<float>{1, 2, 3, 4, 5, 6}));
  item["answer"] = "[" + filling + "]";
  EXPECT_EQ(read_one().answer, "[" + filling + "]");
  const auto refused = [&](const char* key, Json value, std::initializer_list<std::string_view> says) {
    const Json good = item;
    item[key] = std::move(value);
    expect_error(ErrorCode::format, says, read_one);
    item = good;
  };
  refused("positions", {0, 3}, {"'positions'", "below 3"});
  refused("positions", {2, 0}, {"'positions'", "increasing"});
  refused("columns", {1, 7, 9}, {"'columns'", "below 9"});
  refused("columns", {1, 1, 2}, {"'columns'", "increasing"});
  refused("columns", {1, 2}, {"'logits'", "rows of 2"});
  refused("positions", {0}, {"'logits'", "1 rows"});
  refused("answer", R"([{"score":0.5,"token":7,"sequence":"a"}])", {"'token_str'", "missing"});
  refused("answer", R"([[{"score":0.5,"token":-7,"token_str":"","sequence":"a"}]])", {"'token'"});
  refused("answer", R"([[[]]])", {"answer"});
  item.erase("columns");
  expect_error(ErrorCode::format, {"'columns'", "missing"}, read_one);
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
  expect_refused({{"ids", {2, 5, 5, 3}}}, {"'ids'", "at most 3"});
  expect_refused({{"offsets", {{0, 0}, {3, 4}, {0, 0}}}}, {"'offsets'", "within the text"});
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

/// Refused: an answer of that text to a case that `change` makes, of a model with that head.
void expect_answer_refused(HeadKind head, const Json& change, const std::string& answer,
                           std::initializer_list<std::string_view> words) {
  ModelConfig model = config();
  model.head = head;
  if (head == HeadKind::question_answering) model.labels = {"start", "end"};
  Json item = one_case();
  item.update({{"logits", nullptr}, {"logits_bytes", nullptr}, {"answer", answer}});
  item.update(change);
  expect_error(
      ErrorCode::format, words, [&] { read(Json::array({item}), model); }, answer);
}

TEST(SelfTestJson, HoldsAnswersAgainstTheHeadsPipeline) {
  const auto label = [](const std::string& answer, std::initializer_list<std::string_view> words) {
    expect_answer_refused(HeadKind::sequence_classification, Json::object(), answer, words);
  };
  for (const char* text : {"", "no JSON", "[", "null", "1", "\"a\"", "[{}]]", "\xef\xbb\xbf[]"})
    label(text, {"answer"});
  label("{}", {"answer", "list"});
  label("[1]", {"answer", "object"});
  label(R"([{"label":"a"}])", {"'score'", "missing"});
  label(R"([{"label":"a","score":"1"}])", {"'score'", "number"});
  label(R"([{"label":"c","score":1}])", {"'label'", "\"c\"", "one of the model's labels"});
  label(R"([{"label":0,"score":1}])", {"'label'", "string"});
  label(R"([{"label":"a","score":1,"index":1}])", {"\"index\"", "unknown"});

  const auto entity = [](const Json& change, std::initializer_list<std::string_view> words, const Json& more = {}) {
    Json one = {{"entity", "a"}, {"score", 0.5}, {"index", 1}, {"word", "b"}, {"start", 2}, {"end", 3}};
    one.update(change);
    expect_answer_refused(HeadKind::token_classification, more.is_null() ? Json::object() : more,
                          Json::array({one}).dump(), words);
  };
  entity({{"entity", "c"}}, {"'entity'", "one of the model's labels"});
  entity({{"index", 4}}, {"'index'", "0 to 3"});
  entity({{"word", nullptr}}, {"'word'", "string"});
  entity({{"start", 3}, {"end", 2}}, {"'start'", "0 to 2"});
  entity({{"end", 4}}, {"'end'", "0 to 3"});
  entity(Json::object(), {"'answer'", "null for a pair"}, {{"text_pair", "c"}});

  const auto answer = [](const Json& change, std::initializer_list<std::string_view> words, bool listed = false) {
    Json one = {{"score", 0.5}, {"start", 0}, {"end", 2}, {"answer", "x"}};
    one.update(change);
    const Json pair = {{"text_pair", "\xc3\xa9x"}};
    expect_answer_refused(HeadKind::question_answering, pair, (listed ? Json::array({one}) : one).dump(), words);
  };
  answer({{"end", 3}}, {"'end'", "0 to 2"});
  answer({{"end", 3}}, {"'end'", "0 to 2"}, true);
  answer({{"answer", 1}}, {"'answer'", "string"});
  answer({{"score", nullptr}}, {"'score'", "number"});
  expect_answer_refused(HeadKind::question_answering, Json::object(), R"({"score":1,"start":0,"end":1,"answer":"a"})",
                        {"selftest[0]", "'text_pair'", "context"});
  expect_answer_refused(HeadKind::custom, Json::object(), "[]", {"'answer'", "null"});
  expect_answer_refused(HeadKind::none, Json::object(), "[]", {"'answer'", "null"});
}

TEST(SelfTestJson, TakesTheAnswersOfEveryPipeline) {
  ModelConfig model = config();
  const auto take = [&](const Json& change) {
    Json item = one_case();
    item.update({{"logits", nullptr}, {"logits_bytes", nullptr}});
    item.update(change);
    EXPECT_EQ(read(Json::array({item}), model).at(0).answer, item["answer"]);
  };
  take({{"answer", "[]"}});
  take({{"text_pair", "c"}, {"answer", R"([{"label":"b","score":1e-7},{"label":"a","score":0}])"}});
  model.head = HeadKind::token_classification;
  take({{"answer", "[]"}});
  take({{"answer", R"([{"entity":"b","score":0.5,"index":1,"word":"","start":0,"end":3}])"}});
  model.head = HeadKind::question_answering;
  take({{"text_pair", "cd"}, {"answer", R"({"score":0.5,"start":2,"end":2,"answer":""})"}});
  take({{"text_pair", "cd"}, {"answer", R"([{"score":0.5,"start":0,"end":1,"answer":"c"}])"}});
}

}  // namespace
