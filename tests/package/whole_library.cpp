// Every pipeline loaded and called, in a source that itself prints nothing: symbols.py looks at what its object needs.

#include <bertha/bertha.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

std::size_t use_everything(const std::string& path, std::string_view text);

std::size_t use_everything(const std::string& path, std::string_view text) {
  const auto classify = bertha::TextClassifier::load(path);
  const auto find = bertha::EntityRecognizer::load(path);
  const auto ask = bertha::QuestionAnswerer::load(path);
  const auto sort = bertha::ZeroShotClassifier::load(path);
  const auto embed = bertha::Embedder::load(path);
  const auto rank = bertha::Reranker::load(path);
  const auto fill = bertha::FillMask::load(path);
  return classify(text).label.size() + find(text).size() + ask(text, text).text.size() +
         sort(text, {path}).label.size() + embed(text).size() + rank(text, std::vector{text}).size() +
         fill(text).token_str.size();
}
