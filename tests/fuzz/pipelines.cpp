// Any texts and options through every pipeline: results keep their promises, bad input is an Error and nobody else's.
//
// Input: the number of a pipeline, its options, then texts, each ended by a NUL.

#include "input.hpp"

#include <bertha/bertha.hpp>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using bertha_fuzz::Input;
using bertha_fuzz::require;

/// The pipeline of a golden's model, loaded once.
template <class Pipeline>
const Pipeline& load(const std::string& name) {
  static std::map<std::string, Pipeline> loaded;
  if (const auto found = loaded.find(name); found != loaded.end()) return found->second;
  return loaded.emplace(name, Pipeline::load(BERTHA_TEST_DATA "/golden/models/" + name + ".safetensors")).first->second;
}

std::vector<std::string> texts_of(Input& input) {
  std::vector<std::string> texts(1);
  for (const char byte : input.rest()) {
    if (byte != '\0')
      texts.back() += byte;
    else if (texts.size() < 6)
      texts.emplace_back();
  }
  return texts;
}

/// All inputs at once and each alone give the same, results or errors.
template <class Pipeline, class Same>
void compare(const Pipeline& pipeline, const std::vector<typename Pipeline::Input>& inputs,
             const typename Pipeline::Options& options, const Same& same) {
  const bertha::CallOptions call = {.max_threads = 1, .max_batch_tokens = 64};
  try {
    const auto together = pipeline.try_run(inputs, options, call);
    require(together.size() == inputs.size(), "an outcome for each input");
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      try {
        const auto alone = pipeline.run(inputs[i], options, call);
        require(together[i].has_value(), "what is good alone is good among others");
        same(i, alone, *together[i]);
      } catch (const bertha::Error& error) {
        require(!together[i].has_value(), "what is bad alone is bad among others");
        require(error.code() == bertha::ErrorCode::input, "a bad input is the input's fault");
        require(bertha::replace_invalid_utf8(error.what()) == error.what(), "messages are UTF-8");
      }
    }
  } catch (const bertha::Error& error) {  // options that no input could run with
    require(error.code() == bertha::ErrorCode::input || error.code() == bertha::ErrorCode::unsupported,
            "bad options are the input's fault");
  }
}

bool is_probability(float score) { return score >= 0 && score <= 1.0001f; }

void check_labels(const std::vector<bertha::LabelScore>& a, const std::vector<bertha::LabelScore>& b) {
  require(a.size() == b.size(), "as many labels");
  for (std::size_t i = 0; i < a.size(); ++i) {
    require(a[i].label == b[i].label && a[i].score == b[i].score, "the same labels and bits of scores");
    require(std::isfinite(a[i].score), "scores are numbers");
    require(i == 0 || a[i - 1].score >= a[i].score, "best first");
  }
}

void check_range(std::string_view text, std::size_t start, std::size_t end) {
  require(start <= end && end <= text.size(), "a range is in its text");
  const auto is_border = [&](std::size_t at) {
    return at == text.size() || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
  };
  require(is_border(start) && is_border(end), "a range is of whole characters");
}

std::size_t small(Input& input) { return input.flag() ? input.byte() : 0; }

void classify(Input& input) {
  constexpr const char* kModels[] = {"classify_two",         "classify_multi_label", "roberta_classify",
                                     "xlm_roberta_classify", "classify_regression",  "next_sentence",
                                     "modern_classify",      "nomic_classify",       "deberta_classify",
                                     "eurobert_classify",    "neobert_classify",     "hub_deberta_classify"};
  constexpr bertha::FunctionToApply kFunctions[] = {bertha::FunctionToApply::automatic,
                                                    bertha::FunctionToApply::softmax, bertha::FunctionToApply::sigmoid,
                                                    bertha::FunctionToApply::none};
  const auto& pipeline = load<bertha::TextClassifier>(input.one_of(kModels));
  bertha::ClassificationOptions options;
  if (input.flag()) options.top_k = input.byte();
  options.function_to_apply = input.one_of(kFunctions);
  options.truncation = static_cast<bertha::Truncation>(input.below(5));
  options.max_length = small(input);
  if (input.flag()) options.windows = {.stride = small(input), .reduce = static_cast<bertha::Reduce>(input.below(4))};
  options.split_special_tokens = input.flag();
  const bool pairs = input.flag();
  const auto texts = texts_of(input);
  std::vector<bertha::TextInput> inputs;
  for (std::size_t i = 0; i < texts.size(); ++i)
    pairs ? inputs.emplace_back(texts[i], texts[(i + 1) % texts.size()]) : inputs.emplace_back(texts[i]);
  compare(pipeline, inputs, options, [&](std::size_t i, const auto& a, const auto& b) {
    check_labels(a.labels, b.labels);
    check_range(texts[i], a.info.covered.start, a.info.covered.end);
  });
}

