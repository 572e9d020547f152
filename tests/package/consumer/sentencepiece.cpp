// A user's program with SentencePiece's library: what an absent .model leads to.

#include <bertha/sentencepiece.hpp>

int main() {
  try {
    bertha::SentencePieceTokenizer::load("no-such-file.model");
  } catch (const bertha::Error& error) {
    return error.code() == bertha::ErrorCode::file ? 0 : 1;
  }
  return 1;
}
