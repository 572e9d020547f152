#include <bertha/bertha.hpp>
#include <iostream>

int main(int argc, char** argv) {
  const auto classify = bertha::TextClassifier::load(argc > 1 ? argv[1] : "examples/models/sentiment.safetensors");
  const auto mood = classify("Stocks rallied and the British pound gained");
  std::cout << mood.label << ' ' << mood.score << '\n';

  const std::vector<std::string> reviews = {"A warm, funny film.", "I want my two hours back."};
  for (const auto& result : classify.run(reviews)) {  // for each text all labels, best first
    for (const auto& [label, score] : result) std::cout << label << ' ' << score << ' ';
    std::cout << "from " << result.info.n_tokens << " tokens\n";
  }
}