void entities(Input& input) {
  constexpr const char* kModels[] = {"entities",        "entities_bioes",  "roberta_entities", "xlm_roberta_entities",
                                     "albert_entities", "modern_entities", "deberta_entities", "mpnet_entities"};
  const auto& pipeline = load<bertha::EntityRecognizer>(input.one_of(kModels));
  bertha::EntityOptions options;
  options.aggregation_strategy = static_cast<bertha::AggregationStrategy>(input.below(6));
  if (input.flag()) options.ignore_labels = {};
  options.truncation = input.flag();
  if (input.flag()) options.stride = small(input);
  options.max_length = small(input);
  options.split_special_tokens = input.flag();
  options.word_grouping = static_cast<bertha::WordGrouping>(input.below(3));
  options.label_scheme = static_cast<bertha::LabelScheme>(input.below(3));
  options.decoding = static_cast<bertha::LabelDecoding>(input.below(3));
  options.top_k = small(input);
  const bool in_words = input.flag();
  auto texts = texts_of(input);
  std::vector<bertha::SplitText> split;
  for (std::string& text : texts) {
    std::vector<std::string> words;
    for (std::size_t begin = 0, end = 0; begin <= text.size(); begin = end + 1) {
      end = std::min(text.find('/', begin), text.size());
      words.push_back(text.substr(begin, end - begin));
    }
    split.emplace_back(words);
    if (in_words) text = split.back().text;
  }
  std::vector<bertha::EntityInput> inputs(texts.begin(), texts.end());
  if (in_words) inputs.assign(split.begin(), split.end());
  compare(pipeline, inputs, options, [&](std::size_t i, const auto& a, const auto& b) {
    require(a.size() == b.size(), "as many entities");
    for (std::size_t e = 0; e < a.size(); ++e) {
      require(a[e].label == b[e].label && a[e].score == b[e].score && a[e].start == b[e].start &&
                  a[e].end == b[e].end && a[e].word == b[e].word,
              "the same entities, to the bit");
      require(is_probability(a[e].score), "scores are probabilities");
      check_range(texts[i], a[e].start, a[e].end);
    }
  });
}

void answers(Input& input) {
  constexpr const char* kModels[] = {"answers",        "answers_cased",  "roberta_answers", "xlm_roberta_answers",
                                     "modern_answers", "deberta_answers"};
  const auto& pipeline = load<bertha::QuestionAnswerer>(input.one_of(kModels));
  bertha::AnswerOptions options;
  options.top_k = input.byte() % 20;
  if (input.flag()) options.doc_stride = input.byte();
  options.max_answer_len = small(input);
  if (input.flag()) options.max_seq_len = input.byte();
  options.handle_impossible_answer = input.flag();
  options.align_to_words = input.flag();
  options.split_special_tokens = input.flag();
  options.score_rule = static_cast<bertha::ScoreRule>(input.below(5));
  if (input.flag()) options.no_answer_threshold = static_cast<float>(input.byte()) / 100.0f;
  const bool passages = input.flag();
  const auto texts = texts_of(input);
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  std::vector<bertha::Question> inputs;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    bertha::Question question = {.question = texts[i], .context = texts[(i + 1) % texts.size()]};
    if (passages) question = {.question = texts[i], .passages = views};
    inputs.push_back(question);
  }
  compare(pipeline, inputs, options, [&](std::size_t i, const auto& a, const auto& b) {
    require(a.size() == b.size() && a.size() <= options.top_k, "as many answers, and no more than asked for");
    for (std::size_t n = 0; n < a.size(); ++n) {
      require(a[n].text == b[n].text && a[n].score == b[n].score && a[n].start == b[n].start && a[n].end == b[n].end,
              "the same answers, to the bit");
      require(std::isfinite(a[n].score) && a[n].score >= 0, "scores are numbers");
      const std::string_view context = inputs[i].passage(a[n].passage);
      check_range(context, a[n].start, a[n].end);
      require(context.substr(a[n].start, a[n].end - a[n].start) == a[n].text, "an answer is a part of its context");
    }
  });
}

