// A program with one pipeline, which includes that alone: what it costs to compile is held against a budget.

#include <bertha/pipelines/text_classifier.hpp>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto classify = bertha::TextClassifier::load(argv[1]);
  std::cout << classify(argv[2]).label << '\n';
}
