// run_task: a task of one's own, and what becomes of inputs that it, or the model, can't take.

#include <atomic>
#include <bertha/heads/sequence_classification.hpp>
#include <bertha/pipelines/answer_task.hpp>
#include <bertha/pipelines/classification_task.hpp>
#include <bertha/pipelines/entity_task.hpp>
#include <bertha/pipelines/task.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"

namespace {

using bertha::BadInput;
using bertha::Encoding;
using bertha::ErrorCode;
using bertha::MatrixView;
using bertha_test::AlignedBytes;
using bertha_test::expect_error;
using bertha_test::ModelWriter;

/// Every word of a text is a window of its own; the result tells how many there are, and a logit of each.
/// Counts the texts that have been encoded and not decoded yet.
struct WordByWord {
  using Input = std::string_view;
  using Options = int;
  struct Result {
    std::size_t words = 0;
    std::vector<float> logits;
  };
  static constexpr std::string_view noun = "line";

  std::vector<Encoding> encode(std::string_view text, const bertha::Stop& stop) const {
    if (text == "bad to encode") bertha::throw_error(ErrorCode::input, {"it can't be encoded"});
    if (text == "stop") source.request_stop();
    waiting_most = std::max<std::size_t>(waiting_most, ++waiting);
    std::vector<Encoding> windows;
    for (std::size_t at = 0; (at = text.find_first_not_of(' ', at)) != text.npos;) {
      const std::size_t end = std::min(text.find(' ', at), text.size());
      windows.push_back(tokenizer.encode(text.substr(at, end - at), {.stop = stop}));
      ++encoded;
      if (text.substr(at, end - at) == "cat") windows.back().type_ids[1] = 7;
      at = end;
    }
    return windows;
  }
  Result decode(std::string_view text, std::span<const Encoding> windows,
                std::span<const MatrixView<const float>> logits) const {
    --waiting;
    if (text == "bad to decode") bertha::throw_error(ErrorCode::unsupported, {"it can't be decoded"});
    Result result{windows.size(), {}};
    for (const auto& one : logits) result.logits.push_back(one(0, 0));
    return result;
  }

  const bertha::Tokenizer& tokenizer;
  mutable std::stop_source source = {};
  mutable std::atomic<std::size_t> waiting{0}, waiting_most{0}, encoded{0};
};
static_assert(bertha::Task<WordByWord>);

struct Loaded {
  AlignedBytes bytes{ModelWriter::tiny().bytes()};
  bertha::Model<bertha::SequenceClassification> model =
      bertha::Model<bertha::SequenceClassification>::load(bytes.span());
};

TEST(RunTask, GivesEveryInputItsOwnWindows) {
  const Loaded loaded;
  const WordByWord task{loaded.model.tokenizer()};
  const std::vector<std::string_view> texts = {"the sat", "", "a", "the the the", "sat"};
  const auto outcomes = run_task(loaded.model, task, std::span(texts));
  const std::size_t words[] = {2, 0, 1, 3, 1};
  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(outcomes[i]->words, words[i]);
  EXPECT_EQ(outcomes[0]->logits, (std::vector<float>{outcomes[3]->logits[2], outcomes[4]->logits[0]}));
  EXPECT_NE(outcomes[0]->logits[0], outcomes[0]->logits[1]);
}

TEST(RunTask, KeepsTheErrorsOfInputsApart) {
  const Loaded loaded;
  const WordByWord task{loaded.model.tokenizer()};
  const std::vector<std::string_view> texts = {"the", "bad to encode", "bad to decode", "a cat", "sat"};
  const auto outcomes = run_task(loaded.model, task, std::span(texts));
  EXPECT_TRUE(outcomes[0] && outcomes[4]);
  const std::string_view says[] = {"", "it can't be encoded", "it can't be decoded", "type 7"};
  for (std::size_t i = 1; i < 4; ++i) {
    ASSERT_FALSE(outcomes[i]);
    EXPECT_EQ(outcomes[i].error().item(), i);
    EXPECT_NE(std::string_view(outcomes[i].error().what()).find(says[i]), std::string_view::npos);
  }
  EXPECT_EQ(outcomes[2].error().code(), ErrorCode::unsupported);
  const auto all = [&](std::span<const std::string_view> some) {
    run_task(loaded.model, task, some, {}, BadInput::ends_the_call);
  };
  expect_error(ErrorCode::input, {"line 2 of 5: it can't be encoded"}, [&] { all(texts); });
  expect_error(ErrorCode::unsupported, {"line 1 of 1: it can't be decoded"},
               [&] { all(std::span(texts).subspan(2, 1)); });
}

/// The hidden states, or as a call has it their multiple: rows of sequences' first tokens, or of chosen ones.
struct States {
  using Output = bertha::Logits;
  static constexpr bertha::Reads reads = bertha::Reads::tokens;