void embed(Input& input) {
  constexpr const char* kPrompts[] = {"", "query", "passage", "the"};
  bertha::EmbeddingOptions options;
  if (input.flag()) options.prompt_name = input.one_of(kPrompts);
  if (input.flag()) options.prompt = input.one_of(kPrompts);
  options.dimensions = small(input);
  if (input.flag()) options.normalize = input.flag();
  if (input.flag()) options.pooling = static_cast<bertha::PoolingMode>(input.below(7));
  options.tokens = input.flag();
  options.truncation = input.flag();
  options.max_length = small(input);
  const auto texts = texts_of(input);
  compare(load<bertha::Embedder>("embed_bert"), std::vector<std::string_view>(texts.begin(), texts.end()), options,
          [&](std::size_t, const auto& a, const auto& b) {
            require(a.rows == b.rows && a.cols == b.cols && a.values == b.values, "the same vector, to the bit");
            for (const float value : a.values) require(std::isfinite(value), "elements are numbers");
            if (a.rows != 1) return;
            for (const auto measure : {bertha::Similarity::cosine, bertha::Similarity::dot,
                                       bertha::Similarity::euclidean, bertha::Similarity::manhattan})
              require(std::isfinite(similarity(measure, a.values, b.values)), "similarities are numbers");
          });
}

void rerank(Input& input) {
  bertha::RelevanceOptions options;
  options.score = static_cast<bertha::ScoreFunction>(input.below(4));
  options.truncation = input.flag();
  options.max_length = small(input);
  const auto texts = texts_of(input);
  std::vector<bertha::TextInput> pairs;
  for (const std::string& text : texts) pairs.emplace_back(texts[0], text);
  compare(load<bertha::Reranker>("rerank"), pairs, options, [&](std::size_t, const auto& a, const auto& b) {
    require(a.logit == b.logit && a.score == b.score && std::isfinite(a.logit), "the same relevance, to the bit");
  });
}

void zero_shot(Input& input) {
  bertha::ZeroShotOptions options;
  for (std::size_t n = input.below(4); n > 0; --n) options.candidate_labels.push_back(input.text(input.below(8)));
  if (input.flag()) options.hypothesis_template = input.text(input.below(16)) + (input.flag() ? "{}" : "");
  options.multi_label = input.flag();
  const auto texts = texts_of(input);
  compare(load<bertha::ZeroShotClassifier>("inference"), std::vector<std::string_view>(texts.begin(), texts.end()),
          options, [&](std::size_t, const auto& a, const auto& b) { check_labels(a.labels, b.labels); });
}

void fill_mask(Input& input) {
  bertha::FillMaskOptions options;
  options.top_k = small(input);
  if (input.flag()) {
    options.targets.emplace();
    for (std::size_t n = input.below(4); n > 0; --n) options.targets->push_back(input.text(input.below(8)));
  }
  options.truncation = input.flag();
  options.max_length = small(input);
  constexpr const char* kModels[] = {"masked", "masked_roberta", "masked_deberta"};
  const auto& fill = load<bertha::FillMask>(input.one_of(kModels));
  auto texts = texts_of(input);
  for (std::string& text : texts)
    if (input.flag() || text.size() % 2 == 0) text += fill.mask_token();
  compare(fill, std::vector<std::string_view>(texts.begin(), texts.end()), options,
          [&](std::size_t, const auto& a, const auto& b) {
            require(a.masks.size() == b.masks.size(), "as many masks");
            for (std::size_t m = 0; m < a.masks.size(); ++m) {
              require(a.masks[m].size() == b.masks[m].size(), "as many fillings");
              for (std::size_t n = 0; n < a.masks[m].size(); ++n)
                require(a.masks[m][n].token == b.masks[m][n].token && a.masks[m][n].score == b.masks[m][n].score &&
                            is_probability(a.masks[m][n].score),
                        "the same fillings, to the bit");
            }
          });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr void (*kPipelines[])(Input&) = {classify, entities, answers, embed, rerank, zero_shot, fill_mask};
  Input input(data, std::min<std::size_t>(size, 1024));
  input.one_of(kPipelines)(input);
  return 0;
}
