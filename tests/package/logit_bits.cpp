// Prints the bits of what a model makes of a few texts: linked with bertha::bertha and with bertha::compiled, the same.

#include <bertha/bertha.hpp>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto classify = bertha::TextClassifier::load(argv[1]);
  const std::vector<std::string> texts = {"", "A warm, funny film.", "I want my two hours back.", "the"};
  for (const auto& result : classify.run(texts))
    for (const auto& [label, score] : result) std::cout << label << ' ' << bertha::detail::to_hex({&score, 1}) << '\n';
}
