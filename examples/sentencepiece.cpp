#include <bertha/bertha.hpp>
#include <bertha/sentencepiece.hpp>
#include <iostream>

// sentencepiece X.model MODEL.safetensors: tokens as SentencePiece makes them, alone and in a pipeline.
int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: sentencepiece X.model MODEL.safetensors\n";
    return 2;
  }
  // The family says which ids the pieces have, and which special tokens stand around them.
  const auto family = bertha::SentencePieceFamily::xlm_roberta();
  const auto tokenizer = bertha::SentencePieceTokenizer::load(argv[1], family);
  const std::string text = "Stocks rallied and the British pound gained";
  const auto tokens = tokenizer.encode(text);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    std::cout << tokens.ids[i] << ' ' << tokenizer.token(tokens.ids[i]) << ' '
              << text.substr(tokens.offsets[i].start, tokens.offsets[i].end - tokens.offsets[i].start) << '\n';

  // In place of the model's own tokenizer, whose vocabulary it must have.
  const auto classify = bertha::TextClassifier::load(argv[2], {.tokenizer = tokenizer});
  const auto mood = classify(text);
  std::cout << mood.label << ' ' << mood.score << '\n';
}