  static States load(bertha::WeightFile&, const bertha::ModelConfig&) { return {}; }
  Output operator()(const bertha::EncoderOutput& output, bertha::Workspace&) const {
    const bool chosen = gives == bertha::Gives::chosen_rows;
    Output rows{chosen ? output.hidden.rows : output.sequences(), output.hidden.cols, {}};
    for (std::size_t r = 0; r < rows.rows; ++r)
      for (std::size_t h = 0; h < rows.cols; ++h)
        rows.values.push_back(factor * output.hidden(chosen ? r : output.starts[r], h));
    return rows;
  }

  bertha::Gives gives = bertha::Gives::sequence_rows;
  float factor = 1;
};

/// As WordByWord, for the second and the first token of each word, twice what they are.
struct Twice : WordByWord {
  States head(const States& loaded) const {
    States twice = loaded;
    twice.gives = bertha::Gives::chosen_rows;
    twice.factor = 2;
    return twice;
  }
  std::vector<std::uint32_t> chosen(const Encoding&) const { return {1, 0}; }
  Result decode(std::string_view, std::span<const Encoding> windows,
                std::span<const MatrixView<const float>> logits) const {
    Result result{windows.size(), {}};
    for (const auto& one : logits) {
      EXPECT_EQ(one.rows, 2u);
      result.logits.push_back(one(1, 0));
    }
    return result;
  }
};

TEST(RunTask, RunsTheHeadOfItsCallOnTheTokensThatItsTaskChooses) {
  bertha_test::TinyOptions options;
  options.head = "custom";
  options.pooler = "";
  const AlignedBytes bytes(ModelWriter::tiny(options).bytes());
  const auto model = bertha::Model<States>::load(bytes.span());
  const WordByWord once{model.tokenizer()};
  const Twice twice{{model.tokenizer()}};
  const std::vector<std::string_view> texts = {"the sat", "", "a", "the the the", "sat a"};
  for (const std::size_t limit : {std::size_t{1}, std::size_t{16'384}}) {
    const auto single = run_task(model, once, std::span(texts), {.max_batch_tokens = limit});
    const auto doubled = run_task(model, twice, std::span(texts), {.max_batch_tokens = limit});
    for (std::size_t i = 0; i < texts.size(); ++i) {
      std::vector<float> expected = single[i]->logits;
      for (float& logit : expected) logit *= 2;
      EXPECT_EQ(doubled[i]->logits, expected) << texts[i];
      EXPECT_EQ(doubled[i]->words, expected.size());
    }
  }
}

/// The text that stops the call is not encoded to its end, nor are those after it.
TEST(RunTask, StopsWithinAText) {
  const Loaded loaded;
  const WordByWord task{loaded.model.tokenizer()};
  const std::vector<std::string_view> texts = {"the", "stop", "sat"};
  const bertha::CallOptions call = {.max_threads = 1, .stop_token = task.source.get_token()};
  expect_error(ErrorCode::stopped, {}, [&] { run_task(loaded.model, task, std::span(texts), call); });
  EXPECT_EQ(task.encoded, 1u);
}

/// The tasks of the pipelines leave a text when they are told to, wherever they are in it.
TEST(Tasks, LookAtTheStopWhileTheyEncode) {
  const Loaded loaded;
  const bertha::Tokenizer& tokenizer = loaded.model.tokenizer();
  const bertha::ModelConfig& config = loaded.model.config();
  std::stop_source source;
  const bertha::Stop stop(source.get_token(), {});
  const bertha::ClassificationOptions to_classify;
  const bertha::EntityOptions to_find, in_windows = {bertha::AggregationStrategy::simple, {}, false, 2};
  const bertha::AnswerOptions to_answer;
  const bertha::ClassificationTask classification(tokenizer, config, to_classify);
  const bertha::EntityTask entities(tokenizer, config, to_find), windows(tokenizer, config, in_windows);
  const bertha::AnswerTask answers(tokenizer, config, to_answer);
  const std::function<std::size_t()> tasks[] = {
      [&] { return classification.encode("the cat", stop).size(); },
      [&] {
        return classification.encode({"the", "cat"}, stop).size();
      },
      [&] { return entities.encode("the cat", stop).size(); },
      [&] { return windows.encode("the cat", stop).size(); },
      [&] {
        return answers.encode({"the", "cat"}, stop).size();
      },
  };
  for (const auto& encode : tasks) EXPECT_EQ(encode(), 1u);
  source.request_stop();
  for (const auto& encode : tasks) expect_error(ErrorCode::stopped, {}, encode);
}

/// However many there are, no more than about 1 MiB of texts wait to be decoded.
TEST(RunTask, HoldsTheEncodingsOfASliceOnly) {
  const Loaded loaded;
  const WordByWord task{loaded.model.tokenizer()};
  const std::string one = std::string(4000, ' ') + "sat";
  const std::vector<std::string_view> texts(2000, one);
  const auto outcomes = run_task(loaded.model, task, std::span(texts));
  for (const auto& outcome : outcomes) EXPECT_EQ(outcome->logits, outcomes[0]->logits);
  EXPECT_EQ(task.waiting, 0u);
  EXPECT_GT(task.waiting_most, 100u);
  EXPECT_LT(task.waiting_most, 300u);
}

}  // namespace
